"""The page on Kubernetes: its tables are what the code says, and each of its commands is tried."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from tabular.deploy.onprem.values.overrides import OPTIONS
from tabular.deploy.spec.model.placement import Operator
from tests.cli.command import run
from tests.cli.test_onprem_deployment import EXAMPLES, Place
from tests.cli.test_onprem_deployment import place as place  # noqa: PLC0414 - a fixture

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "onprem.md"
TEXT = PAGE.read_text(encoding="utf-8")
SOURCE = ROOT / "src" / "tabular" / "deploy" / "onprem"
ELSEWHERE = ("pip install", "kubectl ")
ASKS = ("deploy", "destroy", "scale", "rollback")


def _commands() -> list[str]:
    blocks = re.findall(r"^```console\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    return [line.removeprefix("$ ") for line in "".join(blocks).splitlines()]


def _codes() -> Iterator[str]:
    """Codes of everything that is found out before anything is made."""
    for path in sorted(SOURCE.rglob("*.py")):
        if "airgap" not in path.parts:
            yield from re.findall(r'code="(preflight\.[\w-]+)"', path.read_text(encoding="utf-8"))


def test_every_option_is_documented() -> None:
    rows = "\n".join(f"| `{name}` | {words} |" for name, (_, words) in OPTIONS.items())
    assert f"<!-- options -->\n\n| name | |\n|---|---|\n{rows}\n\n" in TEXT


def test_every_operator_is_documented() -> None:
    table = TEXT.partition("| operator | makes |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([\w-]+)`", table)) == set(get_args(Operator))


def test_every_finding_has_what_to_type() -> None:
    table = TEXT.partition("| what is said |")[2].partition("\n\n")[0]
    told = set(re.findall(r"`(preflight\.[\w-]+)`", table))
    assert set(_codes()) == told


@pytest.mark.k8s
@pytest.mark.timeout(900)
def test_every_command_of_the_page_runs(place: Place, tmp_path: Path) -> None:
    """In their order, on one cluster; yes is said to what asks."""
    for file in EXAMPLES.glob("*.yaml"):
        (tmp_path / file.name).symlink_to(file)
    tried = 0
    for command in _commands():
        if command.startswith(ELSEWHERE):
            continue
        words = shlex.split(command)[1:]
        yes = ["--yes"] if words[0] in ASKS else []
        done = run(*words, *yes, home=place.home, cwd=tmp_path)
        assert done.code in ((0, 2) if words[0] == "drift" else (0,)), (
            f"$ {command}\n{done.out[-2000:]}\n{done.err[-2000:]}"
        )
        tried += 1
    assert tried == 14
