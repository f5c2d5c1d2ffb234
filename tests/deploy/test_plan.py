"""Diffs between running and wanted resources, over random stacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tabular.deploy.plan import Action, Change, diff_properties, diff_resources
from tabular.deploy.stack import Resource

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
properties = st.dictionaries(
    st.sampled_from("abcd"),
    scalars | st.dictionaries(st.sampled_from("xyz"), scalars, min_size=1),
    max_size=4,
)
resources = st.builds(
    Resource,
    id=st.sampled_from(["api", "worker", "db", "bucket"]),
    type=st.sampled_from(["T1", "T2"]),
    properties=properties,
    stateful=st.booleans(),
    replace_on=st.frozensets(st.sampled_from("abcd"), max_size=2),
)
stacks = st.lists(resources, unique_by=lambda r: r.id, max_size=4)


def _apply(running: list[Resource], changes: tuple[Change, ...], wanted: list[Resource]) -> Any:
    """Replay the changes on the running resources the way an engine would."""
    state = {r.id: (r.type, r.properties) for r in running}
    target = {r.id: (r.type, r.properties) for r in wanted}
    for change in changes:
        if change.action is Action.DELETE:
            del state[change.resource]
        elif change.action is not Action.NOOP:
            state[change.resource] = target[change.resource]
    return state


@given(stacks)
def test_equal_stacks_need_no_change(stack: list[Resource]) -> None:
    assert all(c.action is Action.NOOP for c in diff_resources(stack, stack))


@given(stacks, stacks)
def test_applying_the_changes_leads_to_the_wanted_stack(
    running: list[Resource], wanted: list[Resource]
) -> None:
    changes = diff_resources(running, wanted)
    assert _apply(running, changes, wanted) == {r.id: (r.type, r.properties) for r in wanted}
    assert len({c.resource for c in changes}) == len(changes)


def test_a_replaced_data_store_is_called_a_loss() -> None:
    old = Resource("db", "Db", {"engine": "postgres"}, stateful=True)
    new = Resource("db", "Db", {"engine": "mysql"}, stateful=True, replace_on=frozenset({"engine"}))
    (change,) = diff_resources([old], [new])
    assert change.action is Action.REPLACE
    assert change.loses_data


def test_a_data_store_of_another_type_is_replaced() -> None:
    old = Resource("db", "Sqlite", {}, stateful=True)
    (change,) = diff_resources([old], [Resource("db", "Postgres", {}, stateful=True)])
    assert change.loses_data


def test_a_data_store_that_becomes_something_else_is_lost() -> None:
    old = Resource("db", "Sqlite", {}, stateful=True)
    (change,) = diff_resources([old], [Resource("db", "Proxy", {})])
    assert change.loses_data


@given(properties, properties)
def test_property_diff_names_exactly_what_differs(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    changes = diff_properties(before, after)
    assert (changes == ()) == (before == after)
    assert [c.path for c in changes] == sorted(c.path for c in changes)
