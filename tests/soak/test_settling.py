"""Every kind of loss that the API tells of is planted here, and found."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import delete, update

from tabular.infra.database.models import Job
from tests.soak import losses
from tests.soak.clients import Client
from tests.soak.ledger import ASKED, GONE, Ledger, dataset_path, job_path
from tests.soak.soaked import OTHER, Soaked


def test_nothing_is_wrong_with_a_run_that_went_well(soaked: Soaked) -> None:
    assert soaked.settled() == []
    assert soaked.inspected() == []
    assert soaked.judged() == []


def _hide_rows(soaked: Soaked) -> str:
    losses.lose_rows(soaked)
    return f"{soaked.generation}: its rows cannot be had"


def _forget_a_job(soaked: Soaked) -> str:
    job = soaked.generation
    losses.lose_a_job(soaked)
    return f"{job}: rows answered with 404"


def _change_rows(soaked: Soaked) -> str:
    soaked.ledger.ended[soaked.generation]["result"]["sha256"] = OTHER
    return f"{soaked.generation}: rows of another checksum"


def _break_a_model(soaked: Soaked) -> str:
    losses.damage_a_model(soaked)
    return "no rows of the model"


def _hide_a_dataset(soaked: Soaked) -> str:
    losses.lose_a_dataset(soaked)
    return f"{dataset_path(soaked.dataset)}: 404"


def _hide_a_profile(soaked: Soaked) -> str:
    losses.lose_a_profile(soaked)
    return "/profile: 404"


def _hide_a_report(soaked: Soaked) -> str:
    losses.lose_a_report(soaked)
    return "no page: 409"


def _show_what_was_removed(soaked: Soaked) -> str:
    path = job_path(soaked.generation)
    soaked.ledger.removals[path] = GONE
    return f"{path} was removed, and is there"


def _refuse_to_end(soaked: Soaked) -> str:
    job = soaked.generation
    del soaked.ledger.ended[job]
    status = {"status": "running", "worker": "x", "parts": 1}
    soaked.execute(update(Job).where(Job.id == job).values(**status))
    return "1 jobs do not end"


TOLD = {
    "rows": _hide_rows,
    "a job": _forget_a_job,
    "other rows": _change_rows,
    "a model": _break_a_model,
    "a dataset": _hide_a_dataset,
    "a profile": _hide_a_profile,
    "a report": _hide_a_report,
    "a removal": _show_what_was_removed,
    "an end": _refuse_to_end,
}


@pytest.mark.parametrize("plant", TOLD.values(), ids=TOLD)
def test_a_loss_that_the_api_tells_of_is_found(
    soaked: Soaked, plant: Callable[[Soaked], str]
) -> None:
    expected = plant(soaked)
    found = soaked.settled()
    assert any(expected in what for what in found), found


def test_a_removal_without_an_answer_is_asked_again_and_not_excused(soaked: Soaked) -> None:
    job = soaked.generation
    soaked.ledger.removals[job_path(job)] = ASKED
    assert soaked.settled() == []
    assert soaked.ledger.removals[job_path(job)] == GONE
    assert soaked.row(Job, id=job) is None
    assert soaked.inspected() == []


def test_a_removal_that_was_refused_excuses_nothing(soaked: Soaked) -> None:
    fit = soaked.ledger.succeeded("fit")[0]

    async def refuse(client: Client, ledger: Ledger) -> None:
        await client.remove(job_path(fit))

    soaked.ask(refuse)
    assert job_path(fit) not in soaked.ledger.removals
    soaked.execute(delete(Job).where(Job.id == fit))
    assert any("1 accepted jobs are gone" in what for what in soaked.inspected())


def test_what_is_gone_before_it_was_removed_is_found(soaked: Soaked) -> None:
    job = soaked.generation
    soaked.execute(delete(Job).where(Job.id == job))

    async def remove(client: Client, ledger: Ledger) -> None:
        await client.remove(job_path(job))

    soaked.ask(remove)
    assert any(f"DELETE /v1/jobs/{job}: 404" in what for what in soaked.ledger.wrong)
