"""The same file by one process, by several, and by a real Dask cluster."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tabular.errors import ConstraintError, TableError, UnavailableError
from tabular.synth import Synthesizer
from tabular.synth.partition import GROUP_ROWS
from tabular.synth.tables import read_table
from tabular.worker.executors import DaskCluster, Executor, LocalProcesses, write
from tests.cli.command import run
from tests.platform import table
from tests.testbed.ports import free_port
from tests.testbed.process import stop

ROWS = 4 * GROUP_ROWS + 77


@pytest.fixture(scope="module")
def model() -> Synthesizer:
    return Synthesizer().fit(read_table(io.BytesIO(table(2000)), "csv"))


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Dask cluster: a scheduler and two workers, as processes."""
    pytest.importorskip("distributed")
    folder = tmp_path_factory.mktemp("dask")
    address = f"tcp://127.0.0.1:{free_port()}"
    with contextlib.ExitStack() as stack:

        def start(*arguments: str) -> None:
            command = [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]]
            with (folder / "log").open("ab") as log:
                process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
            stack.callback(stop, process)

        host, _, port = address.removeprefix("tcp://").partition(":")
        start("dask_scheduler", "--host", host, "--port", port, "--no-dashboard")
        for _ in range(2):
            start("dask_worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny")
        yield address


def by(executor: Executor, model: Synthesizer, path: Path, **options: object) -> bytes:
    with executor:
        count = write(executor, model, path, ROWS, part_rows=1, **options)  # type: ignore[arg-type]
    assert count == ROWS
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.slow
def test_one_two_four_processes_and_dask_write_the_same_bytes(
    model: Synthesizer, scheduler: str, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"rows.{kind}"
    model.write(path, ROWS, seed=4, where=["colour=red"])
    whole = path.read_bytes()
    raw = model.to_bytes()
    options = {"seed": 4, "where": ["colour=red"]}
    for workers in (1, 2, 4):
        assert by(LocalProcesses(raw, workers), model, path, **options) == whole
    assert by(DaskCluster(raw, scheduler), model, path, **options) == whole


def test_a_start_in_the_middle_of_a_group_and_no_rows_at_all(
    model: Synthesizer, tmp_path: Path
) -> None:
    path = tmp_path / "rows.parquet"
    for start, rows in ((5, 300_000), (GROUP_ROWS, 300_000), (0, 0)):
        model.write(path, rows, start=start)
        whole = path.read_bytes()
        with LocalProcesses(model.to_bytes(), 2) as executor:
            write(executor, model, path, rows, start=start, part_rows=1)
        assert path.read_bytes() == whole


def test_what_a_part_meets_is_told_and_nothing_is_written(
    model: Synthesizer, scheduler: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    for executor in (LocalProcesses(model.to_bytes(), 2), DaskCluster(model.to_bytes(), scheduler)):
        with pytest.raises(ConstraintError, match="no row can fulfil"):
            by(executor, model, path, where=["size=77777"])
    with pytest.raises(TableError, match="cannot be written"):
        by(LocalProcesses(model.to_bytes(), 2), model, tmp_path / "away" / "rows.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_that_is_not_there_is_a_sentence() -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    begun = time.monotonic()
    with pytest.raises(UnavailableError, match="Dask cluster"), DaskCluster(b"", address, 0.5):
        pass
    assert time.monotonic() - begun < 10


@pytest.mark.slow
def test_the_commands_take_workers_and_a_scheduler(scheduler: str, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_bytes(table(500))
    model, outs = tmp_path / "model", []
    assert run("fit", str(data), "--model", str(model), home=tmp_path).code == 0
    dask = ["--engine", "dask", "--scheduler", scheduler]
    rows = ["--rows", "1200000", "--seed", "3"]
    for more in ([], ["--workers", "2"], dask, ["--scheduler", scheduler]):
        for arguments in (["generate", str(data)], ["sample", str(model), "--out"]):
            out = tmp_path / f"{len(outs)}.parquet"
            done = run(*arguments, str(out), *rows, *more, home=tmp_path)
            assert done.code == 0, done.err
            outs.append(out.read_bytes())
    assert len(set(outs)) == 1
    assert outs[0].startswith(b"PAR1")
    for wrong in ("dask", "bayes"):
        options = ["--out", str(out), *rows, "--engine", wrong]
        refused = run("sample", str(model), *options, home=tmp_path)
        assert refused.code == 2
        assert "--scheduler" in refused.err
