"""One account of the emulator and small stacks in it, which go as whole ones do, but quickly."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tabular.deploy.aws.account.artifacts import Artifacts
from tabular.deploy.aws.account.session import Access, Session
from tabular.deploy.aws.account.stacks import Stacks, stack_name
from tabular.deploy.aws.applying.changeset import ChangeSets
from tabular.deploy.aws.applying.follow import Follower
from tabular.deploy.aws.engine import CloudFormationEngine, Parts
from tabular.deploy.aws.words.document import att, index, ref, resource
from tabular.deploy.aws.words.names import DESCRIPTION, METADATA, RELEASE
from tabular.deploy.events import Event
from tabular.deploy.provider import State
from tabular.deploy.stack import Stack
from tabular.deploy.target import Target
from tabular.errors import NotFoundError
from tests.deploy.aws.harness import PAUSE, credentials
from tests.testbed.ministack import REGION

# CloudFormation finds out only when it asks SQS for it.
IMPOSSIBLE = {"VisibilityTimeout": 999_999}
AT_REST = ("_COMPLETE", "_FAILED")


def target(name: str = "demo", environment: str = "development", region: str = REGION) -> Target:
    """Where a small stack goes."""
    return Target("aws", name, environment, region)


def small(
    delay: int = 1,
    /,
    *,
    at: Target | None = None,
    more: Mapping[str, Any] | None = None,
    **queue: Any,
) -> Stack:
    """A stack in the form that the compiler gives it: a bucket with data, a queue, a key.

    Args:
        delay: of the queue; another one makes another release.
        at: where it goes.
        more: further resources.
        queue: further properties of the queue.
    """
    where = at or target()
    template = {
        "Metadata": {
            METADATA: {
                "spec": {"delay": delay},
                "target": {
                    "provider": "aws",
                    "name": where.name,
                    "environment": where.environment,
                    "region": where.region,
                },
                "reductions": [],
                "tags": {},
            }
        },
        "Parameters": {RELEASE: {"Type": "String", "Default": "none"}},
        "Resources": {
            "Bucket": resource("AWS::S3::Bucket", {}, kept=True),
            "Queue": resource("AWS::SQS::Queue", {"DelaySeconds": delay, **queue}),
            "AdminKey": resource(
                "AWS::SecretsManager::Secret", {"GenerateSecretString": {"PasswordLength": 48}}
            ),
            **(more or {}),
            DESCRIPTION: resource("AWS::SSM::Parameter", {"Type": "String", "Value": ref(RELEASE)}),
        },
        "Outputs": {
            "adminKey": {"Value": ref("AdminKey")},
            "bucket": {"Value": ref("Bucket")},
            "queue": {"Value": att("Queue", "Arn")},
        },
    }
    return Stack(where, template, index(template), {"delay": delay})


AT = target()
NAME = stack_name(AT)
ONE, TWO, THREE = small(1), small(2), small(3)


def waiting(seconds: int = 60, after: str = "Queue") -> dict[str, Any]:
    """Resources that hold an operation until `Cloud.signal`."""
    return {
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Wait": {
            "Type": "AWS::CloudFormation::WaitCondition",
            "DependsOn": after,
            "Properties": {"Handle": ref("Handle"), "Timeout": str(seconds)},
        },
    }


@dataclass
class Clock:
    """A clock that goes only when somebody sleeps.

    Attributes:
        real: seconds that a sleep really takes, in which the emulator works.
    """

    real: float = 0.01
    time: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        """Seconds."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let the time go by."""
        self.slept.append(seconds)
        self.time += seconds
        time.sleep(self.real)


def deploying(engine: CloudFormationEngine, stack: Stack) -> Iterator[Event]:
    """What the command `deploy` does with an engine: follow what runs, plan, apply."""
    try:
        state = engine.status(stack.target).state
    except NotFoundError:
        state = None
    if state is State.APPLYING:
        yield from engine.attach(stack.target)
    yield from engine.apply(engine.preview(stack))


def deploy(engine: CloudFormationEngine, stack: Stack) -> list[Event]:
    """`deploying` to its end."""
    return list(deploying(engine, stack))


def roll_back(engine: CloudFormationEngine, at: Target) -> list[Event]:
    """What the command `rollback` does, to its end."""
    return list(engine.rollback(engine.preview_rollback(at)))


def destroy(engine: CloudFormationEngine, at: Target, *, data: bool) -> list[Event]:
    """What the command `destroy` does, to its end."""
    return list(engine.destroy(at, delete_data=data))


