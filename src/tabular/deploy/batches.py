"""Large generations by a cloud's own batch service: what they are in the words of every vendor.

An order goes into the bucket of the deployment, and containers that know nothing of each other do
it in steps: ``fit`` where it names a table, ``draw`` by as many as wanted, ``join``. What comes out
is the same for any number of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tabular.deploy.provider import LogLine

SOON, PAUSE = 0.5, 5.0  # seconds between two questions, at first and later
FIT, DRAW, JOIN = "fit", "draw", "join"
STEPS = (FIT, DRAW, JOIN)


class JobState(StrEnum):
    """State of a job or of one of its steps; ``incomplete``: not all of it was submitted."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"

    @property
    def ended(self) -> bool:
        """Whether it will change no more by itself."""
        return self not in (JobState.WAITING, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Order:
    """A generation that is wanted.

    Attributes:
        id: what the job is called; the result is ``results/ID.FORMAT``.
        document: the order as it is put into the bucket.
        inputs: names in the bucket that it needs.
        steps: what has to be done, in this order; see `STEPS`.
        parts: of the work: more containers would have nothing to do.
        containers: that are to draw side by side; what the deployment runs at once if None.
    """

    id: str
    document: Mapping[str, Any]
    inputs: tuple[str, ...]
    steps: tuple[str, ...]
    parts: int
    containers: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a job.

    Attributes:
        name: one of `STEPS`.
        state: of all its containers together.
        total, done, running: numbers of containers.
        detail: why it failed, or waits, in the service's words; "" where it says nothing.
    """

    name: str
    state: JobState
    total: int = 1
    done: int = 0
    running: int = 0
    detail: str = ""

    @property
    def failed(self) -> bool:
        """Whether it ended without having done its work."""
        return self.state.ended and self.state is not JobState.SUCCEEDED


@dataclass(frozen=True, slots=True)
class Job:
    """A generation that was ordered.

    Attributes:
        id: see `Order`.
        state: of the whole.
        steps: those that were submitted, in order.
        submitted, ended: when, UTC; None where nobody remembers, or it has not ended.
        report: what the last container wrote of the result or the error; None before.
        place: where results are, e.g. ``s3://bucket/tabular``.
    """

    id: str
    state: JobState
    steps: tuple[Step, ...]
    submitted: datetime | None
    ended: datetime | None
    report: Mapping[str, Any] | None
    place: str

    @property
    def result(self) -> str | None:
        """Address of the result; None before it is there."""
        if self.state is not JobState.SUCCEEDED or self.report is None:
            return None
        return f"{self.place}/{self.report['file']}"

    @property
    def reason(self) -> str:
        """Why it did not succeed: as its own report says, else the service; "" if nobody does."""
        told = (self.report or {}).get("error")
        if told:
            return str(told["message"])
        # What comes after the first failed because of it.
        return next((f"{s.name}: {s.detail}" for s in self.steps if s.detail and s.failed), "")


class Batches(Protocol):
    """The batch service of one deployment."""

    def submit(self, order: Order) -> Job:
        """Have an order done; one that runs or is done already is not done again.

        What failed or was cancelled is done anew from the step that failed.

        Raises:
            NotFoundError: the model or table is not in the bucket.
            ConflictError: another order has this id.
        """
        ...

    def jobs(self) -> tuple[Job, ...]:
        """What the service remembers, newest first; without reports and reasons."""
        ...

    def job(self, id: str) -> Job:
        """One job with all that is known of it.

        Raises:
            NotFoundError: there is none.
        """
        ...

    def cancel(self, id: str) -> Job:
        """End what waits and runs; no error where nothing does."""
        ...

    def logs(self, id: str, *, tail: int) -> Iterator[LogLine]:
        """The last lines of each container, those that failed first."""
        ...


def follow(
    batches: Batches, id: str, *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Job]:
    """A job whenever something of it has changed, until it has ended.

    Args:
        batches: the service.
        id: of the job.
        sleep: waits, seconds.

    Raises:
        NotFoundError: there is none.
    """
    last: Job | None = None
    pause = SOON
    while last is None or not last.state.ended:
        if last is not None:
            sleep(pause)
            pause = min(2 * pause, PAUSE)
        job = batches.job(id)
        if job != last:
            yield job
        last = job


def whole_state(steps: tuple[Step, ...]) -> JobState:
    """State of a job from those of its steps."""
    states = [step.state for step in steps]
    for worst in (JobState.CANCELLED, JobState.FAILED):
        if worst in states:
            return worst
    if not steps or steps[-1].name != JOIN:
        return JobState.INCOMPLETE
    if steps[-1].state is JobState.SUCCEEDED:
        return JobState.SUCCEEDED
    begun = {JobState.RUNNING, JobState.SUCCEEDED} & set(states)
    return JobState.RUNNING if begun else JobState.WAITING
