"""Every command of the README runs, in its order, on a home of its own."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
BIN = Path(sys.executable).parent


def _blocks(language: str) -> Iterator[str]:
    text = README.read_text(encoding="utf-8")
    yield from re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def _commands() -> list[str]:
    lines = "".join(_blocks("console")).splitlines()
    return [line.removeprefix("$ ").split("  #")[0].strip() for line in lines if line[:2] == "$ "]


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder with the examples, and an environment whose home is empty; nothing runs on."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    home = tmp_path / "home"
    home.mkdir()
    kept = {key: os.environ[key] for key in ("LANG", "LC_ALL", "CI") if key in os.environ}
    environment = {**kept, "HOME": str(home), "PATH": f"{BIN}:{os.environ['PATH']}"}
    yield tmp_path, environment
    command = [BIN / "inferloop-tabular", "destroy", "--yes", "--delete-data"]
    subprocess.run(command, env=environment, capture_output=True, timeout=120, check=True)


def test_the_readme_has_the_two_commands_and_the_tour() -> None:
    commands = _commands()
    assert commands[:2] == ["make demo", "make test"]
    assert sum(command.startswith("inferloop-tabular") for command in commands) > 8


def test_every_command_of_the_readme_runs(sandbox: tuple[Path, dict[str, str]]) -> None:
    folder, environment = sandbox
    for command in _commands():
        if command.startswith("make "):
            assert f"\n{command.split()[1]}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
            continue
        done = subprocess.run(
            shlex.split(command),
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"
    assert (folder / "report.html").stat().st_size > 10_000


def test_the_python_of_the_readme_runs(sandbox: tuple[Path, dict[str, str]]) -> None:
    folder, environment = sandbox
    for code in _blocks("python"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


def test_every_link_of_the_pages_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert broken == []
