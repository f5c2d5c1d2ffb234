"""A read-only look at what a deploy on AWS would need.

Without a file there is no saying how much it would need, so quotas are looked at for a deployment
that leaves everything open, in a VPC of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tabular.deploy.aws.account.refusals import explained
from tabular.deploy.aws.account.session import Session
from tabular.deploy.aws.compile import PROVIDER, compile_stack
from tabular.deploy.aws.preflight.quotas import Look, Quotas
from tabular.deploy.provider import Check
from tabular.deploy.spec import Deployment
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
        yield from _room(session, where)


def _room(session: Session, region: str) -> Iterator[Check]:
    """Quotas that the smallest deployment touches."""
    described = {"metadata": {"name": "doctor"}, "spec": {"provider": PROVIDER, "region": region}}
    try:
        wanted = compile_stack(Deployment.from_canonical(described), region).template["Resources"]
        looks = Quotas(session).looks(region, wanted, {})
    except TabularError as error:
        yield Check("quotas", False, error.message, error.hint or "")
        return
    for look in looks:
        yield Check(f"quota {look.quota.code}", not look.short, _said(look), look.remedy)


def _said(look: Look) -> str:
    if look.unknown is None:
        return f"{look} by a deployment with nothing but defaults"
    return f"{look.quota}: not known, a deploy finds out: {look.unknown.message}"


def _tried(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except TabularError as error:
        return Check(name, False, error.message, error.hint or "")
