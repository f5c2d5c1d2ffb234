"""What each program does, as statements of IAM: the calls of the drivers in `tabular.infra`.

A right is here because a line of the service makes the call. What is not listed fails with an
error that names the right, which is better than a right that nobody needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tabular.deploy.aws.infrastructure.security.secrets import read_statements
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, allow, att, sub
from tabular.deploy.aws.words.encryption import READ, WRITE, use
from tabular.errors import UnsupportedError

BACKUP_KEYS = "tabular-backup-"  # how a secret is named that tasks may read to open backups
FOLDER = "tabular"  # of the bucket; everything that the service keeps is below it
AGENT_NAMESPACE = "CWAgent"
_S3 = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?P<folder>/[A-Za-z0-9._/-]*)?")
_ECR = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<name>[a-z0-9._/-]+?)(?:[:@].*)?"
)
_OURS = re.compile(r".*/(?P<name>[a-z0-9._-]+):[^/]*")


def of_api(wanted: Wanted) -> Iterator[Document]:
    """The API: objects, announcing jobs, its secrets."""
    yield from _objects(wanted)
    yield allow(
        ["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage"], att("Queue", "Arn")
    )
    yield from read_statements(wanted, admin=True)
    yield from _key(wanted, "sqs")
    yield from _traces(wanted)


def of_worker(wanted: Wanted) -> Iterator[Document]:
    """A worker: objects, taking jobs and announcing those that were lost, its secrets."""
    yield from _objects(wanted)
    yield allow(
        [
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueUrl",
            "sqs:ReceiveMessage",
            "sqs:SendMessage",
        ],
        att("Queue", "Arn"),
    )
    yield from read_statements(wanted, admin=False)
    yield from _key(wanted, "sqs")
    yield from _traces(wanted)
    yield from _backups(wanted)


def of_both(wanted: Wanted) -> list[Document]:
    """API and worker, for instances, whose programs share one role; nothing twice."""
    found: list[Document] = []
    for statement in (*of_api(wanted), *of_worker(wanted)):
        if statement not in found:
            found.append(statement)
    return found


def of_job(wanted: Wanted) -> Iterator[Document]:
    """A generation in Lambda or Batch: objects and its secrets; there is no queue."""
    yield from _objects(wanted)
    yield from read_statements(wanted, admin=False)
    yield from _key(wanted)


def of_instance(wanted: Wanted) -> Iterator[Document]:
    """The boot script: telling the group that the instance is ready, and how full it is."""
    # Describing takes no resource, and the groups cannot be named: they name this role.
    yield allow(["autoscaling:DescribeAutoScalingInstances"], "*")
    here = "arn:${AWS::Partition}:autoscaling:${AWS::Region}:${AWS::AccountId}"
    yield allow(
        ["autoscaling:CompleteLifecycleAction"],
        sub(f"{here}:autoScalingGroup:*:autoScalingGroupName/${{AWS::StackName}}-*"),
    )
    if wanted.spec.monitoring.enabled or wanted.spec.compute.autoscaling.memory_target is not None:
        # Metrics have no ARN; the condition is all that can be said.
        only = {"StringEquals": {"cloudwatch:namespace": AGENT_NAMESPACE}}
        yield allow(["cloudwatch:PutMetricData"], "*", Condition=only)


def pulling(wanted: Wanted) -> Iterator[Document]:
    """Getting the image; nothing where it is in a public registry."""
    repository = _repository(wanted)
    if repository is None:
        return
    # The one call that knows no resource: it gives a token for all the caller may do anyway.
    yield allow(["ecr:GetAuthorizationToken"], "*")
    yield allow(
        ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        repository,
    )


def logging_to(groups: Sequence[str], *, describe: bool = False) -> Document:
    """Writing streams of log groups.

    Args:
        groups: their logical ids. The ARN of a group ends in ``:*``, its streams.
        describe: list the streams too, as the driver of Docker does.
    """
    actions = ["logs:CreateLogStream", "logs:PutLogEvents"]
    if describe:
        actions.append("logs:DescribeLogStreams")
    return allow(actions, [att(one, "Arn") for one in groups])


def _objects(wanted: Wanted) -> Iterator[Document]:
    bucket = wanted.spec.storage.bucket
    arn = f"arn:${{AWS::Partition}}:s3:::{bucket}" if bucket else "${Bucket.Arn}"
    yield from _keeping(arn, FOLDER)


def _keeping(arn: str, folder: str) -> Iterator[Document]:
    """Reading and writing below a folder of a bucket; all of it if that is empty."""
    below = f"{folder}/*" if folder else "*"
    # Who replaces an object deletes the version before; who fails on the way, what it wrote.
    yield allow(
        ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
        sub(f"{arn}/{below}"),
    )
    # Without this right S3 answers 403 for an object that is not there, and the service has to
    # know a 404. IfExists, since it is not written down what s3:prefix is in that decision.
    only = {"StringLikeIfExists": {"s3:prefix": [folder, below] if folder else [below]}}
    yield allow(["s3:ListBucket"], sub(arn), Condition=only)


def _backups(wanted: Wanted) -> Iterator[Document]:
    """Keeping and reading backups where the spec says, by a task beside the workers.

    Raises:
        UnsupportedError: another place than a bucket of S3.
    """
    place = wanted.spec.backup.destination
    if place is None:
        return
    found = _S3.fullmatch(place)
    if found is None:
        raise UnsupportedError(
            f"{place} is no place in S3, and the role of a task opens no other",
            where="spec.backup.destination",
            hint="s3://BUCKET/FOLDER",
        )
    arn = f"arn:${{AWS::Partition}}:s3:::{found['bucket']}"
    yield from _keeping(arn, (found["folder"] or "").strip("/"))
    # What opens the backups: a secret that is kept apart from the deployment, by its name.
    secrets = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret"
    yield allow(["secretsmanager:GetSecretValue"], sub(f"{secrets}:{BACKUP_KEYS}*"))


def _key(wanted: Wanted, *more: str) -> Iterator[Document]:
    yield use(wanted.key_arn, WRITE, ["s3", *more])
    yield use(wanted.key_arn, READ, ["secretsmanager"])


def _traces(wanted: Wanted) -> Iterator[Document]:
    monitoring = wanted.spec.monitoring
    if monitoring.tracing and not monitoring.otlp_endpoint:
        # X-Ray knows no resources: a trace belongs to the account.
        yield allow(
            [
                "xray:GetSamplingRules",
                "xray:GetSamplingStatisticSummaries",
                "xray:GetSamplingTargets",
                "xray:PutTelemetryRecords",
                "xray:PutTraceSegments",
            ],
            "*",
        )


def _repository(wanted: Wanted) -> Document | None:
    """ARN of the repository, of this account or another; None for a registry that is not ECR."""
    if isinstance(wanted.image, dict):
        found = _OURS.fullmatch(wanted.image["Fn::Sub"])
        account, region = "${AWS::AccountId}", "${AWS::Region}"
    else:
        found = _ECR.fullmatch(wanted.image)
        account, region = (found["account"], found["region"]) if found else ("", "")
    if found is None:
        return None
    return sub(f"arn:${{AWS::Partition}}:ecr:{region}:{account}:repository/{found['name']}")
