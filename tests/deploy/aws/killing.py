"""Clients that die: processes that end themselves by SIGKILL at a chosen moment of a command.

They are forked from one server that has read boto3's models already, so that each takes the time
of its command and not seconds to start.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from typing import Any

from tabular.deploy.events import Event
from tabular.deploy.stack import Stack
from tabular.deploy.target import Target
from tests.deploy.aws.cloud import Cloud, deploying

KILLED = -signal.SIGKILL
LONGEST = 60.0  # seconds that a client may live


@functools.cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.deploy.aws.killing", "tests.deploy.aws.warm"])
    return context


def run_client(cloud: Cloud, command: dict[str, Any], *, call: int = 0, event: int = 0) -> int:
    """Run a command in a process that dies before it sends its `call`-th call, or at an event.

    Args:
        cloud: where.
        command: ``do`` (deploy, rollback, destroy), and what that needs.
        call: number of the call to AWS, from 1; 0 for none.
        event: number of the event, from 1; 0 for none.

    Returns:
        Its exit code: `KILLED`, or 0 when the command ended before that.
    """
    arguments = (cloud.url, cloud.account, command, call, event)
    client = _server().Process(target=_live, args=arguments)
    client.start()
    client.join(LONGEST)
    assert client.exitcode is not None, f"{command} does not end"
    return client.exitcode


def obey(cloud: Cloud, command: dict[str, Any], session: Any = None) -> Iterator[Event]:
    """Do what a command says, as a client."""
    engine = cloud.engine(session)
    if command["do"] == "deploy":
        yield from deploying(engine, command["stack"])
    elif command["do"] == "rollback":
        yield from engine.rollback(engine.preview_rollback(command["at"]))
    else:
        yield from engine.destroy(command["at"], delete_data=command["data"])


def to_deploy(stack: Stack) -> dict[str, Any]:
    """The command that deploys a stack."""
    return {"do": "deploy", "stack": stack}


def to_roll_back(at: Target) -> dict[str, Any]:
    """The command that goes back to the release before."""
    return {"do": "rollback", "at": at}


def to_destroy(at: Target, *, data: bool) -> dict[str, Any]:
    """The command that takes a deployment down."""
    return {"do": "destroy", "at": at, "data": data}


def _live(url: str, account: str, command: dict[str, Any], call: int, event: int) -> None:
    cloud = Cloud(url, account)
    session = cloud.session()
    calls = 0

    def count(**_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)

    # Every attempt at a call passes here, with the request complete and nothing sent.
    base: Any = session._base
    base.events.register("before-send", count)
    for told in obey(cloud, command, session):
        if told.sequence == event:
            os.kill(os.getpid(), signal.SIGKILL)
