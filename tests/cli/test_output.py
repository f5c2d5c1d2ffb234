"""What happens when the output takes nothing more, be it a full disk or a reader that has gone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, Answer, run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FULL = Path("/dev/full")

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")


def into_full(*arguments: str, home: Path, stream: str = "stdout") -> Answer:
    """Run a command of which one stream is a disk without room."""
    with FULL.open("w") as full:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: full}
        done = subprocess.run(
            [COMMAND, *arguments],
            env={"HOME": str(home), "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
            timeout=240,
            **streams,
        )
    return Answer(done.returncode, done.stdout or "", done.stderr or "")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home of its own, where nothing runs on when the test has failed."""
    yield tmp_path
    gone = run("destroy", "--yes", "--delete-data", home=tmp_path)
    assert gone.code == 0, gone.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("schema",),
        ("schema", "--format", "markdown"),
        ("validate", str(EXAMPLES / "deployment.yaml")),
        ("validate", str(EXAMPLES / "deployment.yaml"), "--json"),
        ("list",),
        ("plan", "--json"),
        ("capabilities",),
    ],
)
def test_an_output_that_is_full_is_a_sentence_and_exit_code_5(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    told = into_full(*arguments, home=tmp_path)
    assert told.code == 5, told.err
    assert "cannot be written: No space left on device" in told.err
    assert "Traceback" not in told.err
    assert "Exception ignored" not in told.err


def test_an_error_that_cannot_be_told_as_json_is_told_to_people(tmp_path: Path) -> None:
    told = into_full("status", "--json", home=tmp_path)
    assert told.code == 4
    assert "not-found.deployment" in told.err


def test_messages_that_cannot_be_told_change_no_exit_code(tmp_path: Path) -> None:
    assert into_full("status", home=tmp_path, stream="stderr").code == 4
    assert into_full("plan", "--colour", home=tmp_path, stream="stderr").code == 2
    flags = ("--set", "spec.compute.workers=2", "--set", "spec.compute.workers=1")
    assert into_full("plan", *flags, home=tmp_path, stream="stderr").code == 0


def test_a_reader_that_has_gone_is_no_message(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    for command in (("schema",), ("capabilities",)):
        done = subprocess.run(
            [COMMAND, *command],
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
        assert (done.returncode, done.stderr) == (141, b"")
    os.close(writing)


@pytest.mark.slow
def test_a_deploy_whose_key_cannot_be_shown_says_what_is_up_and_how_to_get_another(
    home: Path,
) -> None:
    lost = into_full("deploy", "--yes", "--json", home=home)
    assert lost.code == 5, lost.err
    assert "Traceback" not in lost.err
    assert "standalone/development/tabular is ready; its first API key was made" in lost.err
    assert "inferloop-tabular keys create" in lost.err
    assert run("status", "--json", home=home).json["state"] == "ready"
    assert run("keys", "create", "second", "--json", home=home).json["api_key"]
    gone = into_full("keys", "create", "third", home=home)
    assert gone.code == 5
    assert "A key named third was made" in gone.err
    more = ("deploy", "--yes", "--json", "--set", "spec.compute.workers=2")
    unseen = into_full(*more, home=home, stream="stderr")
    assert unseen.code == 0
    assert '"state": "ready"' in unseen.out
