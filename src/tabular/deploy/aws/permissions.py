"""The least that a deployer must be allowed, worked out from what is deployed.

Two kinds of rights. What this tool asks AWS itself is written down here. What CloudFormation does
for it comes from the schema that AWS publishes for each type (`permissions.json`), and holds only
for calls that CloudFormation makes. Roles and buckets are those of our stacks alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from tabular.deploy.aws.account.stacks import PREFIX
from tabular.deploy.aws.compile import REPOSITORY
from tabular.deploy.aws.words.document import policy
from tabular.deploy.aws.words.partitions import PUBLIC

MAX_POLICY = 6144  # characters of a managed policy without white space, says the quota page of IAM
_VIA = {"ForAnyValue:StringEquals": {"aws:CalledVia": "cloudformation.amazonaws.com"}}
_OURS = {"Null": {"aws:ResourceTag/inferloop:deployment": "false"}}

_STACK = (
    "CreateChangeSet", "DeleteChangeSet", "DeleteStack", "DescribeChangeSet", "DescribeStackEvents",
    "DescribeStackResourceDrifts", "DescribeStacks", "DetectStackDrift", "DetectStackResourceDrift",
    "ExecuteChangeSet", "GetTemplate", "ListChangeSets", "ListStackResources", "RollbackStack",
    "UpdateTerminationProtection",
)  # fmt: skip
_ARTIFACTS = (
    "CreateBucket", "DeleteObject", "DeleteObjectVersion", "GetBucketPolicy", "GetObject",
    "ListBucket", "ListBucketVersions", "PutBucketOwnershipControls", "PutBucketPolicy",
    "PutBucketPublicAccessBlock", "PutBucketVersioning", "PutEncryptionConfiguration", "PutObject",
)  # fmt: skip
_LOOKS = (
    "autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeScalingActivities",
    "batch:DescribeComputeEnvironments", "batch:DescribeJobQueues",
    "cloudformation:DescribeStackDriftDetectionStatus", "cloudformation:ListStacks",
    "ec2:DescribeAvailabilityZones", "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeSecurityGroupRules", "ecr:GetAuthorizationToken", "ecs:DescribeServices",
    "elasticache:DescribeReplicationGroups", "elasticloadbalancing:DescribeTargetHealth",
    "lambda:GetFunctionConfiguration", "pricing:GetProducts", "rds:DescribeDBInstances",
    "rds:DescribeOrderableDBInstanceOptions", "servicequotas:GetAWSDefaultServiceQuota",
    "servicequotas:GetServiceQuota", "sqs:GetQueueAttributes", "sts:GetCallerIdentity",
)  # fmt: skip
# What is in use of the quotas that a type takes something of.
_FARGATE = ("cloudwatch:GetMetricStatistics", "ecs:DescribeClusters", "ecs:ListClusters")
_INSTANCES = ("ec2:DescribeInstanceTypes", "ec2:DescribeInstances")
_USE: Mapping[str, tuple[str, ...]] = {
    "AWS::AutoScaling::AutoScalingGroup": _INSTANCES,
    "AWS::Batch::ComputeEnvironment": (*_FARGATE, *_INSTANCES),
    "AWS::EC2::EIP": ("ec2:DescribeAddresses",),
    "AWS::EC2::NatGateway": ("ec2:DescribeNatGateways", "ec2:DescribeSubnets"),
    "AWS::EC2::SecurityGroup": ("ec2:DescribeSecurityGroups",),
    "AWS::EC2::VPC": ("ec2:DescribeVpcs",),
    "AWS::EC2::VPCEndpoint": ("ec2:DescribeVpcEndpoints",),
    "AWS::ECS::Service": _FARGATE,
    # Service Quotas asks these two for what they grant, with the rights of whoever asks it.
    "AWS::ElasticLoadBalancingV2::LoadBalancer": (
        "elasticloadbalancing:DescribeAccountLimits",
        "elasticloadbalancing:DescribeLoadBalancers",
    ),
    "AWS::Lambda::Function": ("lambda:GetAccountSettings",),
    "AWS::RDS::DBInstance": ("rds:DescribeAccountAttributes",),
}
# Reading and pushing the image; a function of Lambda has its repository opened to Lambda.
_IMAGE = (
    "BatchCheckLayerAvailability", "BatchGetImage", "CompleteLayerUpload", "CreateRepository",
    "DescribeImages", "DescribeRepositories", "GetDownloadUrlForLayer", "GetRepositoryPolicy",
    "InitiateLayerUpload", "PutImage", "SetRepositoryPolicy", "UploadLayerPart",
)  # fmt: skip
_JOB_QUEUE, _SERVICE = "AWS::Batch::JobQueue", "AWS::ECS::Service"
_RESOLVED = re.compile(r"\{\{resolve:secretsmanager:(.+?):SecretString")


@cache
def handlers() -> Mapping[str, tuple[str, ...]]:
    """Actions that CloudFormation takes for each type."""
    text = (files("tabular.deploy.aws") / "permissions.json").read_text("utf-8")
    return {type_: tuple(actions) for type_, actions in json.loads(text).items()}


def policies(
    types: Collection[str], secrets: Iterable[str] = (), part: str = PUBLIC
) -> list[dict[str, Any]]:
    """Policies that together let somebody deploy resources of these types, and nothing else.

    Each is small enough for a managed policy of IAM.

    Args:
        types: of the resources, e.g. ``AWS::S3::Bucket``.
        secrets: that exist and that a template refers to; see :func:`resolved`.
        part: of AWS, see `words.partitions`: what is named in one is nothing in another.
    """
    actions = {action for type_ in types for action in handlers()[type_]}
    statements = [*_direct(types), *_on_behalf(actions), *_named(secrets)]
    return [policy(*some) for some in _packed(_of_part(one, part) for one in statements)]


def resolved(template: Mapping[str, Any]) -> frozenset[str]:
    """Names and ARNs of secrets that CloudFormation reads with the deployer's rights.

    Those of the stack itself have no name before they are made, and carry its tags.
    """
    found = _RESOLVED.findall(json.dumps(template["Resources"]))
    return frozenset(name for name in found if "${" not in name)


def _of_part(statement: Mapping[str, Any], part: str) -> dict[str, Any]:
    """The statement with ARNs of another part of AWS than the public one."""
    text = json.dumps(statement).replace(f'"arn:{PUBLIC}:', f'"arn:{part}:')
    found: dict[str, Any] = json.loads(text)
    return found


def _named(secrets: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Secrets Manager adds six characters to a name."""
    arns = [
        one if one.startswith("arn:") else f"arn:aws:secretsmanager:*:*:secret:{one}-??????"
        for one in sorted(secrets)
    ]
    if arns:
        yield _allow("NamedSecrets", ["secretsmanager:GetSecretValue"], arns, Condition=_VIA)


