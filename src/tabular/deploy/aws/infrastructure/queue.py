"""The queue of job ids and its dead letters, encrypted and over TLS only.

Neither is kept when the deployment goes: a queue carries ids, and the jobs are in the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from tabular.deploy.aws.infrastructure.security.iam import tls_only
from tabular.deploy.aws.infrastructure.unmade import nothing_of
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, att, policy, ref, resource
from tabular.deploy.spec.quantities import format_duration
from tabular.deploy.stack import Reduction
from tabular.errors import UnsupportedError
from tabular.infra.queue import VISIBILITY_TIMEOUT

ATTEMPTS = 5
MOST_ATTEMPTS = 100  # of TABULAR_JOB_MAX_ATTEMPTS; SQS counts to 1000
# SQS hides a message for up to 12 hours. The service gives a job to another worker after this
# time as well, and its TABULAR_JOB_LEASE ends at an hour.
SHORTEST_VISIBILITY, LONGEST_VISIBILITY = timedelta(seconds=1), timedelta(hours=1)
# "SetQueueAttributes" in the API reference of SQS.
SHORTEST_RETENTION, LONGEST_RETENTION = timedelta(minutes=1), timedelta(days=14)
RETENTION = timedelta(days=4)
LONG_POLL = 20  # seconds


def resources(wanted: Wanted) -> Part:
    """Queue, dead letters and their policies; nothing where no API is served.

    Raises:
        UnsupportedError: times or attempts that SQS, or the service, does not take.
    """
    if not wanted.served:
        return {}
    return {
        "Queue": _queue(wanted),
        "DeadLetterQueue": _dead_letters(wanted),
        "QueuePolicy": _policy("Queue"),
        "DeadLetterQueuePolicy": _policy("DeadLetterQueue"),
    }


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """A queue that is asked for where nothing would use it."""
    if not wanted.served:
        yield from nothing_of("queue", wanted.spec.queue, wanted.kind)


def outputs(wanted: Wanted) -> Mapping[str, tuple[Any, str]]:
    """The queues."""
    if not wanted.served:
        return {}
    return {
        "queue": (ref("Queue"), "Queue of SQS that carries the ids of jobs."),
        "deadLetterQueue": (ref("DeadLetterQueue"), "Ids that were delivered too often."),
    }


def _queue(wanted: Wanted) -> Document:
    return resource(
        "AWS::SQS::Queue",
        {
            "KmsMasterKeyId": wanted.key_arn,
            "VisibilityTimeout": _visibility(wanted),
            "MessageRetentionPeriod": _retention(wanted),
            "ReceiveMessageWaitTimeSeconds": LONG_POLL,
            "RedrivePolicy": {
                "deadLetterTargetArn": att("DeadLetterQueue", "Arn"),
                "maxReceiveCount": _attempts(wanted),
            },
        },
    )


def _visibility(wanted: Wanted) -> int:
    said = wanted.spec.queue and wanted.spec.queue.visibility_timeout
    if not said:
        return int(VISIBILITY_TIMEOUT)
    _require_between(said, SHORTEST_VISIBILITY, LONGEST_VISIBILITY, "visibility_timeout")
    return int(said.total_seconds())


def _retention(wanted: Wanted) -> int:
    said = (wanted.spec.queue and wanted.spec.queue.retention) or RETENTION
    _require_between(said, SHORTEST_RETENTION, LONGEST_RETENTION, "retention")
    return int(said.total_seconds())


def _require_between(said: timedelta, least: timedelta, most: timedelta, name: str) -> None:
    if not least <= said <= most:
        raise UnsupportedError(
            f"it is from {format_duration(least)} to {format_duration(most)}, "
            f"not {format_duration(said)}",
            where=f"spec.queue.{name}",
            hint=f"{name}: {format_duration(min(max(said, least), most))}",
        )


def _attempts(wanted: Wanted) -> int:
    said = wanted.spec.queue and wanted.spec.queue.max_attempts
    if said and said > MOST_ATTEMPTS:
        raise UnsupportedError(
            f"a job is tried up to {MOST_ATTEMPTS} times, not {said}",
            where="spec.queue.max_attempts",
            hint=f"max_attempts: {MOST_ATTEMPTS}",
        )
    return said or ATTEMPTS


def _dead_letters(wanted: Wanted) -> Document:
    return resource(
        "AWS::SQS::Queue",
        {
            "KmsMasterKeyId": wanted.key_arn,
            "MessageRetentionPeriod": int(LONGEST_RETENTION.total_seconds()),
        },
    )


def _policy(queue: str) -> Document:
    return resource(
        "AWS::SQS::QueuePolicy",
        {
            "Queues": [ref(queue)],
            "PolicyDocument": policy(tls_only("sqs:*", att(queue, "Arn"))),
        },
    )
