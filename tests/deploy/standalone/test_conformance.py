"""The contract of all providers, over real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.suite import CHECKS, Check
from tests.deploy.standalone.harness import StandaloneHarness


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[StandaloneHarness]:
    found = StandaloneHarness(tmp_path)
    yield found
    found.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_standalone_conforms(check: Check, harness: StandaloneHarness) -> None:
    check(harness)