def _direct(types: Collection[str]) -> Iterator[dict[str, Any]]:
    """What this tool asks AWS itself."""
    stacks = f"arn:aws:cloudformation:*:*:stack/{PREFIX}*/*"
    yield _allow("Stacks", (f"cloudformation:{one}" for one in _STACK), stacks)
    # Nothing of these can be narrowed to a resource, or what is asked is not there yet.
    yield _allow("Looks", _LOOKS, "*")
    used = {action for type_ in types for action in _USE.get(type_, ())}
    if used:
        yield _allow("Use", used, "*")
    artifacts = "arn:aws:s3:::inferloop-tabular-*"
    yield _allow("Artifacts", (f"s3:{one}" for one in _ARTIFACTS), [artifacts, f"{artifacts}/*"])
    data = f"arn:aws:s3:::{PREFIX}*"
    emptying = ("DeleteObject", "DeleteObjectVersion", "ListBucketVersions")
    yield _allow("DeleteData", (f"s3:{one}" for one in emptying), [data, f"{data}/*"])
    vaults = f"arn:aws:backup:*:*:backup-vault:{PREFIX}*"
    yield _allow("Copies", ["backup:ListRecoveryPointsByBackupVault"], vaults)
    # A copy has the name of no deployment, but the tags of what it was made of.
    yield _allow("DeleteCopies", ["backup:DeleteRecoveryPoint"], "*", Condition=_OURS)
    yield _allow("Unguard", ["rds:ModifyDBInstance"], "*", Condition=_OURS)
    yield _allow("Logs", ["logs:FilterLogEvents"], "*", Condition=_OURS)
    yield _allow("FirstKey", ["secretsmanager:GetSecretValue"], "*", Condition=_OURS)
    yield _allow("ReadFirstKey", ["kms:Decrypt"], "*", Condition=_OURS)
    repository = f"arn:aws:ecr:*:*:repository/{REPOSITORY}"
    yield _allow("Image", (f"ecr:{one}" for one in _IMAGE), repository)
    if _JOB_QUEUE in types:
        yield from _jobs(data)
    if _SERVICE in types:
        yield from _inside()


