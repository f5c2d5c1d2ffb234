"""Every kind of loss that shows in the database or the store is planted here, and found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tabular.infra.database.models import Garbage
from tabular.infra.database.usage_models import UsageDay
from tests.soak import losses
from tests.soak.soaked import Soaked

BEHIND = {
    "rows are lost": losses.lose_rows,
    "rows are damaged": losses.damage_rows,
    "a part is damaged": losses.damage_a_part,
    "another checksum": losses.swap_the_checksum_of_a_result,
    "succeeded without a result": losses.lose_a_result,
    "a job is lost": losses.lose_a_job,
    "a job comes back": losses.bring_back_a_job,
    "a job is done twice": losses.do_a_job_twice,
    "an end is undone": losses.undo_an_end,
    "a job does not end": losses.leave_a_job_running,
    "a part does not end": losses.leave_a_part,
    "a dataset is lost": losses.lose_a_dataset,
    "a dataset is another": losses.keep_another_table,
    "a dataset is damaged": losses.damage_a_dataset,
    "a dataset is replaced": losses.replace_the_objects_of_a_dataset,
    "a profile is lost": losses.lose_a_profile,
    "a dataset is stored twice": losses.forget_that_a_dataset_was_asked_for,
    "a model is lost": losses.lose_a_model,
    "a model is damaged": losses.damage_a_model,
    "a model is made twice": losses.make_a_model_twice,
    "a report is lost": losses.lose_a_report,
    "a page is lost": losses.lose_a_page,
    "an object is forgotten": losses.leave_an_object,
    "an object of another try": losses.leave_an_object_of_another_try,
    "rows count twice": losses.count(UsageDay.rows, 0, 10),
    "rows do not count": losses.count(UsageDay.rows, 0, -10),
    "a job counts twice": losses.count(UsageDay.jobs, 0, 1),
    "rows at once count twice": losses.count(UsageDay.rows, 1, 10),
    "rows at once do not count": losses.count(UsageDay.rows, 1, -10),
}


@pytest.mark.parametrize("plant", BEHIND.values(), ids=BEHIND)
def test_a_loss_behind_the_api_is_found(soaked: Soaked, plant: Callable[[Soaked], str]) -> None:
    expected = plant(soaked)
    found = soaked.inspected()
    assert any(expected in what for what in found), found


def test_garbage_is_emptied_and_not_taken_for_lost(soaked: Soaked) -> None:
    row = Garbage(prefix="jobs/never", pending=False, created_at=datetime.now(UTC))
    soaked.add(row)
    soaked.store.put("jobs/never/1/rows.csv", b"a\n")
    assert soaked.inspected() == []
