"""AWS under test: the provider on an emulator of its own, seen past the provider by boto3."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import botocore.session

from tabular.deploy.aws.account.session import Access, Session
from tabular.deploy.aws.account.stacks import stack_name
from tabular.deploy.aws.engine import Parts
from tabular.deploy.aws.provider import AWSProvider
from tabular.deploy.plan import Plan
from tabular.deploy.provider import Provider, ProviderOptions
from tabular.deploy.spec import Deployment, canonical
from tests.testbed.ministack import ACCOUNT, REGION, SECRET, MiniStack

ROOT = Path(__file__).resolve().parents[3]
PAUSE = 0.05  # seconds; the emulator is fast
IMAGE = {"repository": "registry.example.com/tabular", "tag": "1.0.0"}

DIE_IN_THE_MIDDLE = """
import json, os, signal, sys
from tabular.deploy.spec import Deployment
from tests.deploy.aws.harness import provider_at

provider = provider_at(sys.argv[1], sys.argv[2])
stack = provider.compile(Deployment.from_canonical(json.loads(sys.argv[3])))
for event in provider.engine.apply(provider.engine.preview(stack)):
    if event.sequence == 20:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@functools.cache
def _models() -> Any:
    """Reads the models of the services, each once for all sessions."""
    return botocore.session.Session().get_component("data_loader")


@functools.cache
def credentials(account: str = ACCOUNT) -> boto3.Session:
    """The root of an account."""
    inner = botocore.session.Session()
    inner.register_component("data_loader", _models())
    inner.set_credentials(account, SECRET)
    return boto3.Session(botocore_session=inner, region_name=REGION)


def provider_at(url: str, account: str = ACCOUNT, **options: Any) -> AWSProvider:
    """The provider with an emulator as its AWS."""
    session = Session(Access(endpoint_url=url), base=credentials(account))
    return AWSProvider(ProviderOptions(**options), parts=Parts.of(session, pause=PAUSE))


def describe(name: str = "conform", **spec: Any) -> Deployment:
    """A spec for AWS written in a test."""
    said = {"provider": "aws", "region": REGION, "image": IMAGE, **spec}
    return Deployment.from_canonical({"metadata": {"name": name}, "spec": said})


