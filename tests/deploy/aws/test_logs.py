"""Logs of a deployment, as CloudWatch gives them: late, out of order, in pages, or not at all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tabular.deploy.aws.account.session import Access, Session
from tabular.deploy.aws.account.stacks import Found, Stacks
from tabular.deploy.aws.running.logs import Logs
from tabular.deploy.provider import LogLine
from tabular.errors import NotFoundError
from tests.deploy.aws.cloud import AT, Cloud, deploy, destroy, small
from tests.deploy.aws.scripted import Scripted

GROUPS = {
    name: {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 7}}
    for name in ("ApiLogGroup", "WorkerLogGroup")
}
NOW = datetime.now(UTC).replace(microsecond=0)
_streams = itertools.count(1)


class Scene:
    """A deployment with logs, and a follower whose pauses a test fills."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        deploy(cloud.engine(), small(more=GROUPS))
        self.groups = {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for one in cloud.api.describe_stack_resources(StackName=self._stack)["StackResources"]
        }
        self.now = NOW
        self.pauses: Iterator[Callable[[], Any]] = iter(())

    @property
    def _stack(self) -> str:
        (name,) = self.cloud.stacks()
        return name

    def write(self, *lines: tuple[float, str], group: str = "ApiLogGroup") -> None:
        """Lines with their age in seconds, in a stream of their own."""
        client, name = self.cloud.client("logs"), f"s{next(_streams)}"
        client.create_log_stream(logGroupName=self.groups[group], logStreamName=name)
        events = [
            {"timestamp": int((self.now - timedelta(seconds=age)).timestamp() * 1000),
             "message": text}
            for age, text in lines
        ]  # fmt: skip
        client.put_log_events(logGroupName=self.groups[group], logStreamName=name, logEvents=events)

    def read(self, *, follow: bool = False, tail: int = 10) -> Iterator[LogLine]:
        session = self.cloud.session()
        stacks = Stacks(session)
        found = stacks.find(AT)
        assert found is not None
        logs = Logs(session, stacks, sleep=self._sleep, clock=lambda: self.now)
        return logs.read(found, AT, follow=follow, tail=tail)

    def follow(self, *pauses: Callable[[], Any], tail: int = 10) -> list[str]:
        """What is told while this happens in the pauses, then the reader goes away."""
        self.pauses = iter([*pauses, _leave])
        told: list[str] = []
        try:
            for line in self.read(follow=True, tail=tail):
                told.append(line.text)
        except _Left:
            return told
        raise AssertionError("following ended by itself")

    def _sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        next(self.pauses)()


class _Left(Exception):
    """The reader goes away."""


def _leave() -> None:
    raise _Left


@pytest.fixture
def scene(cloud: Cloud) -> Scene:
    return Scene(cloud)


def texts(lines: Iterator[LogLine]) -> list[str]:
    return [line.text for line in lines]


def test_the_last_lines_of_each_component_in_the_order_of_time(scene: Scene) -> None:
    scene.write((9, "a1"), (7, "a2"), (5, "a3\n"))
    scene.write((8, "w1"), (6, "w2"), group="WorkerLogGroup")
    assert [(line.component, line.text) for line in scene.read(tail=2)] == [
        ("worker", "w1"),
        ("api", "a2"),
        ("worker", "w2"),
        ("api", "a3"),
    ]
    assert texts(scene.read(tail=0)) == []
    (first, *_) = scene.read()
    assert first.time == NOW - timedelta(seconds=9)


@pytest.mark.parametrize("age", [5, 300, 5_000, 80_000, 1_000_000])
def test_lines_are_found_however_old_they_are(scene: Scene, age: int) -> None:
    scene.write((age, "old"))
    assert texts(scene.read()) == ["old"]


def test_lines_of_several_streams_are_put_in_order(scene: Scene) -> None:
    scene.write((9, "one"), (5, "three"))
    scene.write((7, "two"), (3, "four"))
    assert texts(scene.read()) == ["one", "two", "three", "four"]
    assert texts(scene.read(tail=2)) == ["three", "four"]


def test_more_lines_than_a_page_holds() -> None:
    """The emulator gives one page of 10,000 lines and no word of more; AWS gives a token."""
    since = {
        "logGroupName": "g",
        "startTime": int((NOW - timedelta(seconds=30)).timestamp()) * 1000,
    }
    base = Scripted(
        cloudformation=[
            (
                "list_stack_resources",
                None,
                {
                    "StackResourceSummaries": [
                        {
                            "LogicalResourceId": "ApiLogGroup",
                            "PhysicalResourceId": "g",
                            "ResourceType": "AWS::Logs::LogGroup",
                            "LastUpdatedTimestamp": NOW,
                            "ResourceStatus": "CREATE_COMPLETE",
                        }
                    ]
                },
            )
        ],
        logs=[
            ("filter_log_events", since, {"events": _raw("a", "b"), "nextToken": "t"}),
            # A page may be empty, and more come after it.
            ("filter_log_events", {**since, "nextToken": "t"}, {"events": [], "nextToken": "u"}),
            ("filter_log_events", {**since, "nextToken": "u"}, {"events": _raw("c")}),
        ],
    )
    session = Session(Access(), base=base)
    stacks = Stacks(session)
    found = Found("s", "arn", "CREATE_COMPLETE", "", NOW, {})
    logs = Logs(session, stacks, clock=lambda: NOW)
    assert texts(logs.read(found, AT, follow=False, tail=2)) == ["b", "c"]
    base.require_all()


def _raw(*lines: str) -> list[dict[str, Any]]:
    return [
        {"eventId": text, "message": text, "timestamp": int(NOW.timestamp() * 1000) + ord(text)}
        for text in lines
    ]


def test_following_tells_each_line_once(scene: Scene) -> None:
    scene.write((3, "before"))
    told = scene.follow(
        lambda: scene.write((0, "one")),
        lambda: None,
        lambda: scene.write((0, "two"), group="WorkerLogGroup"),
        lambda: None,
    )
    assert told == ["before", "one", "two"]


def test_following_tells_lines_that_come_late(scene: Scene) -> None:
    """A line of before the command began, of which CloudWatch hears only now."""
    scene.write((3, "before"))
    told = scene.follow(lambda: scene.write((10, "late")), lambda: scene.write((20, "later")))
    assert told == ["before", "late", "later"]


def test_following_does_not_tell_what_the_tail_left_out(scene: Scene) -> None:
    scene.write((9, "left out"), (5, "last"))
    assert scene.follow(lambda: None, tail=1) == ["last"]
    assert scene.follow(lambda: scene.write((0, "new")), tail=0) == ["new"]


def test_a_group_that_somebody_deleted_is_said(scene: Scene) -> None:
    scene.cloud.client("logs").delete_log_group(logGroupName=scene.groups["ApiLogGroup"])
    with pytest.raises(NotFoundError, match="is gone") as caught:
        texts(scene.read())
    assert scene.groups["ApiLogGroup"] in caught.value.message
    assert "inferloop-tabular drift" in str(caught.value.hint)


def test_kept_data_writes_no_logs(scene: Scene) -> None:
    destroy(scene.cloud.engine(), AT, data=False)
    with pytest.raises(NotFoundError, match="nothing that writes logs"):
        list(scene.cloud.engine().logs(AT, follow=True, tail=5))
