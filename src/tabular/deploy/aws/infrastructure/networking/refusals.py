"""What of ``spec.networking`` is contradictory or cannot be had, found before anything is made."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tabular.deploy.aws.infrastructure.networking.load_balancer import (
    ZONE_OPTION,
    keeps_name,
    makes_certificate,
    zone_name,
)
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.overrides import WHERE as OVERRIDES
from tabular.errors import UnsupportedError, UsageError

WHERE = "spec.networking"
_VPC = re.compile(r"vpc-[0-9a-f]{8,17}")
_SUBNET = re.compile(r"subnet-[0-9a-f]{8,17}")
_CERTIFICATE = re.compile(
    r"arn:aws[a-z-]*:(acm:(?P<region>[a-z0-9-]+):\d{12}:certificate/[A-Za-z0-9-]+"
    r"|iam::\d{12}:server-certificate/.+)"
)
_LEAST = 2  # zones, of a load balancer and of a group of subnets of RDS
_STANDING = ("network", "cidr", "nat")
_REACHING = ("domain", "certificate", "allowed_cidrs", "waf", "dns")


def require_possible(wanted: Wanted) -> None:
    """Refuse what cannot be made.

    Raises:
        UsageError: it contradicts itself, or something is missing.
        UnsupportedError: AWS, or this kind of compute, does not give it.
    """
    if not wanted.networked:
        _refuse(wanted, _STANDING, "runs outside of any network of yours")
    elif not wanted.own_network:
        _require_existing(wanted)
    elif wanted.nat == "none":
        _require_image_within(wanted)
    if not wanted.served:
        _refuse(wanted, _REACHING, "has no load balancer to reach")
        return
    _require_certificate(wanted)
    _require_names(wanted)


def _require_existing(wanted: Wanted) -> None:
    networking = wanted.spec.networking
    if not _VPC.fullmatch(networking.network or ""):
        raise UsageError(
            f"{networking.network!r} is no id of a VPC",
            where=f"{WHERE}.network",
            hint="such as vpc-0a1b2c3d4e5f67890",
        )
    if networking.nat is not None:
        raise UsageError(
            "the ways out of an existing network are its owner's affair",
            where=f"{WHERE}.nat",
            hint="leave nat out, or leave network out and one is made",
        )
    _require_subnets("subnets", networking.subnets)
    if wanted.published or networking.public_subnets:
        _require_subnets("public_subnets", networking.public_subnets)
    zones = wanted.spec.compute.availability_zones
    if zones is not None and zones != len(networking.subnets):
        raise UsageError(
            f"{zones} zones are asked for, and {len(networking.subnets)} subnets are named",
            where="spec.compute.availability_zones",
            hint="name one private subnet for each zone, or leave availability_zones out",
        )


def _require_subnets(key: str, given: tuple[str, ...]) -> None:
    kind = "public" if key == "public_subnets" else "private"
    if len(set(given)) < max(_LEAST, len(given)):
        raise UsageError(
            f"an existing network needs {_LEAST} {kind} subnets or more, each named once",
            where=f"{WHERE}.{key}",
            hint=f"{key}: [subnet-…, subnet-…], each in another zone",
        )
    for one in given:
        if not _SUBNET.fullmatch(one):
            raise UsageError(
                f"{one!r} is no id of a subnet",
                where=f"{WHERE}.{key}",
                hint="such as subnet-0a1b2c3d4e5f67890",
            )


def _require_image_within(wanted: Wanted) -> None:
    image = wanted.spec.image
    if image is not None and f".dkr.ecr.{wanted.region}." not in image.repository:
        raise UsageError(
            f"without NAT, images come only from ECR in {wanted.region}, "
            f"and {image.repository} is elsewhere",
            where=f"{WHERE}.nat",
            hint="copy it with `inferloop-tabular image push`, or set nat: single",
        )


def _refuse(wanted: Wanted, keys: Iterable[str], why: str) -> None:
    for key in keys:
        if getattr(wanted.spec.networking, key):
            raise UnsupportedError(
                f"{wanted.kind} {why}",
                where=f"{WHERE}.{key}",
                hint="leave it out, or use compute.type: ecs-fargate",
            )


def _require_certificate(wanted: Wanted) -> None:
    networking = wanted.spec.networking
    if makes_certificate(wanted) and ZONE_OPTION not in wanted.overrides:
        raise UsageError(
            "a certificate is made only where its proof can be written down too: CloudFormation "
            "would wait for hours for somebody to do it",
            where=f"{WHERE}.certificate",
            hint="name a certificate of ACM, or the id of the zone in Route 53: "
            f"overrides.aws.{ZONE_OPTION}",
        )
    if networking.certificate is None:
        return
    found = _CERTIFICATE.fullmatch(networking.certificate)
    if found is None:
        raise UsageError(
            f"{networking.certificate!r} is no certificate of AWS",
            where=f"{WHERE}.certificate",
            hint=f"arn:aws:acm:{wanted.region}:ACCOUNT:certificate/ID",
        )
    if found["region"] not in (None, wanted.region):
        raise UsageError(
            f"the certificate is in {found['region']}, the load balancer in {wanted.region}",
            where=f"{WHERE}.certificate",
            hint="ask for one in the same region: aws acm request-certificate "
            f"--region {wanted.region}",
        )


def _require_names(wanted: Wanted) -> None:
    networking = wanted.spec.networking
    dns, domain = networking.dns, networking.domain
    if ZONE_OPTION in wanted.overrides and not (keeps_name(wanted) or makes_certificate(wanted)):
        raise UsageError(
            "the zone is named, and nothing is written into it",
            where=f"{OVERRIDES}.{ZONE_OPTION}",
            hint="set networking.domain, or leave it out",
        )
    if dns is None:
        return
    if domain is None:
        raise UsageError(
            "there is no name to keep", where=f"{WHERE}.dns", hint="set networking.domain"
        )
    zone = zone_name(wanted)
    if domain != zone and not domain.endswith(f".{zone}"):
        raise UsageError(
            f"{domain} is not in the zone {zone}",
            where=f"{WHERE}.dns.zone",
            hint=f"such as {domain.partition('.')[2]}",
        )
    if dns.health_checks and not keeps_name(wanted):
        raise UnsupportedError(
            f"names are kept by {dns.provider}, which is not AWS's to check for",
            where=f"{WHERE}.dns.health_checks",
            hint="provider: route53, or leave health_checks out",
        )
    if dns.health_checks and networking.allowed_cidrs:
        raise UsageError(
            "health checks of Route 53 come from the whole world, which allowed_cidrs keeps out",
            where=f"{WHERE}.dns.health_checks",
            hint="leave one of the two out",
        )
