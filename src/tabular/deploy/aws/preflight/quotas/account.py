"""What an account has of each quota, and what of it is in use; read-only.

Service Quotas knows the first. The second is counted by the service that the quota is about:
CloudWatch's figures of use lag by minutes and exist for few quotas. Fargate is the exception, since
no service lists its tasks (those of ECS, Batch and EKS) in one place.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tabular.deploy.aws.account.refusals import code_of, explained
from tabular.deploy.aws.account.session import Session
from tabular.deploy.aws.preflight.quotas import known
from tabular.deploy.aws.preflight.quotas.known import Quota
from tabular.errors import ForbiddenError, UnavailableError

# AWS Lambda developer guide, "Reserving concurrency": so many of an account cannot be reserved.
UNRESERVED = 100
# In which CloudWatch has a figure of whatever is in use. There is none of what is not, so an older
# one is of what is gone.
_LATELY = timedelta(minutes=15)
_FILTERED = 200  # values that a filter of EC2 takes


class Account:
    """An account in one region."""

    def __init__(self, session: Session, region: str) -> None:
        self._session = session
        self._region = region

    def limit(self, quota: Quota) -> float:
        """What the account has: what was granted, or else what every account has.

        Raises:
            TabularError: these credentials may not see it, or AWS does not answer.
        """
        if quota == known.LAMBDA:  # new accounts have fewer than Service Quotas says
            return float(self._concurrency["ConcurrentExecutions"])
        client = self._client("service-quotas")
        asked = {"ServiceCode": quota.service, "QuotaCode": quota.code}
        with explained("servicequotas:GetServiceQuota"):
            try:
                return _value(client.get_service_quota(**asked)["Quota"])
            except client.exceptions.ClientError as error:
                if code_of(error) != "NoSuchResourceException":
                    raise
        with explained("servicequotas:GetAWSDefaultServiceQuota"):
            return _value(client.get_aws_default_service_quota(**asked)["Quota"])

    def used(self, quota: Quota, zone: str) -> float:
        """What is in use of it.

        Args:
            quota: which.
            zone: name of a zone or its number, "" for quotas of a region.

        Raises:
            TabularError: these credentials may not see it, or nobody knows.
        """
        count = _COUNTED.get(quota)
        if count is not None:
            return count(self)
        if quota == known.NAT_GATEWAYS:
            return self._nat_gateways(zone)
        if quota in (known.FARGATE, known.FARGATE_SPOT):
            return self._fargate(spot=quota == known.FARGATE_SPOT)
        return self._instances[quota]

    def vcpus(self, types: frozenset[str]) -> Mapping[str, int]:
        """Of instance types; those that the region does not have are left out."""
        found: dict[str, int] = {}
        named = sorted(types)
        for start in range(0, len(named), _FILTERED):
            # By filter: asked for by name, one that is not sold there would be an error.
            some = [{"Name": "instance-type", "Values": named[start : start + _FILTERED]}]
            with explained("ec2:DescribeInstanceTypes"):
                sold = self._listed("ec2", "describe_instance_types", "InstanceTypes", Filters=some)
            found |= {one["InstanceType"]: int(one["VCpuInfo"]["DefaultVCpus"]) for one in sold}
        return found

    def vpcs(self) -> float:
        """VPCs, the default one too."""
        with explained("ec2:DescribeVpcs"):
            return len(self._own("describe_vpcs", "Vpcs"))

    def addresses(self) -> float:
        """Elastic IPs, used or idle. The answer has no pages."""
        with explained("ec2:DescribeAddresses"):
            answer = self._client("ec2").describe_addresses()
        return float(len(answer["Addresses"]))

    def security_groups(self) -> float:
        """Security groups of all VPCs."""
        with explained("ec2:DescribeSecurityGroups"):
            return len(self._own("describe_security_groups", "SecurityGroups"))

    def gateway_endpoints(self) -> float:
        """Endpoints that are routes: those of S3 and DynamoDB."""
        with explained("ec2:DescribeVpcEndpoints"):
            found = self._listed("ec2", "describe_vpc_endpoints", "VpcEndpoints")
        return float(sum(one["VpcEndpointType"] == "Gateway" for one in found))

    def balancers(self) -> float:
        """Application Load Balancers."""
        with explained("elasticloadbalancing:DescribeLoadBalancers"):
            found = self._listed("elbv2", "describe_load_balancers", "LoadBalancers")
        return float(sum(one["Type"] == "application" for one in found))

    def databases(self) -> float:
        """Instances of RDS, of Aurora too."""
        return len(self._databases)

    def database_disks(self) -> float:
        """GB of the disks of RDS; Aurora has none."""
        return float(
            sum(
                one["AllocatedStorage"]
                for one in self._databases
                if not str(one["Engine"]).startswith("aurora")
            )
        )

    def concurrency(self) -> float:
        """What other functions of Lambda have reserved, and what nobody may reserve."""
        limits = self._concurrency
        reserved = limits["ConcurrentExecutions"] - limits["UnreservedConcurrentExecutions"]
        return float(reserved + UNRESERVED)

    def _nat_gateways(self, zone: str) -> float:
        """Those of one zone."""
        named, counted = self._gateways
        if not zone.isdecimal():
            return float(counted[zone])
        if int(zone) >= len(named):
            raise UnavailableError(
                f"there is no zone {int(zone) + 1} here: CloudFormation counts only zones with a "
                f"default subnet where there is any, which are {', '.join(named) or 'none'}",
                where="ec2:DescribeSubnets",
                hint="`aws ec2 create-default-subnet --availability-zone ZONE` adds one; or fewer "
                "spec.compute.availability_zones, or a network of your own",
            )
        return float(counted[named[int(zone)]])

    @functools.cached_property
    def _gateways(self) -> tuple[list[str], Counter[str]]:
        """Zones in their order, and the NAT gateways of each.

        Those that come and go count too. The order is that of ``Fn::GetAZs``: zones with a default
        subnet, or all where there is none.
        """
        with explained("ec2:DescribeSubnets"):
            subnets = self._listed("ec2", "describe_subnets", "Subnets")
        where = {one["SubnetId"]: str(one["AvailabilityZone"]) for one in subnets}
        default = {where[one["SubnetId"]] for one in subnets if one.get("DefaultForAz")}
        states = [{"Name": "state", "Values": ["pending", "available", "deleting"]}]
        with explained("ec2:DescribeNatGateways"):
            gateways = self._listed("ec2", "describe_nat_gateways", "NatGateways", Filters=states)
        counted = Counter(where.get(one.get("SubnetId", ""), "") for one in gateways)
        return sorted(default) or self._zones(), counted

    def _zones(self) -> list[str]:
        with explained("ec2:DescribeAvailabilityZones"):
            answer = self._client("ec2").describe_availability_zones(
                Filters=[{"Name": "zone-type", "Values": ["availability-zone"]}]
            )
        return sorted(one["ZoneName"] for one in answer["AvailabilityZones"])

    def _fargate(self, *, spot: bool) -> float:
        """vCPUs of Fargate.

        Source of the metric: Amazon ECS developer guide, "AWS Fargate usage metrics". Where there
        is none of either kind, nothing may be running, and ECS is asked whether that is so.

        Raises:
            UnavailableError: tasks run, and CloudWatch does not count them.
        """
        classes = ("Standard/Spot", "Standard/OnDemand")
        counted = [self._metered(one) for one in (classes if spot else classes[::-1])]
        if counted[0] is not None:
            return counted[0]
        if counted[1] is None and self._tasks_run():
            raise UnavailableError(
                "CloudWatch has no figure of it, though tasks of Fargate run",
                where="cloudwatch:GetMetricStatistics",
                hint="a few minutes later there is one",
            )
        return 0

    def _metered(self, class_: str) -> float | None:
        """The newest figure of the use of Fargate; None where there is none."""
        now = datetime.now(UTC)
        dimensions = {
            "Service": "Fargate",
            "Type": "Resource",
            "Resource": "vCPU",
            "Class": class_,
        }
        with explained("cloudwatch:GetMetricStatistics"):
            answer = self._client("cloudwatch").get_metric_statistics(
                Namespace="AWS/Usage",
                MetricName="ResourceCount",
                Dimensions=[{"Name": k, "Value": v} for k, v in dimensions.items()],
                StartTime=now - _LATELY,
                EndTime=now,
                Period=300,
                Statistics=["Maximum"],
            )
        points = sorted(answer["Datapoints"], key=lambda one: one["Timestamp"])
        return float(points[-1]["Maximum"]) if points else None

    def _tasks_run(self) -> bool:
        """Whether ECS runs anything on Fargate in this region."""
        client = self._client("ecs")
        with explained("ecs:ListClusters"):
            clusters = self._listed("ecs", "list_clusters", "clusterArns")
        for start in range(0, len(clusters), 100):
            some = clusters[start : start + 100]
            with explained("ecs:DescribeClusters"):
                answer = client.describe_clusters(clusters=some, include=["STATISTICS"])
            if any(_on_fargate(one) for one in answer["clusters"]):
                return True
        return False

    @functools.cached_property
    def _instances(self) -> Counter[Quota]:
        """vCPUs of the instances that run, by quota; those of dedicated hosts count elsewhere."""
        states = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        with explained("ec2:DescribeInstances"):
            found = self._listed("ec2", "describe_instances", "Reservations", Filters=states)
        running = [
            (str(one["InstanceType"]), one.get("InstanceLifecycle") == "spot")
            for each in found
            for one in each["Instances"]
            if one.get("Placement", {}).get("Tenancy") != "host"
        ]
        cores = self.vcpus(frozenset(type_ for type_, _ in running))
        counted: Counter[Quota] = Counter()
        for type_, spot in running:
            quota = known.of_instances(type_, spot=spot)
            if quota is not None:
                counted[quota] += _cores(type_, cores)
        return counted

    @functools.cached_property
    def _databases(self) -> list[Any]:
        with explained("rds:DescribeDBInstances"):
            return self._listed("rds", "describe_db_instances", "DBInstances")

    @functools.cached_property
    def _concurrency(self) -> Mapping[str, Any]:
        with explained("lambda:GetAccountSettings"):
            found: Mapping[str, Any] = self._client("lambda").get_account_settings()["AccountLimit"]
        return found

    def _own(self, call: str, key: str) -> list[Any]:
        """What EC2 lists without what another account shares, which counts there."""
        mine = self._session.account
        return [one for one in self._listed("ec2", call, key) if one["OwnerId"] == mine]

    def _listed(self, service: str, call: str, key: str, **asked: Any) -> list[Any]:
        """Everything that a call lists, on all of its pages."""
        pages = self._client(service).get_paginator(call).paginate(**asked)
        return [one for page in pages for one in page[key]]

    def _client(self, service: str) -> Any:
        return self._session.client(service, self._region)


def _value(quota: Mapping[str, Any]) -> float:
    """The figure in an answer of Service Quotas, which asks the service itself for some of them.

    Raises:
        ForbiddenError: the service denied it.
        UnavailableError: the service did not say it.
    """
    if "Value" in quota:
        return float(quota["Value"])
    reason = quota.get("ErrorReason", {})
    code = str(reason.get("ErrorCode", ""))
    text = reason.get("ErrorMessage") or code or "no reason is given"
    if code == "DEPENDENCY_ACCESS_DENIED_ERROR":
        raise ForbiddenError(
            f"Service Quotas may not ask the service with these credentials: {text}",
            where="servicequotas:GetServiceQuota",
            hint="`inferloop-tabular aws iam-policy` prints what a deployer needs",
        )
    raise UnavailableError(
        f"Service Quotas has no figure: {text}",
        where="servicequotas:GetServiceQuota",
        hint="run the command again a few minutes later, or look at it yourself: "
        "https://console.aws.amazon.com/servicequotas",
    )


def _on_fargate(cluster: Mapping[str, Any]) -> bool:
    """Whether tasks of Fargate run in a cluster, or are about to: where that is not told, any."""
    figures = {str(one["name"]).lower(): int(one["value"]) for one in cluster.get("statistics", ())}
    return any(
        figures.get(f"{state}fargatetaskscount", cluster[f"{state}TasksCount"]) > 0
        for state in ("running", "pending")
    )


def _cores(type_: str, cores: Mapping[str, int]) -> int:
    if type_ not in cores:
        raise UnavailableError(
            f"EC2 does not say how many vCPUs {type_} has, of which there are some",
            where="ec2:DescribeInstanceTypes",
        )
    return cores[type_]


_COUNTED: Mapping[Quota, Callable[[Account], float]] = {
    known.VPCS: Account.vpcs,
    known.ADDRESSES: Account.addresses,
    known.SECURITY_GROUPS: Account.security_groups,
    known.GATEWAY_ENDPOINTS: Account.gateway_endpoints,
    known.BALANCERS: Account.balancers,
    known.DATABASES: Account.databases,
    known.DATABASE_DISKS: Account.database_disks,
    known.LAMBDA: Account.concurrency,
}
