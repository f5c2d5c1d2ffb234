"""The queue of job ids and its dead letters, encrypted and over TLS only.

Neither is kept when the deployment goes: a queue carries ids, and the jobs are in the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.document import Document, Part, att, policy, ref, resource
from tabular.deploy.aws.iam import tls_only
from tabular.deploy.aws.wanted import Wanted
from tabular.deploy.stack import Reduction

VISIBILITY = 60  # seconds
ATTEMPTS = 5
RETENTION = 4 * 86_400  # seconds
LONGEST_RETENTION = 14 * 86_400
LONG_POLL = 20  # seconds


def resources(wanted: Wanted) -> Part:
    """Queue, dead letters and their policy; nothing where no API is served."""
    if not wanted.served:
        return {}
    return {
        "Queue": _queue(wanted),
        "DeadLetterQueue": _dead_letters(wanted),
        "QueuePolicy": _policy("Queue"),
        "DeadLetterQueuePolicy": _policy("DeadLetterQueue"),
    }


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """Nothing is given only in part."""
    yield from ()


def outputs(wanted: Wanted) -> Mapping[str, tuple[Any, str]]:
    """The queues."""
    if not wanted.served:
        return {}
    return {
        "QueueUrl": (ref("Queue"), "Queue of SQS that carries the ids of jobs."),
        "DeadLetterQueueUrl": (ref("DeadLetterQueue"), "Ids that were delivered too often."),
    }


def _queue(wanted: Wanted) -> Document:
    return resource(
        "AWS::SQS::Queue",
        {
            "KmsMasterKeyId": wanted.key_arn,
            "VisibilityTimeout": VISIBILITY,
            "MessageRetentionPeriod": RETENTION,
            "ReceiveMessageWaitTimeSeconds": LONG_POLL,
            "RedrivePolicy": {
                "deadLetterTargetArn": att("DeadLetterQueue", "Arn"),
                "maxReceiveCount": ATTEMPTS,
            },
        },
    )


def _dead_letters(wanted: Wanted) -> Document:
    return resource(
        "AWS::SQS::Queue",
        {"KmsMasterKeyId": wanted.key_arn, "MessageRetentionPeriod": LONGEST_RETENTION},
    )


def _policy(queue: str) -> Document:
    return resource(
        "AWS::SQS::QueuePolicy",
        {
            "Queues": [ref(queue)],
            "PolicyDocument": policy(*tls_only("sqs:*", att(queue, "Arn"))),
        },
    )
