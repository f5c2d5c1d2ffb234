"""What a template needs of its region, asked of the region before anything is made.

CloudFormation finds out too, but after twenty minutes of creating what it then takes down again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.account.refusals import code_of, explained
from tabular.deploy.aws.account.session import Session
from tabular.deploy.stack import Stack
from tabular.errors import PreflightError, UsageError, nearest

# Of PostgreSQL and MySQL, in all regions that are open to the public, as of November 2026.
EVERYWHERE = "db.m6g.large"
_GROUPS = ("AWS::EC2::LaunchTemplate",)


class World:
    """Asks a region; changes nothing."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def require(self, stack: Stack) -> None:
        """Refuse a stack that its region cannot run.

        Raises:
            UsageError: no such region, zone, instance type, class or version there.
            PreflightError: the image is not in the account's registry.
        """
        region = stack.target.region or ""
        self._session.require_region(region, where="spec.region")
        resources: Mapping[str, Mapping[str, Any]] = stack.template["Resources"]
        self._require_zones(region, 1 + max(_zones(resources), default=-1))
        self._require_types(region, sorted(set(_instance_types(resources))))
        for resource in resources.values():
            if resource["Type"] == "AWS::RDS::DBInstance":
                self._require_database(region, resource["Properties"])

    def _require_zones(self, region: str, needed: int) -> None:
        if not needed:
            return
        with explained("ec2:DescribeAvailabilityZones"):
            answer = self._session.client("ec2", region).describe_availability_zones(
                Filters=[{"Name": "zone-type", "Values": ["availability-zone"]}]
            )
        there = [one["ZoneName"] for one in answer["AvailabilityZones"]]
        if len(there) < needed:
            raise UsageError(
                f"{region} has {len(there)} zones for this account, and {needed} are needed",
                where="spec.compute.availability_zones",
                hint=f"at most {len(there)}, or another region",
            )

    def _require_types(self, region: str, types: list[str]) -> None:
        if not types:
            return
        with explained("ec2:DescribeInstanceTypeOfferings"):
            pages = self._session.client("ec2", region).get_paginator(
                "describe_instance_type_offerings"
            )
            sold = {
                one["InstanceType"]
                for page in pages.paginate(LocationType="region")
                for one in page["InstanceTypeOfferings"]
            }
        for name in types:
            if name not in sold:
                raise UsageError(
                    f"{region} has no instance type {name}",
                    where="spec.compute.instance_type",
                    hint=nearest(name, sold).strip() or "choose another, or another region",
                )

    def _require_database(self, region: str, properties: Mapping[str, Any]) -> None:
        if "SourceDBInstanceIdentifier" in properties:
            return  # a copy is what its source is
        engine, class_ = properties["Engine"], properties["DBInstanceClass"]
        version = str(properties["EngineVersion"])
        with explained("rds:DescribeOrderableDBInstanceOptions"):
            pages = self._session.client("rds", region).get_paginator(
                "describe_orderable_db_instance_options"
            )
            options = [
                one["EngineVersion"]
                for page in pages.paginate(Engine=engine, DBInstanceClass=class_)
                for one in page["OrderableDBInstanceOptions"]
            ]
        if not options:
            raise UsageError(
                f"{region} has no database of class {class_} for {engine}",
                where="spec.database.instance_class",
                hint=f"{EVERYWHERE} is sold in every region; all of them: aws rds "
                f"describe-orderable-db-instance-options --engine {engine} --region {region}",
            )
        if not any(one == version or one.startswith(f"{version}.") for one in options):
            majors = sorted({one.partition(".")[0] for one in options}, key=_numbers)
            raise UsageError(
                f"{region} has no {engine} {version} on {class_}",
                where="spec.database.version",
                hint=f"there: {', '.join(majors)}",
            )

    def require_image(self, stack: Stack) -> None:
        """Refuse to start containers of an image that the account's own registry does not have.

        Raises:
            PreflightError: it is not there.
        """
        region = stack.target.region or ""
        for repository, tag in sorted(set(_own_images(stack.template["Resources"]))):
            client = self._session.client("ecr", region)
            with explained("ecr:DescribeImages"):
                try:
                    client.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
                except client.exceptions.ClientError as error:
                    if code_of(error) not in (
                        "ImageNotFoundException",
                        "RepositoryNotFoundException",
                    ):
                        raise
                    raise PreflightError(
                        f"the registry of account {self._session.account} in {region} has no "
                        f"image {repository}:{tag}",
                        where="spec.image",
                        hint=f"inferloop-tabular image push --provider aws --region {region}",
                        code="preflight.image",
                    ) from error


def _numbers(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdecimal() else (0, version)


def _zones(value: Any) -> Iterator[int]:
    """Numbers of the zones that a template chooses."""
    if isinstance(value, Mapping):
        chosen = value.get("Fn::Select") or [None, None]
        if (
            isinstance(chosen, list)
            and isinstance(chosen[1], Mapping)
            and "Fn::GetAZs" in chosen[1]
        ):
            yield int(chosen[0])
        for item in value.values():
            yield from _zones(item)
    elif isinstance(value, list):
        for item in value:
            yield from _zones(item)


def _instance_types(resources: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for resource in resources.values():
        if resource["Type"] in _GROUPS:
            found = resource["Properties"]["LaunchTemplateData"].get("InstanceType")
            if isinstance(found, str):
                yield found
        elif resource["Type"] == "AWS::Batch::ComputeEnvironment":
            yield from resource["Properties"]["ComputeResources"].get("InstanceTypes", ())


def _own_images(value: Any) -> Iterator[tuple[str, str]]:
    """Repository and tag of images in the account's own registry."""
    if isinstance(value, Mapping):
        text = value.get("Fn::Sub")
        if isinstance(text, str) and text.startswith("${AWS::AccountId}.dkr.ecr."):
            repository, _, tag = text.partition("/")[2].partition(":")
            yield repository, tag
        for item in value.values():
            yield from _own_images(item)
    elif isinstance(value, list):
        for item in value:
            yield from _own_images(item)
