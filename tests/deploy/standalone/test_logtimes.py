"""The time of a log line, in the notation of each program that writes one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tabular.deploy.standalone.logtimes import time_of

MOMENT = datetime(2026, 1, 31, 12, 0, 5, 123_000)


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-31 12:00:05,123 INFO carrying out apply",
        "1234:M 31 Jan 2026 12:00:05.123 * Ready to accept connections tcp",
    ],
)
def test_lines_without_a_zone_are_of_this_machine(line: str) -> None:
    assert time_of(line) == MOMENT.astimezone()


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-31 12:00:05.123 UTC [77] LOG:  database system is ready to accept connections",
        '{"time": "2026-01-31T12:00:05.123+00:00", "message": "ready"}',
    ],
)
def test_lines_with_a_zone_are_of_that_zone(line: str) -> None:
    assert time_of(line) == MOMENT.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{not json",
        '{"time": "soon"}',
        '{"time": 5}',
        "Traceback (most recent call last):",
        "2026-13-31 12:00:05,123 INFO no such month",
        "1234:M 31 Foo 2026 12:00:05.123 * no such month",
        "2026-01-31 is a day",
    ],
)
def test_what_says_no_time_has_none(line: str) -> None:
    assert time_of(line) is None
