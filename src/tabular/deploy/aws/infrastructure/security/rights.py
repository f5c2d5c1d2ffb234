"""What each program does, as statements of IAM: the calls of the drivers in `tabular.infra`.

A right is here because a line of the service makes the call. What is not listed fails with an
error that names the right, which is better than a right that nobody needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tabular.deploy.aws.document import Document, allow, att, sub
from tabular.deploy.aws.encryption import WRITE, use
from tabular.deploy.aws.secrets import read_statements
from tabular.deploy.aws.wanted import Wanted

FOLDER = "tabular"  # of the bucket; everything that the service keeps is below it
_OBJECTS = ("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject")


def of_api(wanted: Wanted) -> Iterator[Document]:
    """The API: objects, announcing jobs, its secrets."""
    yield from _objects(wanted, delete=True)
    yield allow(["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage"], _queue())
    yield from read_statements(wanted, admin=True)
    yield use(wanted.key_arn, WRITE, ["s3", "secretsmanager", "sqs"])


def of_worker(wanted: Wanted) -> Iterator[Document]:
    """A worker: objects, taking jobs and announcing those that were lost, its secrets."""
    yield from _objects(wanted, delete=True)
    yield allow(
        [
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueUrl",
            "sqs:ReceiveMessage",
            "sqs:SendMessage",
        ],
        _queue(),
    )
    yield from read_statements(wanted, admin=True)
    yield use(wanted.key_arn, WRITE, ["s3", "secretsmanager", "sqs"])


def of_job(wanted: Wanted) -> Iterator[Document]:
    """A generation in Lambda or Batch: reads a table, writes another, deletes nothing."""
    yield from _objects(wanted, delete=False)
    yield from read_statements(wanted, admin=False)
    yield use(wanted.key_arn, WRITE, ["s3", "secretsmanager"])


def pulling(wanted: Wanted) -> Iterator[Document]:
    """Getting the image from the account's registry."""
    # The one call that knows no resource: it gives a token for all the caller may do anyway.
    yield allow(["ecr:GetAuthorizationToken"], "*")
    yield allow(
        ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        _repository(wanted),
    )


def logging_to(groups: Sequence[str], *, describe: bool = False) -> Document:
    """Writing streams of log groups.

    Args:
        groups: their logical ids. The ARN of a group ends in ``:*``, its streams.
        describe: list the streams too, as the driver of Docker does.
    """
    actions = ["logs:CreateLogStream", "logs:PutLogEvents"]
    return allow(
        [*actions, *(["logs:DescribeLogStreams"] if describe else [])],
        [att(one, "Arn") for one in groups],
    )


def _objects(wanted: Wanted, *, delete: bool) -> Iterator[Document]:
    bucket = wanted.spec.storage.bucket
    arn = f"arn:${{AWS::Partition}}:s3:::{bucket}" if bucket else "${Bucket.Arn}"
    actions = [*_OBJECTS, *(["s3:DeleteObject"] if delete else [])]
    yield allow(actions, sub(f"{arn}/{FOLDER}/*"))
    # Without this right S3 answers 403 for an object that is not there, and the service has to
    # know a 404. A request for an object has no s3:prefix, hence IfExists.
    only = {"StringLikeIfExists": {"s3:prefix": [FOLDER, f"{FOLDER}/*"]}}
    yield allow(["s3:ListBucket"], sub(arn), Condition=only)


def _queue() -> Document:
    return att("Queue", "Arn")


def _repository(wanted: Wanted) -> Any:
    return sub(
        "arn:${AWS::Partition}:ecr:${AWS::Region}:${AWS::AccountId}:repository/inferloop-tabular"
    )
