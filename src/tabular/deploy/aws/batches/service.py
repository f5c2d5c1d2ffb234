"""Generations by AWS Batch: submitted once, followed from anywhere, ended, and explained.

An order in the bucket and jobs by its name in the queue are all the state that there is. The same
submit again therefore finds what an earlier one did, and goes on where that one was killed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from math import ceil
from typing import Any

from tabular.deploy.aws.account.session import Session
from tabular.deploy.aws.account.stacks import Found, Stacks
from tabular.deploy.aws.batches.orders import OrderBucket
from tabular.deploy.aws.batches.queue import Queue, Raw, state_of, step_of, time_of
from tabular.deploy.aws.running.logs import stream_lines
from tabular.deploy.batches import DRAW, Job, JobState, Order, whole_state
from tabular.deploy.provider import LogLine
from tabular.deploy.target import Target
from tabular.errors import NotFoundError, UnsupportedError, UsageError

MAX_CONTAINERS = 10_000  # of an array job, says the quota page of Batch
_LOGS = 50  # containers whose log is shown
_AGAIN = (JobState.FAILED, JobState.CANCELLED)


class BatchService:
    """The batch service of one deployment.

    Args:
        session: the way to the account.
        stacks: reads stacks.
        found: the deployment's stack.
        target: which deployment it is.

    Raises:
        UnsupportedError: it has no queue of Batch.
    """

    def __init__(self, session: Session, stacks: Stacks, found: Found, target: Target) -> None:
        region, outputs = target.region or "", found.outputs
        if "jobQueue" not in outputs:
            raise _no_queue(found, target)
        self._session, self._stacks, self._found, self._region = session, stacks, found, region
        self._queue = Queue(
            session,
            region,
            outputs["jobQueue"],
            outputs["jobDefinition"],
            found.described.get("tags", {}),
        )
        self._bucket = OrderBucket(session, region, outputs["bucket"])

    def submit(self, order: Order) -> Job:
        """Have an order done, or go on with it; see `tabular.deploy.batches.Batches`."""
        containers = self._containers(order)
        self._bucket.require(order.inputs)
        self._bucket.place_order(order.id, order.document)
        if self._bucket.has_result(order.id):
            return self.job(order.id)
        there = self._kept(order)
        if len(there) < len(order.steps):
            self._bucket.forget_report(order.id)
        after: str | None = None
        for step in order.steps:
            if step in there:
                job = there[step]["jobId"]
            else:
                job = self._queue.submit(
                    order.id,
                    step,
                    self._bucket.order(order.id),
                    containers=containers if step == DRAW else 1,
                    after=after,
                )
            after = job
        return self.job(order.id)

    def jobs(self) -> tuple[Job, ...]:
        """What Batch remembers: all that has not ended, and what ended in the last days."""
        return tuple(self._described(id, steps) for id, steps in self._queue.all().items())

    def job(self, id: str) -> Job:
        """One job; of what Batch has forgotten, what its report says."""
        steps, report = self._queue.of(id), self._bucket.report(id)
        if steps:
            reasons = {step: self._queue.why(job) for step, job in steps.items()}
            return self._described(id, steps, reasons, report)
        if report is not None:
            state = JobState.SUCCEEDED if report["status"] == "succeeded" else JobState.FAILED
            return Job(id, state, (), None, None, report, self._bucket.place)
        if not self._bucket.has_order(id):
            raise NotFoundError(
                f"there is no job {id}",
                where=self._bucket.place,
                hint="`inferloop-tabular jobs list` shows them",
                code="not-found.job",
            )
        return Job(id, JobState.INCOMPLETE, (), None, None, None, self._bucket.place)

    def cancel(self, id: str) -> Job:
        """End every step that has not ended."""
        self.job(id)
        # The last first: none begins because the one before it is gone.
        for job in reversed(self._queue.of(id).values()):
            if not state_of(job).ended:
                self._queue.end(job["jobId"])
        return self.job(id)

    def logs(self, id: str, *, tail: int) -> Iterator[LogLine]:
        """The last lines of each container, failed ones first, up to fifty of them."""
        self.job(id)
        client, group, shown = self._session.client("logs", self._region), self._log_group(), 0
        for step, job in self._queue.of(id).items():
            for one in self._containers_of(job):
                for component, stream in _streams(step, one):
                    if shown == _LOGS:
                        return
                    shown += 1
                    yield from stream_lines(client, component, group, stream, tail)

    def _containers(self, order: Order) -> int:
        """Number of containers that draw."""
        said = order.containers or self._width()
        if said > MAX_CONTAINERS:
            raise UsageError(f"Batch starts at most {MAX_CONTAINERS} containers", where="--parts")
        return min(said, order.parts)

    def _width(self) -> int:
        """How many containers the deployment runs at once."""
        resources = self._found.template["Resources"]
        most = resources["ComputeEnvironment"]["Properties"]["ComputeResources"]["MaxvCpus"]
        needs = resources["JobDefinition"]["Properties"]["ContainerProperties"]
        (cores,) = [
            float(one["Value"]) for one in needs["ResourceRequirements"] if one["Type"] == "VCPU"
        ]
        return max(1, int(most) // ceil(cores))

    def _kept(self, order: Order) -> dict[str, Raw]:
        """Jobs of the newest try before the first that failed: they are not done again."""
        kept: dict[str, Raw] = {}
        there = self._queue.of(order.id)
        for step in order.steps:
            if step not in there or state_of(there[step]) in _AGAIN:
                break
            kept[step] = there[step]
        return kept

    def _described(
        self,
        id: str,
        raw: Mapping[str, Raw],
        reasons: Mapping[str, str] | None = None,
        report: Mapping[str, Any] | None = None,
    ) -> Job:
        steps = tuple(
            step_of(name, job, (reasons or {}).get(name, "")) for name, job in raw.items()
        )
        state = whole_state(steps)
        return Job(
            id,
            state,
            steps,
            submitted=time_of(min(job["createdAt"] for job in raw.values())),
            ended=_ended(raw) if state.ended else None,
            report=report,
            place=self._bucket.place,
        )

    def _containers_of(self, job: Raw) -> Iterator[Raw]:
        """Descriptions of the containers of a job."""
        if "size" not in job.get("arrayProperties", {}):
            yield job
            return
        for status in ("FAILED", "RUNNING", "SUCCEEDED"):
            ids = [raw["jobId"] for raw in self._queue.children(job["jobId"], status)]
            yield from self._queue.described(ids[:_LOGS])

    def _log_group(self) -> str:
        for one in self._stacks.resources(self._found, self._region):
            if one["LogicalResourceId"] == "JobLogGroup":
                return str(one["PhysicalResourceId"])
        raise NotFoundError("the log group of the jobs is gone", where=self._found.name)


def _streams(step: str, job: Raw) -> Iterator[tuple[str, str]]:
    """Name and log stream of every try of a container."""
    index = job.get("arrayProperties", {}).get("index")
    component = step if index is None else f"{step}/{index}"
    tries = [one.get("container", {}) for one in job.get("attempts", ())]
    current = job.get("container", {})
    names = dict.fromkeys(one.get("logStreamName") for one in (*tries, current))
    streams = [name for name in names if name]
    for number, name in enumerate(streams, start=1):
        yield (component if len(streams) == 1 else f"{component} try {number}"), name


def _ended(raw: Mapping[str, Raw]) -> datetime | None:
    return time_of(
        max((job["stoppedAt"] for job in raw.values() if "stoppedAt" in job), default=None)
    )


def _no_queue(found: Found, target: Target) -> UnsupportedError:
    url, bucket = found.outputs.get("url"), found.outputs.get("bucket")
    if "function" in found.outputs:
        hint = f"it takes orders as files: aws s3 cp ORDER.json s3://{bucket}/tabular/incoming/"
    else:
        hint = f"ask its API: POST {url or ''}/v1/generate; its workers share large jobs"
    return UnsupportedError(
        f"{target.environment}/{target.name} has no queue of AWS Batch",
        where=found.name,
        hint=f"{hint}; or deploy with compute.type: batch",
    )
