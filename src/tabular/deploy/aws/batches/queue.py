"""Jobs of AWS Batch, read back as steps of ours: by their names, whoever submitted them.

Nothing is remembered beside Batch and the bucket, so that any machine sees the same, and a client
that dies between two calls leaves nothing that the next one does not find.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from tabular.deploy.aws.account.refusals import explained
from tabular.deploy.aws.account.session import Session
from tabular.deploy.batches import STEPS, JobState, Step

MAX_DESCRIBED = 100  # jobs of one call, says DescribeJobs in the API reference of Batch
_SHOWN = 3  # containers whose failure is told
_STATES = {
    "SUBMITTED": JobState.WAITING,
    "PENDING": JobState.WAITING,
    "RUNNABLE": JobState.WAITING,
    "STARTING": JobState.RUNNING,
    "RUNNING": JobState.RUNNING,
    "SUCCEEDED": JobState.SUCCEEDED,
    "FAILED": JobState.FAILED,
}
Raw = Mapping[str, Any]


def job_name(id: str, step: str) -> str:
    """Name of the job of a step."""
    return f"{id}_{step}"


class Queue:
    """A queue of Batch.

    Args:
        session: the way to the account.
        region: where.
        arn: of the queue.
        definition: ARN of the definition of its jobs.
        tags: of its jobs; rights to end them go by these.
    """

    def __init__(
        self, session: Session, region: str, arn: str, definition: str, tags: Mapping[str, str]
    ) -> None:
        self._batch = session.client("batch", region)
        self._arn, self._definition, self._tags = arn, definition, dict(tags)

    def submit(self, id: str, step: str, order: str, *, containers: int, after: str | None) -> str:
        """Have a step done, after another one if there is one; id of the job."""
        more: dict[str, Any] = {"arrayProperties": {"size": containers}} if containers > 1 else {}
        if after is not None:
            more["dependsOn"] = [{"jobId": after}]
        with explained("batch:SubmitJob"):
            answer = self._batch.submit_job(
                jobName=job_name(id, step),
                jobQueue=self._arn,
                jobDefinition=self._definition,
                parameters={"step": step, "order": order},
                tags=self._tags,
                **more,
            )
        found: str = answer["jobId"]
        return found

    def all(self) -> dict[str, dict[str, Raw]]:
        """Summaries of the newest try of every job by id and step, newest job first."""
        return _grouped(self._listed(jobQueue=self._arn, filters=_filter("AFTER_CREATED_AT", "0")))

    def of(self, id: str) -> dict[str, Raw]:
        """Descriptions of the newest try of a job by step, in the order of steps."""
        wanted = _filter("JOB_NAME", f"{id}_*")
        summaries = _grouped(self._listed(jobQueue=self._arn, filters=wanted)).get(id, {})
        ids = [raw["jobId"] for raw in summaries.values()]
        described = {raw["jobId"]: raw for raw in self.described(ids)}
        return {
            step: described[raw["jobId"]]
            for step, raw in summaries.items()
            if raw["jobId"] in described
        }

    def children(self, parent: str, status: str) -> Iterator[Raw]:
        """Summaries of containers of an array job that have a status, lowest index first."""
        return self._listed(arrayJobId=parent, jobStatus=status)

    def described(self, ids: Iterable[str]) -> Iterator[Raw]:
        """Descriptions of jobs."""
        left = list(ids)
        while left:
            some, left = left[:MAX_DESCRIBED], left[MAX_DESCRIBED:]
            with explained("batch:DescribeJobs"):
                yield from self._batch.describe_jobs(jobs=some)["jobs"]

    def end(self, job: str) -> None:
        """End a job whatever it does; no error where it has ended."""
        with explained("batch:TerminateJob"):
            self._batch.terminate_job(jobId=job, reason="cancelled with inferloop-tabular")

    def why(self, job: Raw) -> str:
        """Why a job failed, waits or is tried again; "" where nothing says it."""
        state, tries = state_of(job), job.get("attempts", ())
        if not state.ended:
            return f"tried again after: {reason_of(tries[-1])}" if tries else _waits(job)
        if state is JobState.FAILED and "size" in job.get("arrayProperties", {}):
            return self._why_array(job)
        return "" if state is JobState.SUCCEEDED else reason_of(job)

    def _why_array(self, job: Raw) -> str:
        failed = [raw["jobId"] for raw in self.children(job["jobId"], "FAILED")]
        if not failed:
            return reason_of(job)
        told = [
            f"container {one['arrayProperties']['index']}: {reason_of(one)}"
            for one in self.described(failed[:_SHOWN])
        ]
        count = f"{len(failed)} of {job['arrayProperties']['size']} containers failed"
        return "; ".join([count, *told])

    def _listed(self, **asked: Any) -> Iterator[Raw]:
        with explained("batch:ListJobs"):
            for page in self._batch.get_paginator("list_jobs").paginate(**asked):
                yield from page["jobSummaryList"]


def _filter(name: str, value: str) -> list[dict[str, Any]]:
    return [{"name": name, "values": [value]}]


def _grouped(summaries: Iterable[Raw]) -> dict[str, dict[str, Raw]]:
    newest: dict[str, dict[str, Raw]] = {}
    for raw in sorted(summaries, key=lambda raw: -raw["createdAt"]):
        id, _, step = raw["jobName"].rpartition("_")
        if id and step in STEPS:
            newest.setdefault(id, {}).setdefault(step, raw)
    return {id: _of_one_try(steps) for id, steps in newest.items()}


def _of_one_try(steps: Mapping[str, Raw]) -> dict[str, Raw]:
    """Without steps that are older than one that comes before them: those of an earlier try."""
    found: dict[str, Raw] = {}
    since = 0
    for step in STEPS:
        if step in steps and steps[step]["createdAt"] >= since:
            found[step] = steps[step]
            since = steps[step]["createdAt"]
    return found


def state_of(job: Raw) -> JobState:
    """State of a job; that of an array is of all its containers."""
    state = _STATES[job["status"]]
    if state is JobState.FAILED and (job.get("isCancelled") or job.get("isTerminated")):
        return JobState.CANCELLED
    summary = job.get("arrayProperties", {}).get("statusSummary", {})
    if state is JobState.WAITING and any(
        summary.get(one) for one in ("STARTING", "RUNNING", "SUCCEEDED")
    ):
        return JobState.RUNNING
    return state


def step_of(name: str, job: Raw, detail: str = "") -> Step:
    """A job as a step of ours."""
    state, array = state_of(job), job.get("arrayProperties", {})
    if "size" not in array:
        done, running = state is JobState.SUCCEEDED, state is JobState.RUNNING
        return Step(name, state, 1, int(done), int(running), detail)
    summary = array.get("statusSummary", {})
    running = summary.get("RUNNING", 0) + summary.get("STARTING", 0)
    return Step(name, state, array["size"], summary.get("SUCCEEDED", 0), running, detail)


def reason_of(job: Raw) -> str:
    """What Batch says of one container: its own reason, the exit code, that of the job."""
    container = job.get("container", {})
    words = [str(job.get("statusReason", "")), str(container.get("reason", ""))]
    if container.get("exitCode"):
        words.append(f"exit code {container['exitCode']}")
    return ", ".join(dict.fromkeys(word for word in words if word))


def _waits(job: Raw) -> str:
    """What Batch says of a job that cannot start, such as a machine that is too small."""
    return str(job.get("statusReason", "")) if job["status"] == "RUNNABLE" else ""


def time_of(milliseconds: int | None) -> datetime | None:
    """A time of Batch."""
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
