"""The suite over every provider, and the proof that each check can fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tabular.errors import TabularError
from tests.conformance.broken import BROKEN
from tests.conformance.folder import FolderHarness
from tests.conformance.harness import Harness
from tests.conformance.suite import CHECKS, Check
from tests.deploy.standalone.harness import StandaloneHarness

HARNESSES: dict[str, Callable[[Path], Harness]] = {
    "folder": FolderHarness,
    "standalone": StandaloneHarness,
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("provider", HARNESSES)
def test_provider_conforms(provider: str, check: Check, tmp_path: Path) -> None:
    harness = HARNESSES[provider](tmp_path)
    try:
        check(harness)
    finally:
        harness.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_provider_that_breaks_the_rule_is_caught(check: Check, tmp_path: Path) -> None:
    broken = BROKEN[check](tmp_path)
    with pytest.raises((AssertionError, pytest.fail.Exception, TabularError)):
        check(broken)


def test_every_rule_has_its_broken_provider() -> None:
    assert set(BROKEN) == set(CHECKS)
