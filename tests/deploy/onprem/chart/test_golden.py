"""Renderings are as they were written down: a change of a template shows all that it changes."""

from __future__ import annotations

import difflib

import pytest

from tests.deploy.onprem.chart import golden


@pytest.mark.parametrize("name", golden.RENDERINGS)
def test_a_rendering_is_as_written_down(name: str) -> None:
    was = golden.path(name).read_text(encoding="utf-8").splitlines()
    now = golden.text(name).splitlines()
    changed = list(difflib.unified_diff(was, now, "was", "now", lineterm="", n=2))
    assert not changed, "\n".join([f"if this is meant, run {golden.AGAIN}", *changed[:80]])


def test_no_file_is_left_of_what_is_not_rendered() -> None:
    assert {file.stem for file in golden.FOLDER.iterdir()} == set(golden.RENDERINGS)
