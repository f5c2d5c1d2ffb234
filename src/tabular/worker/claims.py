"""What a worker holds of a job that it has claimed, and what others see of it."""

from __future__ import annotations

from dataclasses import dataclass

from tabular.infra.database.models import Job, JobPart
from tabular.worker.objects import attempt_folder, part_folder

Row = Job | JobPart


class LostLeaseError(Exception):
    """The attempt is not the present one any more; whatever it made does not count."""


@dataclass(frozen=True)
class Lease:
    """The right to run one job, or one part of a job, until it is lost.

    Attributes:
        job: the row as it was when it was claimed.
        attempt: the fencing token, of the part if it is one.
        part: the part's row.
    """

    job: Job
    attempt: int
    part: JobPart | None = None

    @property
    def row(self) -> Row:
        """What was claimed."""
        return self.part or self.job

    @property
    def folder(self) -> str:
        """Where the attempt writes."""
        if self.part is None:
            return attempt_folder(self.job.id, self.attempt)
        return part_folder(self.job.id, self.part.job_attempt, self.part.number, self.attempt)


@dataclass(frozen=True)
class Pulse:
    """A running job or part and its last sign of life.

    Attributes:
        id: of the job or part.
        job_id: of the job.
        attempt, beat: as its row has them.
        table: which of both it is.
    """

    id: str
    job_id: str
    attempt: int
    beat: int
    table: type[Row] = Job


@dataclass(frozen=True)
class Sign:
    """What a heartbeat is answered with.

    Attributes:
        cancel: whether somebody asked for the job to be cancelled.
        beat: of the job now.
        progress: of the whole job.
    """

    cancel: bool
    beat: int
    progress: float
