"""Lambda: a function that generates a table for every order that is put into the bucket.

An order is an object ``incoming/NAME.json``; see ``tabular.worker.orders`` for what stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import ceil

from tabular.deploy.aws.infrastructure.compute import container
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, att, ref, resource
from tabular.deploy.spec.quantities import format_cores
from tabular.deploy.stack import Reduction
from tabular.errors import UnsupportedError

# Source: the developer guide of AWS Lambda, "Lambda quotas" and "Configure function memory".
LEAST_MEMORY, MOST_MEMORY = 128, 10_240  # MiB
MEMORY_OF_CORE = 1769  # MiB that come with one core
USUAL_MEMORY = 3008  # MiB that a new account may have
TIMEOUT = 900  # seconds, the most there is
LEAST_DISK, MOST_DISK = 512, 10_240  # MiB
MIB, GIB = 2**20, 2**30
INCOMING = "tabular/incoming/*.json"
COMMAND = ("python", "-m", "tabular.worker.function")
_ECR = re.compile(r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/.+")
_FIXED = ("workers", "instances", "min_instances", "availability_zones", "autoscaling")


def resources(wanted: Wanted) -> Part:
    """The function, what calls it, and how often it is tried again."""
    return {
        "Function": _function(wanted),
        "FunctionRule": _rule(wanted),
        "FunctionPermission": resource(
            "AWS::Lambda::Permission",
            {
                "Action": "lambda:InvokeFunction",
                "FunctionName": ref("Function"),
                "Principal": "events.amazonaws.com",
                "SourceArn": att("FunctionRule", "Arn"),
            },
        ),
        # What is wrong with an order is written beside it; tried again is what met an outage.
        "FunctionRetries": resource(
            "AWS::Lambda::EventInvokeConfig",
            {
                "FunctionName": ref("Function"),
                "Qualifier": "$LATEST",
                "MaximumRetryAttempts": 2,
                "MaximumEventAgeInSeconds": 21_600,
            },
        ),
    }


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """Lambda starts as much as there are orders; there is no number to keep."""
    compute = wanted.spec.compute
    for name in _FIXED:
        if name in compute.model_fields_set:
            value = getattr(compute, name)
            said = "as it is said" if name == "autoscaling" else str(value)
            yield Reduction(
                f"spec.compute.{name}",
                said,
                "as many as there are orders",
                "Lambda starts and ends by itself, in several zones; max_instances limits it",
            )
    cores = compute.cpu
    if cores is not None and compute.memory is not None and memory(wanted) < cores * MEMORY_OF_CORE:
        yield Reduction(
            "spec.compute.cpu",
            str(format_cores(cores)),
            f"the share that comes with {memory(wanted)} MiB",
            f"Lambda gives a core with each {MEMORY_OF_CORE} MiB",
        )
    if wanted.spec.storage.bucket is not None:
        yield Reduction(
            "spec.storage.bucket",
            "generation on upload",
            "once the bucket tells EventBridge of its uploads",
            "an existing bucket is not changed; aws s3api put-bucket-notification-configuration "
            "--notification-configuration '{\"EventBridgeConfiguration\": {}}'",
        )


def memory(wanted: Wanted) -> int:
    """MiB of the function; what is said, or what comes with the cores that are said.

    Raises:
        UnsupportedError: Lambda has no such size.
    """
    compute = wanted.spec.compute
    where, found = "spec.compute.memory", USUAL_MEMORY
    if compute.memory is not None:
        found = -(-compute.memory // MIB)
    elif compute.cpu is not None:
        where, found = "spec.compute.cpu", max(LEAST_MEMORY, ceil(compute.cpu * MEMORY_OF_CORE))
    if not LEAST_MEMORY <= found <= MOST_MEMORY:
        raise UnsupportedError(
            f"a function of Lambda has {LEAST_MEMORY} to {MOST_MEMORY} MiB, which is up to 5.8 "
            f"cores; this comes to {found} MiB",
            where=where,
            hint=f"memory: {MOST_MEMORY}Mi, or type: batch",
        )
    return found


def _function(wanted: Wanted) -> Document:
    most = wanted.spec.compute.max_instances
    return resource(
        "AWS::Lambda::Function",
        {
            "PackageType": "Image",
            "Code": {"ImageUri": _image(wanted)},
            "ImageConfig": {"Command": list(COMMAND)},
            "Architectures": ["x86_64"],
            "MemorySize": memory(wanted),
            "Timeout": TIMEOUT,
            "EphemeralStorage": {"Size": _disk(wanted)},
            "ReservedConcurrentExecutions": most,
            "Role": att("FunctionRole", "Arn"),
            "Environment": {"Variables": container.settings(wanted, "function")},
            # The service writes lines of JSON itself.
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": container.log_group("function")},
        },
    )


def _disk(wanted: Wanted) -> int:
    disk = wanted.spec.compute.disk
    if disk is None:
        return MOST_DISK
    mib = max(LEAST_DISK, -(-disk // MIB))
    if mib > MOST_DISK:
        raise UnsupportedError(
            f"a function of Lambda has up to {MOST_DISK // 1024} GiB of disk",
            where="spec.compute.disk",
            hint=f"disk: {MOST_DISK // 1024}Gi, or type: batch",
        )
    return mib


def _image(wanted: Wanted) -> object:
    image = wanted.image
    if isinstance(image, str) and not _ECR.fullmatch(image):
        raise UnsupportedError(
            f"Lambda takes images from ECR only, not {image}",
            where="spec.image.repository",
            hint="leave spec.image out and push ours: inferloop-tabular image push",
        )
    return image


def _rule(wanted: Wanted) -> Document:
    target = {"Id": "generate", "Arn": att("Function", "Arn")}
    return resource(
        "AWS::Events::Rule",
        {
            "Description": "An order was put into the bucket.",
            "EventPattern": {
                "source": ["aws.s3"],
                "detail-type": ["Object Created"],
                "detail": {
                    "bucket": {"name": [wanted.bucket_name]},
                    "object": {"key": [{"wildcard": INCOMING}]},
                },
            },
            "Targets": [target],
        },
    )
