"""The page on exports: its table is what the command offers, and each of its commands is tried."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tabular.cli.export import NAMES
from tabular.deploy.export import VENDOR_FORMATS
from tabular.deploy.onprem.export import FORMATS
from tests.cli.command import run

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")


def _commands() -> list[str]:
    blocks = re.findall(r"^```console\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    return [line.removeprefix("$ ") for line in "".join(blocks).splitlines()]


def _rows() -> dict[str, str]:
    """Whose deployments each format is for, as the table says."""
    return dict(re.findall(r"^\| `([a-z][\w-]+)` \| ([^|]+) \|", TEXT, re.MULTILINE))


def test_the_table_has_every_format_and_whose_it_is() -> None:
    rows = _rows()
    assert rows.keys() == set(NAMES)
    for name, whose in VENDOR_FORMATS.items():
        assert rows[name] == ", ".join(whose)


def test_every_flavour_is_in_a_command() -> None:
    for key in FORMATS:
        format, _, flavour = key.partition("/")
        said = f"--format {format}" + (f" --flavour {flavour}" if flavour else "")
        assert any(said in command for command in _commands())


def test_the_block_of_gitops_is_the_examples() -> None:
    example = (ROOT / "examples" / "gitops.yaml").read_text(encoding="utf-8")
    (repository,) = re.findall(r"^ +repository: (\S+)$", example, re.MULTILINE)
    assert f'repository: "{repository}"' in TEXT


@pytest.mark.slow
def test_every_command_of_the_page_runs(tmp_path: Path) -> None:
    """In their order, in a folder with the examples; the last check finds nothing."""
    for file in (ROOT / "examples").glob("*.yaml"):
        shutil.copy(file, tmp_path)
    for command in _commands():
        done = run(*shlex.split(command)[1:], home=tmp_path, cwd=tmp_path)
        assert done.code == 0, f"$ {command}\n{done.out[-2000:]}\n{done.err[-2000:]}"
    assert len(_commands()) == 8
    assert (tmp_path / "swarm" / "deploy.sh").is_file()
