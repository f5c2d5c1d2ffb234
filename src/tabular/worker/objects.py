"""Which key each object has, so that whoever removes a thing removes all of it.

What a job writes lies below a folder of that attempt. Two attempts can never write the same
object, and what a dead attempt left is found by its folder.
"""

from __future__ import annotations


def dataset_folder(dataset_id: str) -> str:
    """All objects of a dataset."""
    return f"datasets/{dataset_id}"


def job_folder(job_id: str) -> str:
    """All objects that the attempts of a job wrote: rows, a model or a report."""
    return f"jobs/{job_id}"


def attempt_folder(job_id: str, attempt: int) -> str:
    """The objects of one attempt."""
    return f"{job_folder(job_id)}/{attempt}"


def part_folder(job_id: str, job_attempt: int, number: int, attempt: int) -> str:
    """The objects of one attempt at one part of a job that was split."""
    return f"{attempt_folder(job_id, job_attempt)}/{number}-{attempt}"
