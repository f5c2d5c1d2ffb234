"""One role for each program, with what `rights` says that it does."""

from __future__ import annotations

from tabular.deploy.aws.infrastructure.security import rights
from tabular.deploy.aws.infrastructure.security.iam import OWN_ACCOUNT, role
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, ref, resource

_TASKS = "ecs-tasks.amazonaws.com"
_SERVED = ("ApiLogGroup", "WorkerLogGroup")


def resources(wanted: Wanted) -> Part:
    """The roles of the kind of compute that is wanted."""
    return {
        "ecs-fargate": _fargate,
        "ec2": _instances,
        "lambda": _function,
        "batch": _batch,
    }[wanted.kind](wanted)


def _fargate(wanted: Wanted) -> Part:
    return {
        "ExecutionRole": _execution(wanted, _SERVED),
        "ApiRole": role(wanted, _TASKS, *rights.of_api(wanted), condition=OWN_ACCOUNT),
        "WorkerRole": role(wanted, _TASKS, *rights.of_worker(wanted), condition=OWN_ACCOUNT),
    }


def _execution(wanted: Wanted, groups: tuple[str, ...]) -> Document:
    """The role of what starts a container, not of what runs in it."""
    return role(
        wanted,
        _TASKS,
        *rights.pulling(wanted),
        rights.logging_to(groups),
        condition=OWN_ACCOUNT,
    )


def _instances(wanted: Wanted) -> Part:
    return {
        "InstanceRole": role(
            wanted,
            "ec2.amazonaws.com",
            *rights.of_both(wanted),
            *rights.of_instance(wanted),
            *rights.pulling(wanted),
            rights.logging_to(_SERVED, describe=True),
            # The way in without SSH. AWS's own policy, since its agent changes what it calls.
            managed=("AmazonSSMManagedInstanceCore",),
        ),
        "InstanceProfile": _profile(),
    }


def _profile() -> Document:
    return resource("AWS::IAM::InstanceProfile", {"Roles": [ref("InstanceRole")]})


def _function(wanted: Wanted) -> Part:
    return {
        "FunctionRole": role(
            wanted,
            "lambda.amazonaws.com",
            *rights.of_job(wanted),
            rights.logging_to(("FunctionLogGroup",)),
        )
    }


def _batch(wanted: Wanted) -> Part:
    found = {
        "ExecutionRole": _execution(wanted, ("JobLogGroup",)),
        "JobRole": role(wanted, _TASKS, *rights.of_job(wanted), condition=OWN_ACCOUNT),
    }
    if wanted.on_instances:
        # AWS's own policy, since the agent of ECS, which Batch puts there, changes what it calls.
        managed = "service-role/AmazonEC2ContainerServiceforEC2Role"
        found["InstanceRole"] = role(wanted, "ec2.amazonaws.com", managed=(managed,))
        found["InstanceProfile"] = _profile()
    return found
