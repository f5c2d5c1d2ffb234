"""What the page on the image says of rights and packages is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from tabular.deploy.aws.permissions import policies
from tabular.deploy.image.staging import CLIENTS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "images.md").read_text(encoding="utf-8")
# Said in words, or what comes with another one.
_IN_WORDS = {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http", "requests"}


def test_every_client_that_is_in_the_image_is_on_the_page() -> None:
    assert {name for name in CLIENTS if f"`{name}`" not in PAGE} == _IN_WORDS


def test_who_pushes_needs_nothing_that_a_deployer_is_not_given() -> None:
    named = set(re.findall(r"`(ecr:\w+)`", PAGE))
    given = {
        action
        for one in policies([])
        for statement in one["Statement"]
        for action in statement["Action"]
    }
    assert len(named) == 10
    assert named <= given
