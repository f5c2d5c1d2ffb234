"""What every command does with a wrong command line, as people and programs see it."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("plan", "--colour"), "--colour"),
        (("sample", "census.model"), "--rows"),
        (("destory",), "destroy"),
        (("logs", "--tail", "many"), "--tail"),
    ],
)
def test_a_wrong_command_line_is_told_to_people_and_to_programs(
    arguments: tuple[str, ...], text: str, tmp_path: Path
) -> None:
    told = run(*arguments, home=tmp_path)
    assert (told.code, told.out) == (2, "")
    assert text in told.err
    listed = run(*arguments, "--json", home=tmp_path)
    assert listed.code == 2
    assert listed.json["error"]["code"] == "usage.invalid"
    assert "--help" in listed.json["error"]["hint"]


@pytest.mark.parametrize("wrong", [("--colour",), ("--provider", "standalon"), ("--runtime", "x")])
def test_detailed_exit_code_2_is_kept_for_changes(wrong: tuple[str, ...], tmp_path: Path) -> None:
    assert run("plan", *wrong, home=tmp_path).code == 2
    assert run("plan", "--detailed-exitcode", *wrong, home=tmp_path).code == 1
    assert run("plan", "--detailed-exitcode", home=tmp_path).code == 2


def test_a_refused_plan_is_one_json_document_with_its_reason(tmp_path: Path) -> None:
    for command in (("plan",), ("deploy", "--dry-run")):
        answer = run(*command, "--max-monthly-cost", "1", "--json", home=tmp_path)
        assert answer.code == 3
        assert answer.json["error"]["code"] == "refused.budget"
        assert {change["action"] for change in answer.json["changes"]} == {"create"}


def test_help_and_version_end_well(tmp_path: Path) -> None:
    for arguments in (("--help",), ("deploy", "-h"), ("--version",)):
        answer = run(*arguments, home=tmp_path)
        assert (answer.code, answer.err) == (0, "")
        assert answer.out


@pytest.mark.parametrize("seen", ["tabular.errors", "typer.main", "rich.console"])
def test_an_interrupt_while_commands_are_imported_is_130_without_a_traceback(
    seen: str, tmp_path: Path
) -> None:
    client = subprocess.Popen(
        [sys.executable, "-X", "importtime", COMMAND, "--help"],
        env={"HOME": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert client.stderr is not None
    next(line for line in client.stderr if line.split("|")[-1].strip() == seen)
    client.send_signal(signal.SIGINT)
    rest = client.stderr.read()
    assert client.wait(timeout=60) == 130
    assert "Traceback" not in rest
    assert "Interrupted." in rest


@pytest.mark.parametrize(
    ("command", "instead"),
    [
        (("deploy-multi", "--primary", "aws", "--secondary", "gcp"), "deploy --config FILE"),
        (("migrate", "--from", "aws", "--to", "gcp"), "backup restore"),
    ],
)
def test_a_command_of_a_later_version_names_what_does_its_work(
    command: tuple[str, ...], instead: str, tmp_path: Path
) -> None:
    told = run(*command, home=tmp_path)
    assert told.code == 2
    assert "this version has no" in told.err
    assert instead in told.err
    assert "Did you mean" not in told.err
    assert run(*command, "--json", home=tmp_path).json["error"]["code"] == "usage.not-yet"
    assert command[0] not in run("--help", home=tmp_path).out


@pytest.mark.parametrize("provider", ["standalone", "aws"])
def test_several_places_are_told_what_can_be_done_today(provider: str, tmp_path: Path) -> None:
    file = str(EXAMPLES / "multi-cloud-ha.yaml")
    told = run("plan", "-c", file, "--provider", provider, home=tmp_path)
    assert told.code == 3
    assert "write one file for each, and deploy each" in told.err + told.out
    assert "deploy-multi" not in told.err + told.out


@pytest.mark.parametrize("command", ["list", "status", "plan", "deploy --yes"])
def test_a_home_that_is_a_file_is_said(command: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine", encoding="utf-8")
    told = run(*command.split(), home=tmp_path, extra={"INFERLOOP_TABULAR_HOME": str(file)})
    assert told.code == 1
    assert told.err.startswith(f"error engine.home {file}: a home is a folder")
    assert file.read_text(encoding="utf-8") == "mine"


def broken_plugin(folder: Path) -> None:
    """A provider whose author did not foresee everything, as a distribution on the path."""
    (folder / "broken_plugin.py").write_text(
        "class Made:\n"
        "    name = 'broken'\n"
        "    def __init__(self, options): pass\n"
        "    def __getattr__(self, name): return {}['sesame']\n",
        encoding="utf-8",
    )
    info = folder / "broken_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[inferloop_tabular.providers]\nbroken = broken_plugin:Made\n"
    )


def test_what_nobody_foresaw_is_an_error_and_its_traceback_a_private_file(tmp_path: Path) -> None:
    broken_plugin(tmp_path)
    reports = tmp_path / "reports"
    reports.mkdir()
    extra = {"PYTHONPATH": str(tmp_path), "TMPDIR": str(reports)}
    told = run("capabilities", "--provider", "broken", home=tmp_path, extra=extra)
    assert (told.code, told.out) == (70, "")
    assert told.err.startswith("error internal tabular/")
    assert "Traceback" not in told.err
    assert "sesame" not in told.err
    (report,) = reports.iterdir()
    assert str(report) in told.err.replace("\n", "")
    assert report.stat().st_mode & 0o777 == 0o600
    assert "KeyError: 'sesame'" in report.read_text(encoding="utf-8")
    listed = run("capabilities", "--provider", "broken", "--json", home=tmp_path, extra=extra)
    assert listed.code == 70
    assert listed.json["error"]["code"] == "internal"


def test_an_interrupt_at_a_question_is_130_and_nothing_was_done(tmp_path: Path) -> None:
    terminal, stdin = pty.openpty()
    client = subprocess.Popen(
        [COMMAND, "deploy"],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert client.stderr is not None
    said = ""
    while "[y/N]" not in said:
        letter = client.stderr.read(1)
        assert letter, said
        said += letter
    client.send_signal(signal.SIGINT)
    assert "Interrupted." in client.stderr.read()
    assert client.wait(timeout=60) == 130
    os.close(terminal)
    os.close(stdin)
    assert run("list", "--json", home=tmp_path).json == []
