"""Ids of targets: different for different places, the same for ever for the same one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tabular.deploy.target import Target

PARTS = st.text(alphabet="ab/.=%@:é-", max_size=5)
TARGETS = st.builds(
    Target, PARTS, PARTS, PARTS, region=st.none() | PARTS, account=st.none() | PARTS
)


@given(TARGETS, TARGETS)
def test_two_targets_never_have_one_id(one: Target, other: Target) -> None:
    assert (one.id == other.id) == (one == other)


def test_a_region_is_no_account() -> None:
    region = Target("aws", "x", "production", region="a")
    account = Target("aws", "x", "production", account="a")
    assert region.id == "aws/a/production/x"
    assert account.id == "aws/account=a/production/x"


def test_ids_stay_what_they_are() -> None:
    assert Target("standalone", "tabular", "development").id == "standalone/development/tabular"
    whole = Target("aws", "tabular", "production", "us-east-1", "123456789012")
    assert whole.id == "aws/account=123456789012/us-east-1/production/tabular"
    context = Target("onprem", "tabular", "production", "arn:aws:eks:eu:1:cluster/x")
    assert context.id == "onprem/arn:aws:eks:eu:1:cluster%2Fx/production/tabular"


def test_no_part_of_an_id_climbs_out_of_a_folder() -> None:
    parts = Target("p", "..", ".", region="../..").id.split("/")
    assert not {"", ".", ".."} & set(parts)