def _jobs(data: str) -> Iterator[dict[str, Any]]:
    """What `jobs` asks of Batch, and of the bucket that orders go into."""
    yield _allow("Jobs", ("batch:SubmitJob", "batch:TerminateJob"), "*", Condition=_OURS)
    # Of a job that is not there yet.
    yield _allow("JobTags", ["batch:TagResource"], "arn:aws:batch:*:*:job/*")
    yield _allow("JobLooks", ("batch:DescribeJobs", "batch:ListJobs"), "*")
    orders = ("s3:GetObject", "s3:ListBucket", "s3:PutObject")
    yield _allow("JobOrders", orders, [data, f"{data}/tabular/*"])
    yield _allow("JobKey", ["kms:GenerateDataKey"], "*", Condition=_OURS)


def _inside() -> Iterator[dict[str, Any]]:
    """What `backup` asks of ECS, to run beside the workers; its task takes on their roles."""
    yield _allow("Tasks", ["ecs:RunTask"], f"arn:aws:ecs:*:*:task-definition/{PREFIX}*")
    yield _allow("TaskLooks", ["ecs:DescribeTasks"], f"arn:aws:ecs:*:*:task/{PREFIX}*/*")
    only = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    yield _allow("TaskRoles", ["iam:PassRole"], f"arn:aws:iam::*:role/{PREFIX}*", Condition=only)


def _on_behalf(actions: set[str]) -> Iterator[dict[str, Any]]:
    """What CloudFormation does with the deployer's rights."""
    roles = {a for a in actions if a.startswith("iam:") and not a.startswith("iam:List")}
    linked = {"iam:CreateServiceLinkedRole"} & roles
    rest = sorted(actions - roles)
    names = ("role", "instance-profile", "policy")
    own = [f"arn:aws:iam::*:{kind}/{PREFIX}*" for kind in names]
    if roles - linked:
        yield _allow("Roles", roles - linked, own, Condition=_VIA)
    if linked:
        service = "arn:aws:iam::*:role/aws-service-role/*"
        yield _allow("ServiceRoles", linked, service, Condition=_VIA)
    for number, some in enumerate(_chunks(rest), start=1):
        yield _allow(f"Resources{number}", some, "*", Condition=_VIA)


def _allow(sid: str, actions: Iterable[str], resources: Any, **more: Any) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": sorted(actions),
        "Resource": resources,
        **more,
    }


def _chunks(actions: list[str]) -> Iterator[list[str]]:
    """Parts of a long list of actions that each leave room in a policy."""
    part: list[str] = []
    for action in actions:
        if len(json.dumps([*part, action], separators=(",", ":"))) > MAX_POLICY - 600:
            yield part
            part = []
        part.append(action)
    if part:
        yield part


def _packed(statements: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Statements in as few policies as they fit into, in their order."""
    some: list[dict[str, Any]] = []
    for statement in statements:
        if some and size(policy(*some, statement)) > MAX_POLICY:
            yield some
            some = []
        some.append(statement)
    if some:
        yield some


def size(document: Mapping[str, Any]) -> int:
    """Characters of a policy as IAM counts them."""
    return len(json.dumps(document, separators=(",", ":")))
