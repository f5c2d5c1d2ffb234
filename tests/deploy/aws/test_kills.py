"""kill -9 of a client between any two of its calls, and at any event: the same command goes on.

Each case runs a command in a process that dies before its first call to AWS, in another account
before its second, and so on until a client comes to its end. After each death the same command
is given again, and then everything has to be as if nobody had died.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from tabular.deploy.aws.account.stacks import stack_name
from tabular.deploy.provider import State
from tabular.deploy.stack import Stack
from tabular.errors import BusyError, NotFoundError
from tests.deploy.aws.cloud import (
    AT,
    IMPOSSIBLE,
    ONE,
    THREE,
    TWO,
    Cloud,
    deploy,
    destroy,
    small,
)
from tests.deploy.aws.harness import describe, provider_at
from tests.deploy.aws.killing import (
    KILLED,
    obey,
    run_client,
    to_deploy,
    to_destroy,
    to_roll_back,
)
from tests.testbed.ministack import MiniStack

Command = dict[str, Any]
Made = Callable[[], Cloud]
# In the usual run, so many points are left out between two that are tried.
STRIDE = 6


@pytest.fixture
def accounts(ministack: MiniStack) -> Made:
    numbers = itertools.count(1)
    return lambda: Cloud(ministack.url, f"4444{next(numbers):04d}{next(_cases):04d}")


_cases = itertools.count(1)


def nothing(cloud: Cloud) -> None:
    """A place where nothing is."""


def first_failed(cloud: Cloud) -> None:
    """A first deploy that was rolled back."""
    with pytest.raises(Exception, match="VisibilityTimeout"):
        deploy(cloud.engine(), small(9, **IMPOSSIBLE))


def first_kept_failed(cloud: Cloud) -> None:
    """A first deploy that was left as it failed."""
    with pytest.raises(Exception, match="VisibilityTimeout"):
        deploy(cloud.engine(keep_failed=True), small(9, **IMPOSSIBLE))


def one(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)


def one_two(cloud: Cloud) -> None:
    for stack in (ONE, TWO):
        deploy(cloud.engine(), stack)


def one_two_three(cloud: Cloud) -> None:
    for stack in (ONE, TWO, THREE):
        deploy(cloud.engine(), stack)


def one_with_data(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    (bucket,) = cloud.buckets()
    for number in range(3):
        cloud.client("s3").put_object(Bucket=bucket, Key=f"k{number}", Body=b"x")


def only_data(cloud: Cloud) -> None:
    one_with_data(cloud)
    destroy(cloud.engine(), AT, data=False)


def runs(stack: Stack) -> Callable[[Cloud], None]:
    """The stack serves, once, with nothing beside it."""

    def check(cloud: Cloud) -> None:
        status = cloud.engine().status(AT)
        assert (status.state, status.release) == (State.READY, stack.fingerprint[:12])
        assert list(cloud.stacks()) == [stack_name(AT)]
        assert cloud.delays() == [str(stack.spec["delay"])]
        assert len(cloud.buckets()) == 1
        assert len(cloud.client("secretsmanager").list_secrets()["SecretList"]) == 1
        assert cloud.open_change_sets() == []
        assert cloud.engine().preview(stack).is_empty
        require_closed(cloud)

    return check


def runs_after(stack: Stack, before: Stack) -> Callable[[Cloud], None]:
    """The stack serves, and the release before is still known."""

    def check(cloud: Cloud) -> None:
        runs(stack)(cloud)
        assert cloud.engine().preview_rollback(AT).stack == before

    return check


def first_runs(cloud: Cloud) -> None:
    runs(ONE)(cloud)
    with pytest.raises(NotFoundError, match="no release before"):
        cloud.engine().preview_rollback(AT)
    secret = cloud.client("secretsmanager").list_secrets()["SecretList"][0]["ARN"]
    value = cloud.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    assert cloud.engine().issue_api_key(AT, "admin", only_first=True) == value


def data_is_left(cloud: Cloud) -> None:
    assert cloud.engine().status(AT).state is State.RETAINED
    (bucket,) = cloud.buckets()
    assert len(cloud.client("s3").list_objects_v2(Bucket=bucket)["Contents"]) == 3
    assert cloud.queues() == []
    assert cloud.open_change_sets() == []


def nothing_is_left(cloud: Cloud) -> None:
    assert cloud.stacks() == {}
    assert cloud.buckets() == []
    assert cloud.queues() == []
    assert cloud.client("secretsmanager").list_secrets()["SecretList"] == []
    assert not cloud.all_buckets() or cloud.kept() == []


def require_closed(cloud: Cloud) -> None:
    """The bucket of the releases is whole."""
    s3 = cloud.client("s3")
    (bucket,) = set(cloud.all_buckets()) - set(cloud.buckets())
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert "aws:SecureTransport" in s3.get_bucket_policy(Bucket=bucket)["Policy"]


CASES: dict[str, tuple[Callable[[Cloud], None], Command, Callable[[Cloud], None]]] = {
    "first deploy": (nothing, to_deploy(ONE), first_runs),
    "deploy after a failed one": (first_failed, to_deploy(ONE), first_runs),
    "deploy after one left as it failed": (first_kept_failed, to_deploy(ONE), first_runs),
    "update": (one, to_deploy(TWO), runs_after(TWO, ONE)),
    "deploy onto data": (only_data, to_deploy(TWO), runs(TWO)),
    "rollback": (one_two, to_roll_back(AT), runs(ONE)),
    "destroy": (one_with_data, to_destroy(AT, data=False), data_is_left),
    "destroy with data": (one_with_data, to_destroy(AT, data=True), nothing_is_left),
    "destroy of what failed": (first_failed, to_destroy(AT, data=False), nothing_is_left),
    "delete the data that was left": (only_data, to_destroy(AT, data=True), nothing_is_left),
}


# It takes long to prepare, and shows more than the shorter one: that nobody goes back twice.
LONG = {"rollback of a third": (one_two_three, to_roll_back(AT), runs_after(TWO, ONE))}


def go_on(cloud: Cloud, command: Command) -> None:
    """The same command again; where something runs yet that it does not follow, when that ends."""
    try:
        list(obey(cloud, command))
    except BusyError:
        cloud.settled(stack_name(AT))
        list(obey(cloud, command))


def die_everywhere(
    accounts: Made, case: str, every: int, *, at_events: bool = False, offset: int = 0
) -> int:
    prepare, command, check = (CASES | LONG)[case]
    for number in itertools.count(1 + offset, every):
        cloud = accounts()
        prepare(cloud)
        where = {"event": number} if at_events else {"call": number}
        code = run_client(cloud, command, **where)
        if code == 0:
            check(cloud)
            return number
        assert code == KILLED
        try:
            go_on(cloud, command)
            check(cloud)
        except BaseException as error:
            error.add_note(f"the client died at {where}")
            raise
    raise AssertionError("unreachable")


@pytest.mark.parametrize("case", CASES)
def test_a_client_that_dies_between_two_calls_is_no_loss(accounts: Made, case: str) -> None:
    offset = list(CASES).index(case) % STRIDE
    assert die_everywhere(accounts, case, STRIDE, offset=offset) > STRIDE


@pytest.mark.exhaustive
@pytest.mark.parametrize("case", CASES | LONG)
def test_wherever_it_dies(accounts: Made, case: str) -> None:
    assert die_everywhere(accounts, case, 1) > 5


@pytest.mark.exhaustive
@pytest.mark.parametrize("case", CASES | LONG)
def test_at_whatever_event_it_dies(accounts: Made, case: str) -> None:
    assert die_everywhere(accounts, case, 1, at_events=True) > 2


@pytest.mark.slow
def test_a_whole_platform_whose_first_client_dies(accounts: Made) -> None:
    """The compiler's own stack, of sixty resources, instead of a small one."""
    stack = provider_at("http://127.0.0.1:9").compile(describe("demo"))
    for number in itertools.count(1, STRIDE):
        cloud = accounts()
        code = run_client(cloud, to_deploy(stack), call=number)
        list(obey(cloud, to_deploy(stack)))
        status = cloud.engine().status(AT)
        assert (status.state, status.release) == (State.READY, stack.fingerprint[:12])
        assert {one.id for one in status.resources} == {one.id for one in stack.resources}
        assert len(cloud.queues()) == 2
        assert cloud.open_change_sets() == []
        if code == 0:
            return
