"""Outputs go through links and into pipes and devices; they never take the place of one."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tabular.cli.outputs import require_writable, write_text
from tabular.errors import InputError, TabularError
from tabular.synth import Synthesizer
from tabular.synth.tables import read_table, write_table
from tabular.synth.writing import whole_file

TABLE = pa.table({"a": range(100), "b": ["x", "y"] * 50})
Writer = Callable[[Path], None]


def write_whole(path: Path) -> None:
    with whole_file(path) as file:
        file.write(b"whole")


WRITERS: dict[str, Writer] = {
    "csv": lambda path: write_table(TABLE, path, "csv"),
    "jsonl": lambda path: write_table(TABLE, path, "jsonl"),
    "parquet": lambda path: write_table(TABLE, path, "parquet"),
    "model": lambda path: Synthesizer().fit(TABLE).save(path),
    "text": lambda path: write_text(path, "report"),
    "whole": write_whole,
}


@pytest.fixture(params=WRITERS)
def writer(request: pytest.FixtureRequest) -> Writer:
    return WRITERS[request.param]


def test_a_link_stays_one_and_its_target_gets_the_file(tmp_path: Path, writer: Writer) -> None:
    folder = tmp_path / "far"
    folder.mkdir()
    (folder / "real").write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to("far/real")
    require_writable(link)
    writer(link)
    assert link.is_symlink()
    assert (folder / "real").read_bytes() not in (b"old", b"")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["far", "link", "real"]


def test_a_link_to_nothing_yet_makes_its_target(tmp_path: Path, writer: Writer) -> None:
    (tmp_path / "link").symlink_to("new")
    writer(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "new").stat().st_size > 0


def test_a_pipe_is_written_to(tmp_path: Path, writer: Writer) -> None:
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    require_writable(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    writer(pipe)
    reader.join(30)
    assert got
    assert got[0]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
    if got[0][:4] == b"PAR1":
        (tmp_path / "t.parquet").write_bytes(got[0])
        assert read_table(tmp_path / "t.parquet").equals(TABLE)


def test_a_pipe_whose_reader_leaves_is_an_error(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: pipe.open("rb").close(), daemon=True)
    reader.start()
    with pytest.raises(TabularError, match="cannot be written"):
        write_table(pa.table({"a": range(1_000_000)}), pipe, "csv")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device nodes")
@pytest.mark.parametrize("kind", ["null", "full"])
def test_a_device_stays_one(tmp_path: Path, writer: Writer, kind: str) -> None:
    node = tmp_path / kind
    minor = {"null": 3, "full": 7}[kind]
    try:
        os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        node.open("wb").close()
    except PermissionError:
        pytest.skip("device nodes cannot be used here")
    require_writable(node)
    if kind == "null":
        writer(node)
    else:
        with pytest.raises(TabularError, match="space"):
            writer(node)
    assert stat.S_ISCHR(node.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == [kind]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device nodes")
def test_a_disk_is_refused(tmp_path: Path, writer: Writer) -> None:
    node = tmp_path / "disk"
    try:
        os.mknod(node, stat.S_IFBLK | 0o600, os.makedev(240, 0))  # a number for local use
    except PermissionError:
        pytest.skip("device nodes cannot be made here")
    with pytest.raises(InputError, match="it is a disk"):
        require_writable(node)
    with pytest.raises(TabularError, match="it is a disk"):
        writer(node)
    assert stat.S_ISBLK(node.stat().st_mode)


def test_a_ring_of_links_is_an_error(tmp_path: Path, writer: Writer) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(InputError, match="cannot be written"):
        require_writable(tmp_path / "a")
    with pytest.raises(TabularError, match="cannot be written"):
        writer(tmp_path / "a")


def test_a_link_to_the_input_is_the_input(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("a\n1\n")
    (tmp_path / "out.csv").symlink_to(data)
    with pytest.raises(InputError, match="overwrite the input"):
        require_writable(tmp_path / "out.csv", data)
