"""What every command does with a wrong command line, as people and programs see it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, run


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