class Cloud:
    """An account of the emulator, seen past the engine.

    Args:
        url: the endpoint of the emulator.
        account: number of the account.
    """

    def __init__(self, url: str, account: str) -> None:
        self.url, self.account = url, account

    def session(self, url: str | None = None, base: Any = None) -> Session:
        """A session of the product: by the emulator itself, or through a proxy before it."""
        return Session(Access(endpoint_url=url or self.url), base=base or credentials(self.account))

    def parts(self, session: Session | None = None, **follower: Any) -> Parts:
        """What an engine is made of, with what the follower is to be given."""
        session = session or self.session()
        stacks, artifacts = Stacks(session), Artifacts(session)
        change_sets = ChangeSets(stacks, artifacts, pause=PAUSE)
        follow = Follower(stacks, **{"pause": PAUSE, **follower})
        return Parts(session, stacks, artifacts, change_sets, follow)

    def engine(
        self, session: Session | None = None, *, keep_failed: bool = False, **follower: Any
    ) -> CloudFormationEngine:
        """A new client."""
        return CloudFormationEngine(self.parts(session, **follower), keep_failed=keep_failed)

    @functools.cache  # noqa: B019 - as long as a test
    def client(self, service: str, region: str = REGION) -> Any:
        """A client of the emulator itself."""
        return credentials(self.account).client(service, region_name=region, endpoint_url=self.url)

    @property
    def api(self) -> Any:
        """CloudFormation."""
        return self.client("cloudformation")

    def stacks(self) -> dict[str, str]:
        """State of each stack that is not deleted, by name."""
        pages = self.api.get_paginator("list_stacks").paginate()
        return {
            one["StackName"]: one["StackStatus"]
            for page in pages
            for one in page["StackSummaries"]
            if one["StackStatus"] != "DELETE_COMPLETE"
        }

    def described(self, at: Target) -> dict[str, Any]:
        """The stack of a target."""
        found: dict[str, Any] = self.api.describe_stacks(StackName=stack_name(at))["Stacks"][0]
        return found

    def open_change_sets(self) -> list[str]:
        """Change sets of any stack that could still be carried out."""
        return [
            one["ChangeSetName"]
            for name in self.stacks()
            for one in self.api.list_change_sets(StackName=name)["Summaries"]
            if one["ExecutionStatus"] == "AVAILABLE"
        ]

    def queues(self) -> list[str]:
        """URLs of all queues."""
        found: list[str] = self.client("sqs").list_queues().get("QueueUrls", [])
        return found

    def delays(self) -> list[str]:
        """The delay of each queue: which release is there, and how often."""
        sqs = self.client("sqs")
        return [
            sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])["Attributes"][
                "DelaySeconds"
            ]
            for url in self.queues()
        ]

    def buckets(self) -> list[str]:
        """Buckets of deployments."""
        return [name for name in self.all_buckets() if not name.startswith("inferloop-tabular-")]

    def all_buckets(self) -> list[str]:
        """Buckets, that of the releases too."""
        return [one["Name"] for one in self.client("s3").list_buckets()["Buckets"]]

    def kept(self) -> list[str]:
        """Keys of all objects in the bucket of the releases."""
        bucket = f"inferloop-tabular-{self.account}-{REGION}"
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [one["Key"] for page in pages for one in page.get("Contents", ())]

    def settled(self, name: str) -> str:
        """State of a stack when nothing runs any more."""
        return self.until(lambda: self._status(name), lambda status: status.endswith(AT_REST))

    def until(self, ask: Callable[[], str], wanted: Callable[[str], bool]) -> str:
        """The answer when it is as wanted."""
        deadline = time.monotonic() + 30
        while not wanted(answer := ask()):
            assert time.monotonic() < deadline, f"stays {answer}"
            time.sleep(0.02)
        return answer

    def signal(self, at: Target, status: str = "SUCCESS") -> None:
        """Let the wait of a stack go, once it waits."""
        import urllib.request

        self.await_wait(at)
        handle = self.api.describe_stack_resource(
            StackName=stack_name(at), LogicalResourceId="Handle"
        )
        url = handle["StackResourceDetail"]["PhysicalResourceId"]
        answer = {"Status": status, "Reason": "as told", "UniqueId": "1", "Data": "d"}
        asked = urllib.request.Request(
            url, json.dumps(answer).encode(), {"Content-Type": ""}, method="PUT"
        )
        with urllib.request.urlopen(asked, timeout=5) as done:
            assert done.status == 200

    def await_wait(self, at: Target) -> None:
        """Return when the stack has come to its wait."""
        self.until(lambda: ",".join(self._waits(at)), lambda found: "_IN_PROGRESS" in found)

    def _waits(self, at: Target) -> Iterator[str]:
        pages = self.api.get_paginator("describe_stack_events").paginate(StackName=stack_name(at))
        for page in pages:
            for event in page["StackEvents"]:
                if event["LogicalResourceId"] == "Wait":
                    yield event["ResourceStatus"]

    def _status(self, name: str) -> str:
        found: str = self.api.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        return found
