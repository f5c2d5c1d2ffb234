"""Plans: what is read, what is refused and where, who gets which, and one that is gone."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabular.errors import ConfigError, InputError
from tabular.infra.auth.principal import Principal
from tabular.infra.config import load_settings
from tabular.infra.plans import Plan, read_plans

KEY = "nJ7w2Kq9sX4vB6mZ1cR8tY3hD5pL0fGa"
YAML = """\
team:
  rate_limit: 100/minute
  rows_per_day: 1000000
  max_websockets: 2
trial:
  rate_limit: 10/minute
  rows_per_month: 5000
  rows_per_day: 1000
"""


def who(plan: str = "default", kind: Literal["key", "user"] = "key") -> Principal:
    return Principal(id="p", name="p", scopes=frozenset(), kind=kind, plan=plan)


def test_a_file_and_a_variable_say_the_same(tmp_path: Path) -> None:
    file = tmp_path / "plans.yaml"
    file.write_text(YAML)
    inline = {"team": {"rate_limit": "100/minute", "rows_per_day": 10**6, "max_websockets": 2}}
    for text in (str(file), json.dumps(inline)):
        plan = read_plans(text, "", rate_limit="600/minute").of(who("team"))
        assert plan == Plan(rate_limit="100/minute", rows_per_day=10**6, max_websockets=2)


def test_without_plans_there_is_one_without_quotas() -> None:
    assert read_plans("", "", rate_limit="600/minute").of(who()) == Plan(rate_limit="600/minute")


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("team:\n  rows_per_dya: 5\n", "plans.yaml: team", "'rows_per_dya' is no quota"),
        ("team:\n  rows_per_day: many\n", "plans.yaml: team", "rows_per_day: "),
        ("team:\n  rows_per_day: -1\n", "plans.yaml: team", "greater than or equal to 0"),
        ("team:\n  rows_per_day: true\n", "plans.yaml: team", "valid integer"),
        ("team:\n  rate_limit: fast\n", "plans.yaml: team", "'fast' is no rate limit"),
        ("team: 5\n", "plans.yaml: team", "a mapping of quotas"),
        ("- team\n", "plans.yaml", "no mapping"),
        ("team: {\n", "plans.yaml:2:1", "cannot be read"),
        ("'': {}\n", "plans.yaml: ", "1 to 64 printable"),
        ("a: {}\na: {}\n", "plans.yaml:2:1", "duplicate key"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, text: str, place: str, message: str
) -> None:
    file = tmp_path / "plans.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_plans(str(file), "", rate_limit="1/second")
    assert place in str(caught.value.where)
    assert message in caught.value.message


def test_a_misspelt_quota_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"TABULAR_PLANS: 'rows_per_dya'.*is no quota") as caught:
        load_settings({"TABULAR_SECRET_KEY": KEY, "TABULAR_PLANS": '{"team": {"rows_per_dya": 5}}'})
    assert "rows_per_day" in str(caught.value)


def test_a_file_that_is_not_there_stops_the_start() -> None:
    with pytest.raises(ConfigError, match=r"No such file.*/no/such/plans"):
        load_settings({"TABULAR_SECRET_KEY": KEY, "TABULAR_PLANS": "/no/such/plans.yaml"})


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_plans("{" + text, "", rate_limit="1/second")
    except ConfigError:
        return


def test_an_unknown_plan_is_refused_with_the_nearest(tmp_path: Path) -> None:
    plans = read_plans('{"team": {}}', "", rate_limit="1/second")
    assert plans.check("team") == "team"
    with pytest.raises(InputError, match="unknown plan 'teem'") as caught:
        plans.check("teem")
    assert "'team'" in str(caught.value.hint)


def test_a_plan_that_is_gone_leaves_the_strictest_limits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "plans.yaml"
    file.write_text(YAML)
    plans = read_plans(str(file), "", rate_limit="600/minute")
    with caplog.at_level(logging.WARNING):
        found = [plans.of(who("gone")) for _ in range(3)]
    assert set(found) == {
        Plan(
            rate_limit="600/minute;100/minute;10/minute",
            rows_per_day=1000,
            rows_per_month=5000,
            max_websockets=2,
        )
    }
    assert len(caplog.records) == 1, "said once"
    assert "'gone'" in caplog.text
    assert plans.missing == ("gone",)


def test_people_get_the_plan_of_the_first_entry_that_fits() -> None:
    plans = read_plans(
        '{"team": {}, "trial": {}}',
        "cn=data,ou=groups,dc=x=team; interns=trial; role:viewer=trial",
        rate_limit="1/second",
    )
    person = who(kind="user")

    def plan(*groups: str, roles: tuple[str, ...] = ()) -> str:
        return plans.assigned(replace(person, groups=groups, roles=roles)).plan

    assert plan("CN=Data,OU=Groups,DC=x", "interns") == "team"
    assert plan("cn=Interns,ou=groups,dc=x") == "trial"
    assert plan(roles=("viewer",)) == "trial"
    assert plan("others", roles=("user",)) == "default"
    assert plans.assigned(replace(who(), groups=("interns",))).plan == "default", "a key names its"


@pytest.mark.parametrize("text", ["team", "=team", "a=nobody", "a=team;A=team"])
def test_a_map_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_plans('{"team": {}}', text, rate_limit="1/second")
    assert caught.value.where == "TABULAR_PLAN_MAP"
