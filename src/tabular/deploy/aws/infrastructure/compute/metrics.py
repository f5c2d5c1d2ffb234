"""What scaling looks at beside the processors, as metric math of CloudWatch.

Application Auto Scaling and EC2 Auto Scaling take the same queries.
"""

from __future__ import annotations

from typing import Any

from tabular.deploy.aws.words.document import Document, att, ref

# Jobs that wait for each worker. More of them, and a worker is added.
BACKLOG = 2
# What the agent on an instance calls its values and where it puts them, one for each group.
AGENT, MEMORY, DISK = "CWAgent", "mem_used_percent", "disk_used_percent"


def concurrency() -> list[Document]:
    """Requests that one instance serves at the same time.

    No metric says it, but the number in a system is its rate times the time that each one stays
    (Little's law), and the load balancer knows both.
    """
    balancer = {
        "LoadBalancer": att("LoadBalancer", "LoadBalancerFullName"),
        "TargetGroup": att("TargetGroup", "TargetGroupFullName"),
    }
    group = "AWS/ApplicationELB"
    return [
        _metric("requests", group, "RequestCountPerTarget", "Sum", balancer),
        _metric("seconds", group, "TargetResponseTime", "Average", balancer),
        # Without a request there are no values, which would keep it from scaling in.
        _result("FILL(requests, 0) / 60 * FILL(seconds, 0)"),
    ]


def backlog_of_tasks() -> list[Document]:
    """Waiting jobs for each task of the workers' service.

    Each running task gives one sample of its processors a minute. Source: the developer guide of
    Amazon ECS, "Service RUNNING task count".
    """
    service = {"ClusterName": ref("Cluster"), "ServiceName": att("WorkerService", "Name")}
    return _backlog(_metric("workers", "AWS/ECS", "CPUUtilization", "SampleCount", service))


def backlog_of_instances() -> list[Document]:
    """Waiting jobs for each instance of the workers' group."""
    group = {"AutoScalingGroupName": ref("WorkerGroup")}
    number = _metric("workers", "AWS/AutoScaling", "GroupInServiceInstances", "Average", group)
    return _backlog(number)


def memory(group: str) -> list[Document]:
    """Memory in use, percent, mean of a group's instances, as their agents tell it."""
    by = {"AutoScalingGroupName": ref(group)}
    return [{**_metric("result", AGENT, MEMORY, "Average", by), "ReturnData": True}]


def _backlog(workers: Document) -> list[Document]:
    queue = {"QueueName": att("Queue", "QueueName")}
    name = "ApproximateNumberOfMessagesVisible"
    return [
        _metric("waiting", "AWS/SQS", name, "Maximum", queue),
        workers,
        _result("FILL(waiting, 0) / FILL(workers, 1)"),
    ]


def _metric(id_: str, namespace: str, name: str, stat: str, by: dict[str, Any]) -> Document:
    dimensions = [{"Name": key, "Value": value} for key, value in by.items()]
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": dimensions}
    return {"Id": id_, "MetricStat": {"Metric": metric, "Stat": stat}, "ReturnData": False}


def _result(expression: str) -> Document:
    return {"Id": "result", "Expression": expression, "ReturnData": True}
