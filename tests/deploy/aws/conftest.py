"""An account of its own for each test that deploys small stacks."""

from __future__ import annotations

import pytest

from tests.deploy.aws.cloud import Cloud
from tests.testbed.ministack import MiniStack


@pytest.fixture
def cloud(ministack: MiniStack, aws_account: str) -> Cloud:
    """One account of the emulator that all tests share."""
    return Cloud(ministack.url, aws_account)
