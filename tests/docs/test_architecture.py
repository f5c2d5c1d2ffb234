"""The map names every module of a room whose modules it lists, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def _named(heading: str) -> list[str]:
    """Modules in the first column of a section's table."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    return re.findall(r"`(\w+)`", " ".join(rows))


def _there(folder: str) -> set[str]:
    found = (ROOT / "src" / "tabular" / folder).iterdir()
    return {one.stem for one in found if one.suffix == ".py" or (one / "__init__.py").exists()}


@pytest.mark.parametrize(("cloud", "folder"), [("AWS", "aws"), ("Kubernetes", "onprem")])
def test_every_room_is_named_once(cloud: str, folder: str) -> None:
    named = _named(f"The way of a deployment on {cloud}")
    assert sorted(named) == sorted(_there(f"deploy/{folder}") - {"__init__"})


@pytest.mark.parametrize("name", _named("The science, module by module"))
def test_modules_of_the_science_are_there(name: str) -> None:
    assert name in _there("synth")
