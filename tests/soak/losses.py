"""Losses to be planted; each says what the soak has to find of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, update

from tabular.infra.database.models import Dataset, Evaluation, Job, JobPart, Model, new_id
from tabular.infra.database.usage_models import UsageDay
from tests.soak.clients import LARGE
from tests.soak.ledger import GONE, job_path
from tests.soak.soaked import OTHER, Soaked


def lose_rows(soaked: Soaked) -> str:
    key = soaked.row(Job, id=soaked.generation).result["key"]
    soaked.store.delete(key)
    return f"objects are gone that rows refer to: ['{key}']"


def damage_rows(soaked: Soaked) -> str:
    soaked.damage(soaked.row(Job, id=soaked.generation).result["key"])
    return f"{soaked.generation} cannot be read"


def damage_a_part(soaked: Soaked) -> str:
    job = next(
        one for one, state in soaked.ledger.ended.items() if state["params"].get("rows") == LARGE
    )
    soaked.damage(soaked.row(Job, id=job).result["pieces"][1][0])
    return f"{job} cannot be read"


def swap_the_checksum_of_a_result(soaked: Soaked) -> str:
    job = soaked.row(Job, id=soaked.generation)
    result = {**job.result, "sha256": OTHER}
    soaked.execute(update(Job).where(Job.id == job.id).values(result=result))
    return f"{job.id}: another sha256"


def lose_a_result(soaked: Soaked) -> str:
    job = soaked.generation
    soaked.execute(update(Job).where(Job.id == job).values(result=None))
    return f"{job} succeeded, and has no result"


def lose_a_job(soaked: Soaked) -> str:
    soaked.execute(delete(Job).where(Job.id == soaked.generation))
    return "1 accepted jobs are gone"


def bring_back_a_job(soaked: Soaked) -> str:
    soaked.ledger.removals[job_path(soaked.generation)] = GONE
    return "1 jobs were removed and are there"


def do_a_job_twice(soaked: Soaked) -> str:
    old = soaked.row(Job, id=soaked.generation)
    soaked.add(_again(old))
    return "1 jobs that nobody was told of"


def _again(job: Job) -> Job:
    own = ("seq", "id")
    values = {name.key: getattr(job, name.key) for name in Job.__table__.columns}
    return Job(
        id=new_id("job"), **{name: value for name, value in values.items() if name not in own}
    )


def undo_an_end(soaked: Soaked) -> str:
    soaked.execute(update(Job).where(Job.id == soaked.generation).values(status="failed"))
    return f"{soaked.generation}: was told to be succeeded, and is failed"


def leave_a_job_running(soaked: Soaked) -> str:
    soaked.execute(update(Job).where(Job.id == soaked.generation).values(status="running"))
    return f"{soaked.generation} is running at the end"


def leave_a_part(soaked: Soaked) -> str:
    numbers = {"job_attempt": 1, "number": 0, "place": 1, "start": 0, "rows": 1, "max_tries": 3}
    part = JobPart(id="part_x", job_id=soaked.generation, status="queued", **numbers)
    soaked.add(part)
    return "1 parts of jobs that ended"


def lose_a_dataset(soaked: Soaked) -> str:
    soaked.execute(delete(Dataset).where(Dataset.id == soaked.dataset))
    return "1 datasets are gone"


def keep_another_table(soaked: Soaked) -> str:
    soaked.ledger.datasets[soaked.dataset] = OTHER
    return "has another sha256 than was uploaded"


def damage_a_dataset(soaked: Soaked) -> str:
    key = soaked.row(Dataset, id=soaked.dataset).object_key
    soaked.damage(key)
    return f"{key} cannot be read"


def replace_the_objects_of_a_dataset(soaked: Soaked) -> str:
    key = soaked.row(Dataset, id=soaked.dataset).object_key
    soaked.store.put(key, b"a\n1\n")
    return f"{key}: another sha256"


def lose_a_profile(soaked: Soaked) -> str:
    key = soaked.row(Dataset, id=soaked.dataset).profile_key
    soaked.store.delete(key)
    return f"{key} cannot be read"


def forget_that_a_dataset_was_asked_for(soaked: Soaked) -> str:
    del soaked.ledger.datasets[soaked.dataset]
    return "no upload explains it"


def lose_a_model(soaked: Soaked) -> str:
    soaked.execute(update(Model).values(object_key=None))
    return "and its model"


def damage_a_model(soaked: Soaked) -> str:
    key = soaked.row(Model).object_key
    soaked.damage(key)
    return f"{key} cannot be read"


def lose_a_report(soaked: Soaked) -> str:
    soaked.execute(update(Evaluation).values(page_key=None))
    return "and its report"


def lose_a_page(soaked: Soaked) -> str:
    key = soaked.row(Evaluation).page_key
    soaked.store.delete(key)
    return f"{key} cannot be read"


def make_a_model_twice(soaked: Soaked) -> str:
    old = soaked.row(Model)
    same = {"name": old.name, "engine": old.engine, "preset": old.preset, "seed": 0}
    row = Model(id=new_id("mdl"), **same, created_at=datetime.now(UTC), created_by="x")
    soaked.add(row)
    return "1 models that no job made"


def leave_an_object(soaked: Soaked) -> str:
    soaked.store.put("jobs/job_forgotten/1/rows.csv", b"a\n")
    return "1 objects that nobody refers to"


def leave_an_object_of_another_try(soaked: Soaked) -> str:
    soaked.store.put(f"jobs/{soaked.generation}/9/rows.csv", b"a\n")
    return "1 objects that nobody refers to"


def count(column: Any, which: int, amount: int) -> Callable[[Soaked], str]:
    def plant(soaked: Soaked) -> str:
        owner = UsageDay.principal_id == soaked.ledger.principals[which]
        soaked.execute(update(UsageDay).where(owner).values({column: column + amount}))
        return "usage counts"

    return plant
