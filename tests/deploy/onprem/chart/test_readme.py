"""The chart's README says of its values what they say of themselves."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from tests.deploy.onprem.chart.cases import ROOT


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chart_docs", ROOT / "scripts" / "chart_docs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_as_the_values_say(docs: ModuleType) -> None:
    written = docs.TARGET.read_text(encoding="utf-8")
    assert written == docs.render(), "run `make docs`"
    assert "| `replicaCount` | `1` | Pods of the API. |" in written


def test_comments_are_read_over_lines_and_for_their_own_key(docs: ModuleType) -> None:
    text = """
# no documentation
# -- One
# two.
a: 1
b:
  # -- Three.
  c:
    d: 2
e: 3
"""
    known = docs.documented(text)
    assert known == {"a": "One two.", "b.c": "Three."}
    values = {"a": 1, "b": {"c": {"d": 2}, "f": 4}, "e": 3}
    assert list(docs.bare(values, known)) == ["b.f", "e"]
