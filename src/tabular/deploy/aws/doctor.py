"""A read-only look at what a deploy on AWS would need."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tabular.deploy.aws.session import Session, explained
from tabular.deploy.provider import Check
from tabular.errors import TabularError


def checks(session: Session) -> Iterator[Check]:
    """Credentials, region, CloudFormation; what follows from something missing is left out."""
    account = _tried("credentials", lambda: f"account {session.account}")
    yield account
    region = session.region
    yield Check(
        "region",
        region is not None,
        region or "none is named",
        "--region eu-west-1, AWS_REGION, or a region in your profile",
    )
    if account.ok and region is not None:
        where = region

        def zones() -> str:
            with explained("ec2:DescribeAvailabilityZones"):
                answer = session.client("ec2", where).describe_availability_zones()
            names = [one["ZoneName"] for one in answer["AvailabilityZones"]]
            return f"{len(names)} zones: {', '.join(sorted(names))}"

        def stacks() -> str:
            with explained("cloudformation:ListStacks"):
                session.client("cloudformation", where).list_stacks()
            return "CloudFormation answers"

        yield _tried("zones", zones)
        yield _tried("engine", stacks)


def _tried(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except TabularError as error:
        return Check(name, False, error.message, error.hint or "")
