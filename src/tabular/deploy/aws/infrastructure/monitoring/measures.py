"""What CloudWatch measures of a deployment, named once for alarms and charts.

Sources: "Available CloudWatch metrics" in the developer guides of ECS, Elastic Load Balancing, RDS,
ElastiCache, SQS and Lambda; "Container Insights metrics" of ECS; "Metrics collected by the
CloudWatch agent". The compute compiler turns on Container Insights, the metrics of the Auto Scaling
groups and the agent wherever monitoring is on.
"""

from __future__ import annotations

from dataclasses import dataclass

from tabular.deploy.aws.infrastructure.compute.metrics import AGENT, MEMORY
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, att, ref, sub

NAMESPACE = "InferloopTabular/${AWS::StackName}"
PROGRAMS = ("Api", "Worker")


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric.

    Attributes:
        title: in words.
        namespace: whose; may have ``${…}``.
        metric: its name there.
        dimensions: of what, in CloudFormation's words.
        statistic: how values are put together: ``Average``, ``Sum``, ``p95`` …
    """

    title: str
    namespace: str
    metric: str
    dimensions: tuple[tuple[str, Document], ...]
    statistic: str


def period(wanted: Wanted) -> int:
    """Seconds between two values."""
    return 60 if wanted.spec.monitoring.detailed else 300


def programs(wanted: Wanted) -> tuple[str, ...]:
    """Those that run all the time."""
    if not wanted.served:
        return ()
    return PROGRAMS if wanted.workers.maximum else PROGRAMS[:1]


def cpu(wanted: Wanted, program: str) -> Measure:
    """Processor use of a program, percent."""
    title = f"{program}: processor, %"
    if wanted.kind == "ecs-fargate":
        return Measure(title, "AWS/ECS", "CPUUtilization", _service(program), "Average")
    return Measure(title, "AWS/EC2", "CPUUtilization", _group(program), "Average")


def memory(wanted: Wanted, program: str) -> Measure:
    """Memory use of a program, percent."""
    title = f"{program}: memory, %"
    if wanted.kind == "ecs-fargate":
        return Measure(title, "AWS/ECS", "MemoryUtilization", _service(program), "Average")
    return Measure(title, AGENT, MEMORY, _group(program), "Average")


def wished(wanted: Wanted, program: str) -> Measure:
    """How many of a program there should be."""
    title = f"{program}: wished for"
    if wanted.kind == "ecs-fargate":
        return _insight(title, "DesiredTaskCount", program)
    return Measure(title, "AWS/AutoScaling", "GroupDesiredCapacity", _group(program), "Average")


def running(wanted: Wanted, program: str) -> Measure:
    """How many of a program there are."""
    title = f"{program}: running"
    if wanted.kind == "ecs-fargate":
        return _insight(title, "RunningTaskCount", program)
    return Measure(title, "AWS/AutoScaling", "GroupInServiceInstances", _group(program), "Average")


def balancer(title: str, metric: str, statistic: str) -> Measure:
    """Of the load balancer as a whole."""
    whole = (("LoadBalancer", att("LoadBalancer", "LoadBalancerFullName")),)
    return Measure(title, "AWS/ApplicationELB", metric, whole, statistic)


def targets(title: str, metric: str, statistic: str) -> Measure:
    """Of what stands behind the load balancer."""
    whole = balancer(title, metric, statistic)
    group = ("TargetGroup", att("TargetGroup", "TargetGroupFullName"))
    return Measure(title, whole.namespace, metric, (group, *whole.dimensions), statistic)


def queue(title: str, metric: str, statistic: str, name: str = "Queue") -> Measure:
    """Of a queue."""
    return Measure(title, "AWS/SQS", metric, (("QueueName", att(name, "QueueName")),), statistic)


def database(title: str, metric: str, statistic: str) -> Measure:
    """Of the database."""
    instance = (("DBInstanceIdentifier", ref("Database")),)
    return Measure(title, "AWS/RDS", metric, instance, statistic)


def cache(title: str, metric: str, statistic: str) -> Measure:
    """Of the first node of the cache, which the others follow."""
    node = (("CacheClusterId", sub("${Cache}-001")),)
    return Measure(title, "AWS/ElastiCache", metric, node, statistic)


def function(title: str, metric: str, statistic: str) -> Measure:
    """Of the function of Lambda."""
    return Measure(title, "AWS/Lambda", metric, (("FunctionName", ref("Function")),), statistic)


def jobs(title: str, metric: str) -> Measure:
    """Counted from the workers' log."""
    return Measure(title, NAMESPACE, metric, (), "Sum")


def _service(program: str) -> tuple[tuple[str, Document], ...]:
    return (("ClusterName", ref("Cluster")), ("ServiceName", att(f"{program}Service", "Name")))


def _insight(title: str, metric: str, program: str) -> Measure:
    return Measure(title, "ECS/ContainerInsights", metric, _service(program), "Average")


def _group(program: str) -> tuple[tuple[str, Document], ...]:
    return (("AutoScalingGroupName", ref(f"{program}Group")),)


def as_text(document: Document) -> str:
    """A reference as it is written within a ``Fn::Sub``."""
    if "Ref" in document:
        return f"${{{document['Ref']}}}"
    if "Fn::GetAtt" in document:
        return f"${{{'.'.join(document['Fn::GetAtt'])}}}"
    return str(document["Fn::Sub"])