class AwsHarness:
    """An account of its own in an emulator that all checks share."""

    maker = "tests.deploy.aws.offline:Offline"

    def __init__(self, root: Path, aws: MiniStack, account: str) -> None:
        self.root = root
        self.aws, self.account = aws, account
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """A client of the emulator."""
        if service not in self._clients:
            session = credentials(self.account)
            self._clients[service] = session.client(service, endpoint_url=self.aws.url)
        return self._clients[service]

    def provider(self) -> Provider:
        return provider_at(self.aws.url, self.account)

    def deployment(self, name: str = "conform") -> Deployment:
        return describe(name)

    def changed(self) -> Deployment:
        return describe(compute={"instances": 2, "workers": 2})

    def failing(self) -> Deployment:
        # SQS takes no such time, and CloudFormation finds out when it is there.
        return describe(overrides={"aws": {"Queue": {"VisibilityTimeout": 999_999}}})

    def unsupported(self) -> Deployment:
        return describe(compute={"cpu_limit": 4})

    def observe(self) -> Mapping[str, Any]:
        return dict(sorted(self._everything()))

    def observed(self, deployment: Deployment) -> frozenset[str]:
        found = self._stack(deployment)
        if found is None:
            return frozenset()
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        return frozenset(
            one["LogicalResourceId"]
            for page in pages.paginate(StackName=found)
            for one in page["StackResourceSummaries"]
            if not one["ResourceStatus"].startswith("DELETE")
        )

    def serving(self, deployment: Deployment) -> str | None:
        ecs = self.client("ecs")
        prefix = stack_name(self.provider().target(deployment))
        for cluster in ecs.list_clusters()["clusterArns"]:
            services = (
                ecs.list_services(cluster=cluster)["serviceArns"] if prefix in cluster else []
            )
            for one in (
                ecs.describe_services(cluster=cluster, services=services)["services"]
                if services
                else ()
            ):
                if "Api" in one["serviceName"]:
                    task = ecs.describe_task_definition(taskDefinition=one["taskDefinition"])
                    environment = task["taskDefinition"]["containerDefinitions"][0]["environment"]
                    release = {e["name"]: e["value"] for e in environment}["TABULAR_RELEASE"]
                    return f"{one['desiredCount']} of {release}"
        return None

    def disturb(self, deployment: Deployment) -> None:
        (url,) = [
            url
            for url in self.client("sqs").list_queues().get("QueueUrls", ())
            if "DeadLetter" not in url
        ]
        self.client("sqs").set_queue_attributes(
            QueueUrl=url, Attributes={"VisibilityTimeout": "77"}
        )

    def add_foreign(self, deployment: Deployment) -> None:
        name = stack_name(self.provider().target(deployment))
        self.client("s3").create_bucket(
            Bucket=f"{name}-notes".lower(),
            CreateBucketConfiguration={"LocationConstraint": REGION},
        )
        self.client("cloudformation").create_stack(
            StackName=f"{name}-2",
            TemplateBody=json.dumps({"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}),
        )

    def apply_and_die(self, plan: Plan) -> None:
        spec = json.dumps(canonical(Deployment.from_canonical(plan.stack.spec)))
        done = subprocess.run(
            [sys.executable, "-c", DIE_IN_THE_MIDDLE, self.aws.url, self.account, spec],
            cwd=ROOT,
            check=False,
        )
        assert done.returncode == -9

    def close(self) -> None:
        """Nothing runs but what everybody shares."""

    def _stack(self, deployment: Deployment) -> str | None:
        name = stack_name(self.provider().target(deployment))
        for one in self.client("cloudformation").describe_stacks()["Stacks"]:
            if one["StackName"] == name and one["StackStatus"] != "DELETE_COMPLETE":
                return str(one["StackId"])
        return None

    def _everything(self) -> Iterator[tuple[str, Any]]:
        """Names of all that exists, and what of it must not change by itself."""
        client = self.client
        for bucket in client("s3").list_buckets()["Buckets"]:
            # The engine's own; it is made with the first apply and belongs to no deployment.
            if not bucket["Name"].startswith("inferloop-tabular-"):
                yield f"bucket {bucket['Name']}", ""
        sqs = client("sqs")
        for url in sqs.list_queues().get("QueueUrls", ()):
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
            yield f"queue {url}", found["Attributes"]["VisibilityTimeout"]
        for one in client("cloudformation").describe_stacks()["Stacks"]:
            yield f"stack {one['StackName']}", one["StackStatus"]
        for one in client("rds").describe_db_instances()["DBInstances"]:
            yield f"database {one['DBInstanceIdentifier']}", one["DBInstanceClass"]
        ecs = client("ecs")
        for arn in ecs.list_clusters()["clusterArns"]:
            services = ecs.list_services(cluster=arn)["serviceArns"]
            yield f"cluster {arn}", sorted(services)
        ec2 = client("ec2")
        for one in ec2.describe_vpcs()["Vpcs"]:
            yield f"network {one['VpcId']}", one["CidrBlock"]
        for one in ec2.describe_security_groups()["SecurityGroups"]:
            yield f"group {one['GroupId']}", len(one["IpPermissions"])
        for one in client("iam").list_roles()["Roles"]:
            yield f"role {one['RoleName']}", ""
        for one in client("logs").describe_log_groups()["logGroups"]:
            yield f"log group {one['logGroupName']}", one.get("retentionInDays")
        for one in client("secretsmanager").list_secrets()["SecretList"]:
            yield f"secret {one['Name']}", one["ARN"]
        for one in client("elbv2").describe_load_balancers()["LoadBalancers"]:
            yield f"load balancer {one['LoadBalancerName']}", one["Scheme"]
