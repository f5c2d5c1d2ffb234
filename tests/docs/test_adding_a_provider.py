"""The page about providers and the example it walks through say the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "adding-a-provider.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "examples" / "provider" / "folder.py").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_block_stands_in_the_example(block: str) -> None:
    assert block in EXAMPLE


def test_every_method_of_the_engine_and_every_capability_is_walked_through() -> None:
    tree = ast.parse(EXAMPLE)
    (engine,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "FolderEngine")
    for node in engine.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert f"def {node.name}(" in "".join(BLOCKS), node.name
    assert "capabilities:" in "".join(BLOCKS)


def test_a_hundred_lines_are_what_is_promised() -> None:
    assert len(EXAMPLE.splitlines()) <= 100
    assert "hundred lines" in PAGE
    assert "hundred lines" in EXAMPLE


def test_what_the_table_names_is_there() -> None:
    import importlib

    for module, name in re.findall(r"`(plan|stack|events|answers|files)\.(\w+)`", PAGE):
        assert hasattr(importlib.import_module(f"tabular.deploy.{module}"), name), name
    stack = importlib.import_module("tabular.deploy.stack").Stack
    for name in re.findall(r"`Stack\.(\w+)`", PAGE):
        assert name in {*dir(stack), *stack.__dataclass_fields__}, name
