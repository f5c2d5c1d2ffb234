"""Logs of a deployment: what its log groups in CloudWatch hold, as lines of every provider."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tabular.deploy.aws.account.refusals import explained
from tabular.deploy.aws.account.session import Session
from tabular.deploy.aws.account.stacks import Found, Stacks
from tabular.deploy.events import utc_now
from tabular.deploy.provider import LogLine
from tabular.deploy.target import Target
from tabular.errors import NotFoundError

_COMPONENTS = {
    "ApiLogGroup": "api",
    "WorkerLogGroup": "worker",
    "FunctionLogGroup": "function",
    "JobLogGroup": "job",
}
_PAUSE = 2.0  # seconds
# Lines come to CloudWatch with a delay and not in order: so much is read once more.
_OVERLAP = timedelta(seconds=30)
_REMEMBERED = 100_000  # ids of lines that were shown
_BEGINNING = datetime.fromtimestamp(0, UTC)
# How far back the last lines are looked for; the first holds what a follower reads once more.
_WINDOWS = (
    _OVERLAP, timedelta(minutes=10), timedelta(hours=2), timedelta(days=1), timedelta(days=14),
)  # fmt: skip


class Logs:
    """Reads logs.

    Args:
        session: the way to the account.
        stacks: reads stacks.
        sleep: waits, seconds.
        clock: the time, UTC.
    """

    def __init__(
        self,
        session: Session,
        stacks: Stacks,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._session = session
        self._stacks = stacks
        self._sleep = sleep
        self._clock = clock

    def read(self, found: Found, target: Target, *, follow: bool, tail: int) -> Iterator[LogLine]:
        """The last ``tail`` lines of each log group, then new ones if ``follow``.

        Raises:
            NotFoundError: there are no logs, or somebody deleted a log group.
        """
        region = target.region or ""
        client = self._session.client("logs", region)
        groups = self._groups(found, region)
        begun = self._clock()
        lines: list[LogLine] = []
        seen: dict[str, None] = {}
        for name, group in groups.items():
            events = _last(client, group, begun, tail)
            seen |= {event["eventId"]: None for event in events}
            lines += [_line(name, event) for event in events[max(0, len(events) - tail) :]]
        yield from sorted(lines, key=lambda line: (line.time or begun, line.component))
        if follow:
            yield from self._new(client, groups, begun, seen)

    def _new(
        self, client: Any, groups: Mapping[str, str], since: datetime, seen: dict[str, None]
    ) -> Iterator[LogLine]:
        """Lines from a moment on, each once, whenever it arrives within the overlap."""
        while True:
            self._sleep(_PAUSE)
            now = self._clock()
            for name, group in groups.items():
                for raw in _events(client, group, since - _OVERLAP):
                    if raw["eventId"] not in seen:
                        seen[raw["eventId"]] = None
                        yield _line(name, raw)
            since = now
            for old in list(seen)[:-_REMEMBERED]:
                del seen[old]

    def _groups(self, found: Found, region: str) -> dict[str, str]:
        """Names of the log groups, by component."""
        groups = {
            _COMPONENTS[one["LogicalResourceId"]]: one["PhysicalResourceId"]
            for one in self._stacks.resources(found, region)
            if one["LogicalResourceId"] in _COMPONENTS and one.get("PhysicalResourceId")
        }
        if not groups:
            raise NotFoundError(
                f"nothing that writes logs is there: the stack is {found.status}",
                where=found.id,
                hint="`inferloop-tabular status` shows what is there",
                code="not-found.logs",
            )
        return groups


def _last(client: Any, group: str, now: datetime, tail: int) -> list[Mapping[str, Any]]:
    """At least the last lines; CloudWatch can be asked from a time on, so ever longer ago."""
    found: list[Mapping[str, Any]] = []
    for window in _WINDOWS:
        found = _events(client, group, now - window)
        if len(found) >= tail:
            break
    return found


def _events(client: Any, group: str, since: datetime, **more: Any) -> list[Mapping[str, Any]]:
    """Events from a time on, in the order of time."""
    with explained("logs:FilterLogEvents"):
        pages = client.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=max(0, int(since.timestamp() * 1000)), **more
        )
        try:
            found = [event for page in pages for event in page["events"]]
        except client.exceptions.ResourceNotFoundException as error:
            raise NotFoundError(
                f"the log group {group} is gone",
                hint="somebody deleted it: `inferloop-tabular drift` shows what else is missing",
                code="not-found.logs",
            ) from error
    return sorted(found, key=lambda event: event["timestamp"])


def stream_lines(
    client: Any, component: str, group: str, stream: str, tail: int
) -> Iterator[LogLine]:
    """The last lines of one stream, which is one container's; none where there is none yet."""
    for raw in _of_stream(client, group, stream, _BEGINNING)[-tail:]:
        yield _line(component, raw)


def lines_since(client: Any, group: str, stream: str, since: datetime) -> list[str]:
    """All lines of one stream from a time on; none where there is none yet."""
    found = _of_stream(client, group, stream, since - _OVERLAP)
    return [_text(raw) for raw in found]


def _of_stream(client: Any, group: str, stream: str, since: datetime) -> list[Mapping[str, Any]]:
    try:
        return _events(client, group, since, logStreamNames=[stream])
    except NotFoundError:
        return []  # a container that has not begun to write


def _line(component: str, raw: Mapping[str, Any]) -> LogLine:
    return LogLine(component, _text(raw), _time(raw))


def _text(raw: Mapping[str, Any]) -> str:
    return str(raw["message"]).rstrip("\n")


def _time(raw: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(raw["timestamp"] / 1000, UTC)
