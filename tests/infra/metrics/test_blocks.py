"""Shared files on a disk that fills up: samples are missed, the process lives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tabular.infra.metrics.blocks import FIRST, FOLDER, SETTLED, Blocks, give_back
from tests.testbed.disk import fill, small_disk

_LIFE = """
import sys
from tabular.infra.monitoring import Metrics

metrics = Metrics(provider="aws", region="eu-west-1")
for line in sys.stdin:
    word, _, number = line.strip().partition(" ")
    for i in range(int(number or 0)):
        metrics.request("GET", f"/{word}/{i}", 200, 0.1)
    print("said", len(metrics.render()), flush=True)
"""


class Life:
    """A process that counts requests in a folder."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LIFE],
            env={**os.environ, FOLDER: str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, what: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().startswith("said"), self.process.wait(5)

    def end(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0


def counted(folder: Path, prefix: str) -> int:
    code = (
        "import sys; from tabular.infra.monitoring import Metrics; "
        "sys.stdout.buffer.write(Metrics(provider='aws', region='eu-west-1').render())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, FOLDER: str(folder)},
        capture_output=True,
        check=True,
    )
    return sum(
        sample.name == "tabular_request_seconds_count"
        and sample.labels["route"].startswith(prefix)
        and sample.value > 0
        for family in text_string_to_metric_families(done.stdout.decode())
        for sample in family.samples
    )


@pytest.mark.root
def test_a_full_disk_costs_samples_and_no_process(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "2m") as disk:
        shared = disk / "metrics"
        shared.mkdir()
        early = Life(shared)
        early.do("before 3")
        filler = fill(disk)
        early.do("full 100")
        late = Life(shared)
        late.do("late 5")
        filler.unlink()
        for life in (early, late):
            life.do("after 4")
            life.end()
        assert counted(shared, "/before/") == 3
        assert 0 < counted(shared, "/full/") < 100  # what the blocks taken before had room for
        assert counted(shared, "/late/") == 0
        assert counted(shared, "/after/") == 4


def test_files_grow_ahead_of_what_is_written(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.do("many 300")
    life.end()
    assert counted(tmp_path, "/many/") == 300
    file = next(tmp_path.glob("histogram_*.db"))
    assert file.stat().st_size > FIRST
    assert file.stat().st_blocks * 512 >= file.stat().st_size


def test_what_an_ended_process_never_used_is_given_back(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.do("x 2")
    life.end()
    file = next(tmp_path.glob("histogram_*.db"))
    give_back(file)
    assert file.stat().st_size == FIRST  # too soon
    old = file.stat().st_mtime - SETTLED - 1
    os.utime(file, (old, old))
    assert counted(tmp_path, "/x/") == 2  # the scrape gives back
    assert file.stat().st_size < FIRST
    assert counted(tmp_path, "/x/") == 2


def test_without_a_folder_there_is_always_room() -> None:
    assert Blocks(None).taken("counter")
