"""Outputs that could only fail are refused before the work; inputs are never overwritten."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, run
from tests.testbed.disk import fill, small_disk

TABLE = "a,b\n" + "".join(f"{i},{'xyz'[i % 3]}\n" for i in range(300))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def commands(table: Path, out: Path) -> list[tuple[str, ...]]:
    data = str(table)
    return [
        ("fit", data, "--model", str(out)),
        ("generate", data, str(out), "--rows", "10"),
        ("evaluate", data, data, "--html", str(out)),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [("missing/out.csv", "mkdir -p"), (".", "is a folder"), ("table.csv", "overwrite the input")],
)
def test_a_bad_output_is_refused_and_nothing_is_harmed(
    tmp_path: Path, table: Path, name: str, text: str
) -> None:
    for command in commands(table, tmp_path / name):
        answer = run(*command, home=tmp_path)
        assert answer.code == 1, command
        assert text in answer.err
        assert "Traceback" not in answer.err
        assert table.read_text(encoding="utf-8") == TABLE
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_what_is_to_be_typed_next_can_be_pasted(tmp_path: Path, table: Path) -> None:
    model = tmp_path / "a model's.model"
    fitted = run("fit", str(table), "--model", str(model), home=tmp_path)
    (typed,) = [line for line in fitted.out.splitlines() if line.startswith("next: ")]
    assert shlex.split(typed)[2:4] == ["sample", str(model)]
    lacking = run("fit", str(table), "--model", str(tmp_path / "no folder" / "m"), home=tmp_path)
    hint = lacking.err.partition("make it first: ")[2]
    assert shlex.split(hint) == ["mkdir", "-p", str(tmp_path / "no folder")]


def test_a_model_is_not_overwritten_by_its_sample(tmp_path: Path, table: Path) -> None:
    model = tmp_path / "m.model"
    assert run("fit", str(table), "--model", str(model), home=tmp_path).code == 0
    before = model.read_bytes()
    answer = run("sample", str(model), "--rows", "5", "--out", str(model), home=tmp_path)
    assert answer.code == 1
    assert model.read_bytes() == before


@pytest.mark.parametrize("kilobytes", [500_000, 590_000, 640_000])
def test_too_little_memory_is_one_line(tmp_path: Path, kilobytes: int) -> None:
    table = tmp_path / "big.csv"
    row = ",".join(["0.123456789"] * 10)
    table.write_text("a,b,c,d,e,f,g,h,i,j\n" + f"{row}\n" * 600_000, encoding="utf-8")
    limited = f"ulimit -v {kilobytes}; exec {COMMAND} fit {table} --model {tmp_path / 'm'}"
    done = subprocess.run(
        ["/bin/sh", "-c", limited],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "memory" in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "m").exists()


@pytest.mark.root
def test_a_full_disk_is_the_hosts_failure_and_named(tmp_path: Path, table: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "apiVersion: synthdata.inferloop.io/v1\nkind: Deployment\nspec: {provider: standalone}\n",
        encoding="utf-8",
    )
    with small_disk(tmp_path / "disk", "1m") as disk:
        fill(disk)
        exported = ("export", str(spec), "--format", "compose", "--output", str(disk))
        for command in (*commands(table, disk / "out.csv"), exported):
            told = run(*command, home=tmp_path)
            assert told.code == 5, (command, told.err)
            assert told.err.startswith("error engine.storage ")
            assert "No space left on device" in told.err
            assert f"hint: free some space on the disk of {disk}" in told.err.replace("\n", "")
        assert [path.name for path in disk.iterdir()] == ["filler"]
        deployed = run("deploy", "--yes", "--home", str(disk / "home"), home=tmp_path)
        assert deployed.code == 5, deployed.err
        assert "hint: " in deployed.err
        assert "--home" in deployed.err
