"""AWS at its worst, by `microburst`: throttling, server errors, cut connections, garbled answers.

Whatever happens to a call, the command either comes to its end or says that it can be run again,
and run again it comes to its end: nothing is lost, nothing is there twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tabular.deploy.aws.account.stacks import stack_name
from tabular.deploy.provider import State
from tabular.errors import (
    ApplyError,
    BusyError,
    IntegrityError,
    PreflightError,
    TabularError,
    UnavailableError,
)
from tests.deploy.aws.cloud import (
    AT,
    IMPOSSIBLE,
    ONE,
    TWO,
    Clock,
    Cloud,
    deploy,
    destroy,
    roll_back,
    small,
    target,
    waiting,
)
from tests.testbed.microburst import Microburst, Rule, microburst_server
from tests.testbed.ministack import MiniStack

_accounts = itertools.count(1)

THROTTLED = {"error": {"code": "Throttling", "status": 400}}
FAILED = {"error": {"code": "InternalFailure", "status": 500}}
SLOWED = {"error": {"code": "SlowDown", "status": 503}}
RESET = {"reset": True}
LOST = {"response": {"abort_frac": 0.5}}  # carried out, and the answer never comes
CUT = {"response": {"truncate_frac": 0.5}}  # carried out, and half of the answer seems all of it
FAULTS: dict[str, dict[str, Any]] = {
    "throttled": THROTTLED, "failed": FAILED, "reset": RESET, "lost": LOST, "cut": CUT,
}  # fmt: skip
CALLS = [
    *(
        ("cloudformation", name)
        for name in (
            "CreateChangeSet", "DeleteChangeSet", "DeleteStack", "DescribeChangeSet",
            "DescribeStackEvents", "DescribeStacks", "ExecuteChangeSet", "GetTemplate",
            "ListChangeSets", "ListStackResources",
        )
    ),
    *(
        ("s3", name)
        for name in (
            "CreateBucket", "DeleteObject", "DeleteObjects", "GetBucketPolicy", "GetObject",
            "ListObjectVersions", "PutBucketEncryption", "PutBucketPolicy", "PutBucketVersioning",
            "PutObject", "PutPublicAccessBlock",
        )
    ),
    ("sts", "GetCallerIdentity"),
    ("secretsmanager", "GetSecretValue"),
]  # fmt: skip
# An answer without a body cannot be cut; one of these says nothing that is read.
BODILESS = {"DeleteObject", "PutObject", "PutBucketEncryption", "PutBucketPolicy",
            "PutBucketVersioning", "PutPublicAccessBlock", "CreateBucket"}  # fmt: skip
# What is tried in the usual run: calls that change something, and bodies that are trusted.
WORST = [
    ("cloudformation", "CreateChangeSet", "lost"),
    ("cloudformation", "CreateChangeSet", "cut"),
    ("cloudformation", "ExecuteChangeSet", "lost"),
    ("cloudformation", "ExecuteChangeSet", "cut"),
    ("cloudformation", "DeleteStack", "lost"),
    ("cloudformation", "DescribeStackEvents", "throttled"),
    ("cloudformation", "GetTemplate", "cut"),
    ("s3", "GetObject", "lost"),
    ("s3", "GetObject", "cut"),
    ("secretsmanager", "GetSecretValue", "cut"),
]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, ministack: MiniStack) -> Iterator[Microburst]:
    with microburst_server(tmp_path_factory.mktemp("microburst"), ministack.url) as server:
        yield server


@pytest.fixture
def cloud(ministack: MiniStack) -> Cloud:
    return Cloud(ministack.url, f"5555{next(_accounts):08d}")


def through(proxy: Microburst, cloud: Cloud, **follower: Any) -> Any:
    """A new client on the far side of the proxy."""
    return cloud.engine(cloud.session(proxy.url), **follower)


def first_key(engine: Any) -> None:
    engine.issue_api_key(AT, "admin", only_first=True)


LIFE: list[Callable[[Any], Any]] = [
    lambda engine: deploy(engine, ONE),
    first_key,
    lambda engine: deploy(engine, TWO),
    lambda engine: roll_back(engine, AT),
    lambda engine: destroy(engine, AT, data=False),
    lambda engine: deploy(engine, TWO),
    lambda engine: destroy(engine, AT, data=True),
]


def insist(proxy: Microburst, cloud: Cloud, command: Callable[[Any], Any], tries: int) -> None:
    """Give a command until it comes to its end; only a temporary error lets it be given again."""
    for _ in range(tries):
        try:
            command(through(proxy, cloud))
            return
        except BusyError:
            cloud.settled(stack_name(AT))
        except UnavailableError as error:
            assert "again" in str(error.hint), error
    raise AssertionError(f"no end after {tries} tries")


def live(proxy: Microburst, cloud: Cloud, tries: int = 3) -> None:
    """A whole life; after each command things are as it says."""
    for number, command in enumerate(LIFE):
        insist(proxy, cloud, command, tries)
        if number == 3:
            assert cloud.engine().status(AT).release == ONE.fingerprint[:12]
            assert cloud.delays() == ["1"]
        if number == 4:
            assert cloud.engine().status(AT).state is State.RETAINED
            assert (len(cloud.buckets()), cloud.queues()) == (1, [])
        if number == 5:
            assert cloud.delays() == ["2"]
            assert cloud.open_change_sets() == []
    assert (cloud.stacks(), cloud.buckets(), cloud.queues(), cloud.kept()) == ({}, [], [], [])


def a_life_with(proxy: Microburst, cloud: Cloud, service: str, operation: str, fault: str) -> None:
    rule: Rule = {"service": service, "operation": operation, "times": 2, **FAULTS[fault]}
    proxy.fail(rule)
    live(proxy, cloud)
    # Of a deletion that was heard there is no second.
    assert len(proxy.fired()) in (1, 2)


@pytest.mark.slow
@pytest.mark.parametrize(("service", "operation", "fault"), WORST)
def test_the_worst_faults(
    proxy: Microburst, cloud: Cloud, service: str, operation: str, fault: str
) -> None:
    a_life_with(proxy, cloud, service, operation, fault)


# An answer without a body cannot be cut; the worst are tried in the slow tier.
OTHERS = [
    (service, operation, fault)
    for service, operation in CALLS
    for fault in FAULTS
    if not (operation in BODILESS and fault in ("lost", "cut"))
    and (service, operation, fault) not in WORST
]


@pytest.mark.exhaustive
@pytest.mark.parametrize(("service", "operation", "fault"), OTHERS)
def test_every_fault_at_every_call(
    proxy: Microburst, cloud: Cloud, service: str, operation: str, fault: str
) -> None:
    a_life_with(proxy, cloud, service, operation, fault)


@pytest.mark.slow
@pytest.mark.parametrize("round_", range(3))
def test_everything_at_once(proxy: Microburst, cloud: Cloud, round_: int) -> None:
    rules = [
        {"service": service, "probability": 0.04, **fault}
        for service, slow in (("cloudformation", THROTTLED), ("s3", SLOWED))
        for fault in (slow, FAILED, RESET, LOST, CUT)
    ]
    proxy.fail(*rules)
    live(proxy, cloud, tries=12)
    assert len(proxy.fired()) > 10


@pytest.mark.parametrize("fault", FAULTS)
def test_letting_go_of_what_was_kept_for_looking_at_it(
    proxy: Microburst, cloud: Cloud, fault: str
) -> None:
    with pytest.raises(ApplyError):
        deploy(cloud.engine(keep_failed=True), small(9, **IMPOSSIBLE))
    rule = {"service": "cloudformation", "operation": "RollbackStack", "times": 1}
    proxy.fail({**rule, **FAULTS[fault]})
    insist(proxy, cloud, lambda engine: deploy(engine, ONE), tries=2)
    assert len(proxy.fired()) == 1
    assert (cloud.delays(), len(cloud.buckets())) == (["1"], 1)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_protection_of_production(proxy: Microburst, cloud: Cloud, fault: str) -> None:
    at = target(environment="production")
    rule = {"service": "cloudformation", "operation": "UpdateTerminationProtection", "times": 1}
    for command in (
        lambda engine: deploy(engine, small(1, at=at)),
        lambda engine: destroy(engine, at, data=True),
    ):
        proxy.fail({**rule, **FAULTS[fault]})
        insist(proxy, cloud, command, tries=2)
        assert len(proxy.fired()) == 1
        if cloud.stacks():
            assert cloud.described(at)["EnableTerminationProtection"] is True
    assert cloud.stacks() == {}


# --- What is believed, and what is not


def test_a_record_that_comes_cut_short_each_time_is_never_applied(
    proxy: Microburst, cloud: Cloud
) -> None:
    for stack in (ONE, TWO):
        deploy(cloud.engine(), stack)
    proxy.fail({"service": "s3", "operation": "GetObject", **CUT})
    with pytest.raises(IntegrityError) as caught:
        roll_back(through(proxy, cloud), AT)
    assert caught.value.exit_code == 5
    assert len(proxy.fired()) == 3
    assert cloud.delays() == ["2"]


def test_an_answer_that_is_cut_short_is_not_taken_for_an_empty_one(
    proxy: Microburst, cloud: Cloud
) -> None:
    deploy(cloud.engine(), ONE)
    proxy.fail({"service": "secretsmanager", **CUT})
    with pytest.raises(IntegrityError, match="garbled"):
        first_key(through(proxy, cloud))
    proxy.fail()
    assert through(proxy, cloud).issue_api_key(AT, "admin", only_first=True)


# --- While an operation is followed


def held(cloud: Cloud) -> Any:
    """A deploy that goes on until it is signalled; where it is followed."""
    stack = small(3, more=waiting())
    engine = cloud.engine()
    events = engine.apply(engine.preview(stack))
    for event in events:
        if event.resource == "Wait":
            break
    return stack


def test_throttling_of_minutes_does_not_end_the_following(proxy: Microburst, cloud: Cloud) -> None:
    held(cloud)
    clock = Clock()
    rule = {"service": "cloudformation", "operation": "DescribeStacks", **FAILED}
    engine = through(proxy, cloud, sleep=clock.sleep, clock=clock.now, pause=3.0)
    events = engine.attach(AT)
    proxy.fail()
    assert next(events).sequence == 1
    proxy.fail({**rule, "times": 8})  # as often as boto3 tries: one question stays unanswered
    cloud.signal(AT)
    told = list(events)
    assert len(proxy.fired()) == 8
    assert [event.sequence for event in told] == list(range(2, len(told) + 2))
    assert cloud.engine().status(AT).state is State.READY


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("ExpiredToken", PreflightError, "have run out"),
        ("InvalidClientTokenId", PreflightError, "does not know these credentials"),
    ],
)
def test_credentials_that_run_out_end_the_following_only(
    proxy: Microburst, cloud: Cloud, code: str, kind: type[TabularError], words: str
) -> None:
    held(cloud)
    proxy.fail()
    events = through(proxy, cloud).attach(AT)
    next(events)
    proxy.fail({"service": "cloudformation", "error": {"code": code, "status": 403}})
    with pytest.raises(kind, match=words) as caught:
        list(events)
    assert "it goes on by itself at AWS; the same command again follows it" in str(caught.value)
    cloud.signal(AT)
    proxy.fail()
    again = list(through(proxy, cloud).attach(AT))
    assert [event.sequence for event in again] == list(range(1, len(again) + 1))
    assert cloud.engine().status(AT).state is State.READY
