"""Programs of the service as a task of its own beside it: what needs the deployment's network.

The task is the worker's, with another command: the same image, role, settings and security group.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tabular.deploy.aws.account.refusals import explained
from tabular.deploy.aws.account.session import Session
from tabular.deploy.aws.account.stacks import Found, Stacks
from tabular.deploy.aws.running.logs import lines_since
from tabular.deploy.events import utc_now
from tabular.deploy.target import Target
from tabular.errors import EngineError, UnsupportedError

PROGRAM = ("python", "-m", "tabular.transfer")
CONTAINER = "worker"
STARTED_BY = "inferloop-tabular"
_NEEDED = ("Cluster", "WorkerService", "WorkerLogGroup")
_PAUSE = 2.0  # seconds
# Seconds that the last lines may take to CloudWatch once the task has ended.
_LATE = 6.0
_LAST = 5  # lines that an error repeats


class Inside:
    """Runs programs beside the workers of one deployment.

    Args:
        session: the way to the account.
        stacks: reads stacks.
        found: the deployment's stack.
        target: which deployment it is.
        sleep: waits, seconds.
        clock: the time, UTC.

    Raises:
        UnsupportedError: it has no service of ECS.
    """

    def __init__(
        self,
        session: Session,
        stacks: Stacks,
        found: Found,
        target: Target,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        region = target.region or ""
        ids = {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for one in stacks.resources(found, region)
            if one["LogicalResourceId"] in _NEEDED and one.get("PhysicalResourceId")
        }
        if len(ids) < len(_NEEDED):
            raise _no_tasks(found, target)
        self._cluster, self._service, self._group = (ids[name] for name in _NEEDED)
        self._ecs, self._logs = session.client("ecs", region), session.client("logs", region)
        self._sleep, self._clock = sleep, clock

    def run(self, arguments: Sequence[str]) -> Iterator[str]:
        """Run the program to its end; see `tabular.deploy.provider.RunsInside`."""
        begun = self._clock()
        task = self._begin(arguments)
        stream = f"{CONTAINER}/{CONTAINER}/{task.rsplit('/', 1)[-1]}"
        shown: list[str] = []
        while (state := self._describe(task))["lastStatus"] != "STOPPED":
            yield from self._new(stream, begun, shown)
            self._sleep(_PAUSE)
        self._sleep(_LATE)
        yield from self._new(stream, begun, shown)
        _require_success(state, shown)

    def _begin(self, arguments: Sequence[str]) -> str:
        """ARN of the task."""
        with explained("ecs:DescribeServices"):
            (service,) = self._ecs.describe_services(
                cluster=self._cluster, services=[self._service]
            )["services"]
        command = {"name": CONTAINER, "command": [*PROGRAM, *arguments]}
        with explained("ecs:RunTask"):
            answer = self._ecs.run_task(
                cluster=self._cluster,
                taskDefinition=service["taskDefinition"],
                launchType="FARGATE",
                networkConfiguration=service["networkConfiguration"],
                overrides={"containerOverrides": [command]},
                startedBy=STARTED_BY,
            )
        if not answer["tasks"]:
            reasons = "; ".join(one.get("reason", "?") for one in answer.get("failures", ()))
            raise EngineError(
                f"ECS starts no task: {reasons}",
                where=self._cluster,
                hint="nothing was done; the same command again tries it again",
            )
        found: str = answer["tasks"][0]["taskArn"]
        return found

    def _describe(self, task: str) -> Mapping[str, Any]:
        with explained("ecs:DescribeTasks"):
            found = self._ecs.describe_tasks(cluster=self._cluster, tasks=[task])["tasks"]
        if not found:
            raise EngineError(
                "ECS has forgotten the task, which it does an hour after its end",
                where=task,
                hint="`inferloop-tabular logs` has what it printed",
            )
        state: Mapping[str, Any] = found[0]
        return state

    def _new(self, stream: str, since: datetime, shown: list[str]) -> Iterator[str]:
        """Lines that were not shown yet."""
        lines = lines_since(self._logs, self._group, stream, since)[len(shown) :]
        shown += lines
        yield from lines


def _require_success(task: Mapping[str, Any], printed: Sequence[str]) -> None:
    (code,) = [one.get("exitCode") for one in task["containers"] if one["name"] == CONTAINER]
    if code == 0:
        return
    why = f"ended with {code}" if code is not None else f"did not run: {task.get('stoppedReason')}"
    said = f"; it printed last: {' / '.join(printed[-_LAST:])}" if printed else ""
    raise EngineError(
        f"the program {why}{said}",
        where=task["taskArn"],
        hint="the same command again goes on where it was; `inferloop-tabular logs` has the rest",
    )


def _no_tasks(found: Found, target: Target) -> UnsupportedError:
    return UnsupportedError(
        f"{target.environment}/{target.name} has no tasks of ECS, beside which a program could run",
        where=found.name,
        hint="with compute.type ec2: `aws ssm start-session` to an instance of the workers, and "
        "there `docker exec worker python -m tabular.transfer`",
    )
