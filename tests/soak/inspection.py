"""The database and the store after the run, beside what clients were told.

Both are compared in both directions: what was promised must be there, whole; what is there must
have been promised, once. The service itself is asked nothing here, because it may be wrong.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import select

from tabular.errors import IntegrityError, TabularError, UnavailableError
from tabular.infra.database import Database
from tabular.infra.database.models import Dataset, Evaluation, Garbage, Job, JobPart, Model
from tabular.infra.database.usage_models import UsageDay
from tabular.infra.storage import ObjectStore
from tabular.worker.garbage import GarbageBin
from tabular.worker.results import file_of
from tests.platform import ENDED
from tests.soak.ledger import GONE, Ledger, dataset_path
from tests.soak.verdict import still_there

PATIENCE = 60.0  # seconds that the store may take to come back
READERS = 8
_SHOWN = 5
T = TypeVar("T")


@dataclass(frozen=True)
class Rows:
    """All rows that matter here."""

    jobs: dict[str, Job]
    parts: list[JobPart]
    datasets: dict[str, Dataset]
    models: dict[str, Model]
    evaluations: dict[str, Evaluation]
    usage: list[UsageDay]

    def succeeded(self, kind: str) -> list[Job]:
        """Jobs of a kind that succeeded."""
        return [job for job in self.jobs.values() if (job.kind, job.status) == (kind, "succeeded")]


def inspect(database: Database, store: ObjectStore, ledger: Ledger) -> dict[str, str]:
    """Look behind the API; what must not be is added to `ledger.wrong`.

    Returns:
        What was looked at, in words.
    """
    later = datetime.now(UTC) + timedelta(days=2)
    await_store(store)
    GarbageBin(database, store, clock=lambda: later).empty()
    blobs = store.sweep(older_than=-60)
    rows, garbage = read(database)
    wanted = references(rows)
    keys = set(store.keys_below(""))
    ledger.wrong += [
        *jobs(rows, ledger),
        *things(rows, ledger),
        *usage(rows, ledger),
        *(f"garbage that stays: {prefix}" for prefix in garbage[:_SHOWN]),
        *_several("objects that nobody refers to", keys - wanted.keys()),
        *_several("objects are gone that rows refer to", wanted.keys() - keys),
        *unreadable(store, rows, wanted),
    ]
    return {
        "jobs": f"{len(ledger.accepted)} accepted, {len(rows.jobs)} kept",
        "objects": f"{len(keys)}, all read; {blobs} half-written ones swept; {len(rows.datasets)} "
        f"datasets, {len(rows.models)} models, {len(rows.evaluations)} evaluations",
        "usage": f"{sum(day.rows for day in rows.usage):,} rows, "
        f"{sum(day.jobs for day in rows.usage):,} jobs counted",
    }


def await_store(store: ObjectStore) -> None:
    """Return once the store answers; one that was killed late comes back slowly."""
    _patiently(store.ping)


def read(database: Database) -> tuple[Rows, list[str]]:
    """Everything of one moment, and the folders that are still named as garbage."""
    with database.session() as session:

        def all_of(table: type[Any]) -> list[Any]:
            return list(session.scalars(select(table)))

        rows = Rows(
            jobs={row.id: row for row in all_of(Job)},
            parts=all_of(JobPart),
            datasets={row.id: row for row in all_of(Dataset)},
            models={row.id: row for row in all_of(Model)},
            evaluations={row.id: row for row in all_of(Evaluation)},
            usage=all_of(UsageDay),
        )
        return rows, [row.prefix for row in all_of(Garbage)]


def jobs(rows: Rows, ledger: Ledger) -> Iterable[str]:
    """The database has the jobs that were accepted, and not one more, as clients saw them end."""
    accepted, there = set(ledger.accepted), still_there(ledger)
    yield from _several("jobs that nobody was told of", rows.jobs.keys() - accepted)
    yield from _several("accepted jobs are gone", there - rows.jobs.keys())
    yield from _several("jobs were removed and are there", (accepted - there) & rows.jobs.keys())
    yield from _several("parts of jobs that ended", {part.id for part in rows.parts})
    for job in rows.jobs.values():
        told = ledger.ended.get(job.id, {"status": job.status})["status"]
        if job.status not in ENDED:
            yield f"{job.id} is {job.status} at the end"
        elif job.status != told:
            yield f"{job.id}: was told to be {told}, and is {job.status}"


def things(rows: Rows, ledger: Ledger) -> Iterable[str]:
    """Datasets, models and reports: those that were promised, and no others."""
    gone = {one for one in ledger.datasets if ledger.removals.get(dataset_path(one)) == GONE}
    kept = ledger.datasets.keys() - gone
    yield from _several("datasets are gone", kept - rows.datasets.keys())
    yield from _several("datasets were removed and are there", gone & rows.datasets.keys())
    spare = ledger.uploads.copy()
    for dataset in rows.datasets.values():
        sha256 = ledger.datasets.get(dataset.id)
        if sha256 is None:
            spare[dataset.sha256] -= 1
            if spare[dataset.sha256] < 0:
                yield f"{dataset.id} is there, and no upload explains it"
        elif sha256 != dataset.sha256:
            yield f"{dataset.id} has another sha256 than was uploaded"
    for job in rows.succeeded("fit"):
        model = rows.models.get(str(job.model_id))
        if model is None or model.object_key is None or model.sha256 is None:
            yield f"{job.id} succeeded, and its model {job.model_id} is not there"
    for job in rows.succeeded("evaluate"):
        found = rows.evaluations.get(str(job.evaluation_id))
        if found is None or found.report_key is None or found.page_key is None:
            yield f"{job.id} succeeded, and its report {job.evaluation_id} is not there"
    asked = {job.model_id for job in rows.jobs.values() if job.kind == "fit"}
    yield from _several("models that no job made", rows.models.keys() - asked)
    judged = {job.evaluation_id for job in rows.jobs.values()}
    yield from _several("evaluations that no job made", rows.evaluations.keys() - judged)


def usage(rows: Rows, ledger: Ledger) -> Iterable[str]:
    """What was counted is what succeeded: not a row less, and none twice."""
    by_jobs, at_once = ledger.principals
    counted = [day for day in rows.usage if day.principal_id == by_jobs]
    done = [ledger.ended[job] for job in ledger.succeeded("generate")]
    ended = [state for state in ledger.ended.values() if state["status"] == "succeeded"]
    promised = sum(state["params"]["rows"] for state in done)
    if (found := sum(day.rows for day in counted)) != promised:
        yield f"usage counts {found:,} rows of jobs; those that succeeded have {promised:,}"
    if (found := sum(day.jobs for day in counted)) != len(ended):
        yield f"usage counts {found:,} jobs; {len(ended):,} succeeded"
    inline = sum(day.rows for day in rows.usage if day.principal_id == at_once)
    most = ledger.inline + ledger.inline_doubtful
    if not ledger.inline <= inline <= most:
        yield f"usage counts {inline:,} rows at once; {ledger.inline:,} to {most:,} were given"


def references(rows: Rows) -> dict[str, str | None]:
    """Every key that a row refers to, with the sha256 that the row has of it."""
    found: dict[str, str | None] = {}
    for dataset in rows.datasets.values():
        found[dataset.object_key] = dataset.sha256
        found |= dict.fromkeys((dataset.preview_key, dataset.profile_key))
    for model in rows.models.values():
        if model.object_key is not None:
            found[model.object_key] = model.sha256
    for evaluation in rows.evaluations.values():
        keys = (evaluation.report_key, evaluation.page_key)
        found |= dict.fromkeys(key for key in keys if key is not None)
    for job in rows.succeeded("generate"):
        if job.result is not None:
            found |= dict.fromkeys(piece.key for piece in file_of(job.result).pieces)
    return found


def unreadable(store: ObjectStore, rows: Rows, wanted: dict[str, str | None]) -> Iterable[str]:
    """Objects, and files in pieces, that cannot be read as they were written."""

    def look(key: str) -> str | None:
        return _problem(key, wanted[key], lambda: store.get(key))

    def look_whole(job: Job) -> str | None:
        if job.result is None:
            return f"{job.id} succeeded, and has no result"
        file = file_of(job.result)
        return _problem(job.id, file.sha256, lambda: file.read(store))

    with ThreadPoolExecutor(READERS) as pool:
        problems = [*pool.map(look, wanted), *pool.map(look_whole, rows.succeeded("generate"))]
    return filter(None, problems)


def _problem(what: str, sha256: str | None, opened: Callable[[], Iterable[bytes]]) -> str | None:
    """Why something cannot be read, or has another checksum."""

    def digest() -> str:
        found = hashlib.sha256()
        for chunk in opened():
            found.update(chunk)
        return found.hexdigest()

    try:
        found = _patiently(digest)
    except TabularError as error:
        return f"{what} cannot be read: {error.message}"
    return f"{what}: another sha256" if sha256 not in (None, found) else None


def _patiently(work: Callable[[], T]) -> T:
    """Do something as soon as the store answers; what is damaged stays so."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return work()
        except IntegrityError:
            raise
        except UnavailableError:
            if time.monotonic() > until:
                raise
            time.sleep(1)


def _several(what: str, ids: Iterable[str | None]) -> Iterable[str]:
    found = sorted(map(str, ids))
    if found:
        yield f"{len(found)} {what}: {found[:_SHOWN]}"
