"""What all clients were told, which is what the platform has to stand by afterwards.

Of a request without an answer nobody knows whether it was done. So that no loss can hide behind
that, such requests are counted, and excuse exactly as much as they can explain.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

ASKED, GONE = "asked", "gone"
Asked = tuple[str, int, int, str]  # model, rows, seed and format: the same give the same bytes


@dataclass
class Ledger:
    """What all clients know.

    Attributes:
        jobs: ids by the Idempotency-Key they were asked with; more than one is an error.
        bodies: what was asked with that key.
        refused: keys that were answered with a no.
        ended: the last state of every job that ended.
        followed: the last status that a websocket told of a job.
        datasets: sha256 of each that was accepted.
        uploads: tries without an answer by sha256; each may have made a dataset.
        removals: of paths: `ASKED` while nobody knows, `GONE` once it was confirmed.
        sources: of models that all use, the dataset of each.
        sums: sha256 of everything that was generated, by what was asked.
        inline, inline_doubtful: rows that were answered with; that may have been made besides.
        principals: ids of the key that jobs are asked with, and of the one for inline rows.
        times: seconds of every request, answered or not, by kind.
        waits: seconds until a kind of request was answered with yes or no, tries included.
        late: seconds by which the clients' own event loop was late; no fault of the platform.
        unanswered: requests by kind.
        errors: statuses and exceptions by kind of request; `codes` has those of problems.
        wrong: what must not be.
    """

    jobs: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    bodies: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)
    followed: dict[str, str] = field(default_factory=dict)
    datasets: dict[str, str] = field(default_factory=dict)
    uploads: Counter[str] = field(default_factory=Counter)
    removals: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    sums: dict[Asked, set[str]] = field(default_factory=lambda: defaultdict(set))
    inline: int = 0
    inline_doubtful: int = 0
    principals: tuple[str, str] = ("", "")
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    waits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    late: list[float] = field(default_factory=list)
    unanswered: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    messages: int = 0

    @property
    def accepted(self) -> list[str]:
        """Every job."""
        return sorted({job for ids in self.jobs.values() for job in ids})

    @property
    def waiting(self) -> int:
        """How many jobs have not been seen to end."""
        return sum(map(len, self.jobs.values())) - len(self.ended)

    def removal(self, job: str) -> str | None:
        """How the removal of a job stands, if anybody asked for it."""
        return self.removals.get(job_path(job))

    def succeeded(self, kind: str) -> list[str]:
        """Jobs of a kind that succeeded, those that were removed later too."""
        return [
            job
            for job, state in self.ended.items()
            if (state["kind"], state["status"]) == (kind, "succeeded")
        ]


def job_path(job: str) -> str:
    """Where a job is."""
    return f"/v1/jobs/{job}"


def dataset_path(dataset: str) -> str:
    """Where a dataset is."""
    return f"/v1/datasets/{dataset}"
