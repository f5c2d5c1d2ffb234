"""What is written as YAML is read back as it was, by readers of both standards of YAML."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tabular.deploy.export.yaml_text import as_yaml, as_yaml_documents

TRAPS = (
    *("on", "Off", "y", "NO", "true", "Null", "~", "", " ", "012", "0o17", "1e3", "1.5", "0x1f"),
    *(
        "12:30:00",
        "2026-01-01",
        ".inf",
        "-",
        "- a",
        "a: b",
        "a:",
        "a #b",
        "# a",
        "@a",
        "`a",
        "=",
        "<<",
    ),
    *("{a}", "[a]", "!a", "&a", "*a", "%a", "|", ">", "? a", "'a'", '"a"', "a\\nb", "\t", "a\tb"),
    *(
        "a\nb",
        "a\nb\n",
        "a\n\n",
        "\na",
        " a\nb",
        "a \nb",
        "a\n \nb",
        "a\n\tb",
        "a\r\nb",
        "---\na\n",
    ),
    *("...\nb\n", "ä\nü\n", "\u2028\na", "\x85", "\ufeffa", "\U0001f600", "\x7f", "a\n#b\n  c\n"),
)
TEXT = st.one_of(st.sampled_from(TRAPS), st.text(st.characters(exclude_categories=["Cs"])))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | TEXT
    | st.floats(allow_nan=False, allow_infinity=False)
)
INNER = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(INNER, max_size=3) | st.dictionaries(TEXT, INNER, max_size=3))
@example({trap: [trap, {trap: trap}] for trap in TRAPS})
@example(["\n".join(TRAPS)])
@settings(max_examples=300, deadline=None)
def test_both_readers_give_back_what_was_written(data: Any) -> None:
    text = as_yaml(data, words="A head.\n\nIt has lines.").decode()
    assert yaml.safe_load(text) == data
    newer = YAML(typ="safe", pure=True)
    assert newer.load(text) == data


def test_a_text_of_several_lines_stands_as_it_is() -> None:
    text = as_yaml({"key": "one\n  two: 2\n\nthree\n", "other": ["a\nb"]}).decode()
    assert text == "key: |\n  one\n    two: 2\n\n  three\nother:\n- |-\n  a\n  b\n"


def test_documents_follow_each_other() -> None:
    text = as_yaml_documents(({"a": 1}, {"b": 2}), words="Head.").decode()
    assert text == "# Head.\na: 1\n---\nb: 2\n"
    assert list(yaml.safe_load_all(text)) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("data", [{1: "a"}, {"a": {1}}, [object()], [b"a"]])
def test_what_is_no_plain_data_is_an_error(data: Any) -> None:
    with pytest.raises(TypeError):
        as_yaml(data)


@pytest.mark.parametrize("data", [math.nan, math.inf, ["\ud800"]])
def test_what_no_document_can_hold_is_an_error(data: Any) -> None:
    with pytest.raises(ValueError, match=r"JSON|half a character"):
        as_yaml(data)
