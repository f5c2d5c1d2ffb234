"""What the API and the workers run on: one of four kinds of compute.

fargate, ec2    the service and its workers     function, batch     generation alone
container       what all of them run            bootstrap           how an instance starts
scaling         target tracking                 metrics, schedules  what it goes by
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from tabular.deploy.aws.infrastructure.compute import batch, container, ec2, fargate, function
from tabular.deploy.aws.infrastructure.wanted import Kind, Wanted
from tabular.deploy.aws.words.document import Part, ref
from tabular.deploy.stack import Reduction
from tabular.errors import UnsupportedError

__all__ = ["outputs", "reductions", "resources"]

_KINDS: Mapping[Kind, ModuleType] = {
    "ecs-fargate": fargate,
    "ec2": ec2,
    "lambda": function,
    "batch": batch,
}


def resources(wanted: Wanted) -> Part:
    """Resources of the kind that is wanted.

    Raises:
        UsageError, UnsupportedError: this kind does not give what is asked.
    """
    _require_possible(wanted)
    part: Part = _KINDS[wanted.kind].resources(wanted)
    return part


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """What it gives only in part."""
    if wanted.spec.compute.gpu == "optional":
        yield Reduction(
            "spec.compute.gpu",
            "optional",
            "none",
            "an instance with one costs several times as much; with type: ec2 say required",
        )
    yield from container.reductions(wanted)
    yield from _KINDS[wanted.kind].reductions(wanted)


def outputs(wanted: Wanted) -> Mapping[str, tuple[Any, str]]:
    """Where to look for what runs."""
    return {
        "ecs-fargate": {"cluster": (ref("Cluster"), "Cluster of ECS that everything runs in.")},
        "ec2": {
            "apiGroup": (ref("ApiGroup"), "Auto Scaling group of the API."),
            "workerGroup": (ref("WorkerGroup"), "Auto Scaling group of the workers."),
        },
        "lambda": {"function": (ref("Function"), "Function that generates on upload.")},
        "batch": {
            "jobQueue": (ref("JobQueue"), "Queue of Batch for generations."),
            "jobDefinition": (ref("JobDefinition"), "What a job of it is."),
        },
    }[wanted.kind]


def _require_possible(wanted: Wanted) -> None:
    compute = wanted.spec.compute
    if not wanted.served and compute.schedules:
        raise UnsupportedError(
            f"{wanted.kind} runs while there is work, so there is no size to change by the clock",
            where="spec.compute.schedules",
            hint="leave them out, or use type: ecs-fargate",
        )
    if wanted.kind == "lambda" and compute.spot is not None:
        raise UnsupportedError(
            "Lambda has one price", where="spec.compute.spot", hint="leave it out, or type: batch"
        )
