"""The house stays one to live in: module sizes, and a docstring that says why for each module."""

from __future__ import annotations

import ast
from pathlib import Path
from statistics import median

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "tabular"
MODULES = sorted(SOURCE.rglob("*.py"))
MAX_LINES = 600
MAX_MEDIAN = 150


def _lines(module: Path) -> int:
    return len(module.read_text(encoding="utf-8").splitlines())


def test_modules_are_small() -> None:
    sizes = {str(module.relative_to(SOURCE)): _lines(module) for module in MODULES}
    assert median(sizes.values()) <= MAX_MEDIAN
    assert {name: size for name, size in sizes.items() if size > MAX_LINES} == {}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_says_why_it_exists(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    assert not tree.body or ast.get_docstring(tree), "a module docstring is missing"
