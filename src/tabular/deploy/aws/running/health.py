"""Whether what a stack made really runs, asked of the services themselves.

A stack is complete as soon as its resources were made. Tasks that die afterwards, a database whose
disk is full, a batch environment without capacity: CloudFormation knows of none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tabular.deploy.aws.account.refusals import explained
from tabular.deploy.aws.account.session import Session
from tabular.deploy.aws.account.stacks import Found
from tabular.deploy.aws.running import answers
from tabular.deploy.aws.running.answers import Finding
from tabular.errors import TabularError


@dataclass(frozen=True, slots=True)
class _Resource:
    """A resource of a stack: its logical id, its physical one, what its template says of it."""

    id: str
    name: str
    properties: Mapping[str, Any]


class Health:
    """Asks services; changes nothing."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def of(
        self, found: Found, resources: Iterable[Mapping[str, Any]], region: str
    ) -> tuple[Finding, ...]:
        """What is to be said of the resources of a stack; nothing while an operation runs.

        Args:
            found: the stack.
            resources: ``StackResourceSummary`` of each of its resources.
            region: where.
        """
        if found.busy or found.unborn or found.retained:
            return ()
        return tuple(_Look(self._session, found, tuple(resources), region).findings())


class _Look:
    """One look at one stack."""

    def __init__(
        self,
        session: Session,
        found: Found,
        resources: Sequence[Mapping[str, Any]],
        region: str,
    ) -> None:
        self._session = session
        self._region = region
        self._documents: Mapping[str, Mapping[str, Any]] = found.template.get("Resources", {})
        self._there = {
            one["LogicalResourceId"]: one for one in resources if one.get("PhysicalResourceId")
        }
        self._needed = 0  # targets, as soon as the API was asked

    def findings(self) -> Iterator[Finding]:
        """Of every resource of a type that can be asked, in the order of the types."""
        for type_, ask in _ASKED.items():
            for resource in self._of(type_):
                try:
                    yield from ask(self, resource)
                except TabularError as error:
                    # Not known is not well; and what cannot be asked must hinder no `destroy`.
                    yield Finding(resource.id, f"cannot be asked: {error.message}", well=False)

    def _of(self, type_: str) -> Iterator[_Resource]:
        for id_, one in sorted(self._there.items()):
            if one["ResourceType"] == type_:
                properties = self._documents.get(id_, {}).get("Properties", {})
                yield _Resource(id_, one["PhysicalResourceId"], properties)

    def _client(self, service: str) -> Any:
        return self._session.client(service, self._region)

    def service(self, resource: _Resource) -> Iterator[Finding]:
        """Tasks of ECS."""
        cluster = next(self._of("AWS::ECS::Cluster"), None)
        if cluster is None:
            yield Finding(resource.id, "its cluster is gone", well=False)
            return
        with explained("ecs:DescribeServices"):
            answer = self._client("ecs").describe_services(
                cluster=cluster.name, services=[resource.name]
            )
        least = resource.properties.get("DesiredCount", self._least(resource.id))
        for service in answer["services"]:
            if service.get("loadBalancers"):
                self._needed = answers.needed(service["desiredCount"], least)
            yield from answers.of_service(resource.id, service, least)
        yield from answers.absent(resource.id, answer["services"])

    def _least(self, service: str) -> Any:
        """The least that a service is scaled to; None where nothing scales it."""
        for document in self._documents.values():
            if document["Type"] == "AWS::ApplicationAutoScaling::ScalableTarget":
                target = document["Properties"]
                if f"${{{service}.Name}}" in str(target["ResourceId"]):
                    return target["MinCapacity"]
        return None

    def group(self, resource: _Resource) -> Iterator[Finding]:
        """Instances of Auto Scaling, and what it did last where some are missing."""
        client = self._client("autoscaling")
        with explained("autoscaling:DescribeAutoScalingGroups"):
            answer = client.describe_auto_scaling_groups(AutoScalingGroupNames=[resource.name])
        for group in answer["AutoScalingGroups"]:
            if group.get("TargetGroupARNs"):
                self._needed = answers.needed(group["DesiredCapacity"], group["MinSize"])
            for finding in answers.of_group(resource.id, group):
                yield finding if finding.well else self._with_last_activity(finding, resource)
        yield from answers.absent(resource.id, answer["AutoScalingGroups"])

    def _with_last_activity(self, finding: Finding, resource: _Resource) -> Finding:
        with explained("autoscaling:DescribeScalingActivities"):
            answer = self._client("autoscaling").describe_scaling_activities(
                AutoScalingGroupName=resource.name, MaxRecords=1
            )
        return answers.after_activity(finding, answer["Activities"])

    def targets(self, resource: _Resource) -> Iterator[Finding]:
        """Where the load balancer sends requests; after what is behind it."""
        with explained("elasticloadbalancing:DescribeTargetHealth"):
            answer = self._client("elbv2").describe_target_health(TargetGroupArn=resource.name)
        yield from answers.of_targets(resource.id, answer["TargetHealthDescriptions"], self._needed)

    def database(self, resource: _Resource) -> Iterator[Finding]:
        """RDS."""
        with explained("rds:DescribeDBInstances"):
            answer = self._client("rds").describe_db_instances(DBInstanceIdentifier=resource.name)
        for instance in answer["DBInstances"]:
            yield from answers.of_database(resource.id, instance)

    def cache(self, resource: _Resource) -> Iterator[Finding]:
        """ElastiCache."""
        with explained("elasticache:DescribeReplicationGroups"):
            answer = self._client("elasticache").describe_replication_groups(
                ReplicationGroupId=resource.name
            )
        for group in answer["ReplicationGroups"]:
            yield from answers.of_cache(resource.id, group)

    def queue(self, resource: _Resource) -> Iterator[Finding]:
        """SQS: that it answers is all that can be said of a queue."""
        with explained("sqs:GetQueueAttributes"):
            self._client("sqs").get_queue_attributes(
                QueueUrl=resource.name, AttributeNames=["QueueArn"]
            )
        yield from ()

    def function(self, resource: _Resource) -> Iterator[Finding]:
        """Lambda."""
        with explained("lambda:GetFunctionConfiguration"):
            answer = self._client("lambda").get_function_configuration(FunctionName=resource.name)
        yield from answers.of_function(resource.id, answer)

    def environment(self, resource: _Resource) -> Iterator[Finding]:
        """What Batch runs jobs on."""
        with explained("batch:DescribeComputeEnvironments"):
            answer = self._client("batch").describe_compute_environments(
                computeEnvironments=[resource.name.rpartition("/")[2]]
            )
        for environment in answer["computeEnvironments"]:
            yield from answers.of_batch(resource.id, environment)
        yield from answers.absent(resource.id, answer["computeEnvironments"])

    def job_queue(self, resource: _Resource) -> Iterator[Finding]:
        """Where Batch takes jobs from."""
        with explained("batch:DescribeJobQueues"):
            answer = self._client("batch").describe_job_queues(jobQueues=[resource.name])
        for queue in answer["jobQueues"]:
            yield from answers.of_batch(resource.id, queue)
        yield from answers.absent(resource.id, answer["jobQueues"])


# What asks for each type, in this order; what has no entry has no health of its own.
_ASKED: Mapping[str, Callable[[_Look, _Resource], Iterator[Finding]]] = {
    "AWS::ECS::Service": _Look.service,
    "AWS::AutoScaling::AutoScalingGroup": _Look.group,
    "AWS::ElasticLoadBalancingV2::TargetGroup": _Look.targets,
    "AWS::RDS::DBInstance": _Look.database,
    "AWS::ElastiCache::ReplicationGroup": _Look.cache,
    "AWS::SQS::Queue": _Look.queue,
    "AWS::Lambda::Function": _Look.function,
    "AWS::Batch::ComputeEnvironment": _Look.environment,
    "AWS::Batch::JobQueue": _Look.job_queue,
}
