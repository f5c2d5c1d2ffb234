"""The roles of API and worker, with the service's own drivers on an emulator that asks IAM.

The emulator speaks plain HTTP only, which the policies of bucket and queue refuse; so the rights
are tried without those policies, and the policies by what they refuse.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from tabular.deploy.aws.applying.variants import referred
from tabular.errors import ConfigError, TabularError
from tabular.infra.queue.sqs import SqsQueue
from tabular.infra.secrets import resolve
from tabular.infra.storage import open_store
from tests.deploy.aws.made import stack_of
from tests.testbed.ministack import KEY_ID, REGION, SECRET, MiniStack, ministack_server

LARGE = b"x" * (20 * 2**20)  # more than one part
SPEC = {
    "database": {"type": "external", "url": {"secretRef": "aws-sm:shared/database#url"}},
    "cache": {"type": "memory"},
}
PROGRAMS = ("Api", "Worker")


@dataclass
class Place:
    """A stack with the data stores and roles, and a user with the rights of each role."""

    aws: MiniStack
    names: Mapping[str, str]
    keys: Mapping[str, tuple[str, str]]
    policies: Mapping[str, dict[str, Any]]

    def client(self, service: str, program: str | None = None) -> Any:
        key, secret = self.keys[program] if program else (KEY_ID, SECRET)
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.aws.url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
        )

    def allow(self, program: str, policy: Mapping[str, Any]) -> None:
        self.client("iam").put_user_policy(
            UserName=program, PolicyName="own", PolicyDocument=json.dumps(policy)
        )

    def environ(self, program: str) -> dict[str, str]:
        key, secret = self.keys[program]
        return {
            **self.aws.environment(),
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
        }


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    with ministack_server(tmp_path_factory.mktemp("rights"), auth=True) as server:
        yield server


@pytest.fixture(scope="module")
def place(aws: MiniStack) -> Place:
    made = Place(aws, stacked(aws, "rights", ["ApiRole", "WorkerRole"]), {}, {})
    for name, text in (("shared/database", '{"url": "sqlite:///x"}'), ("shared/other", "{}")):
        made.client("secretsmanager").create_secret(Name=name, SecretString=text)
    iam, keys, policies = made.client("iam"), {}, {}
    for program in PROGRAMS:
        role = made.names[f"{program}Role"]
        found = iam.get_role_policy(RoleName=role, PolicyName="own")["PolicyDocument"]
        policies[program] = _with_arns(made, found)
        iam.create_user(UserName=program)
        key = iam.create_access_key(UserName=program)["AccessKey"]
        keys[program] = (key["AccessKeyId"], key["SecretAccessKey"])
    made = Place(aws, made.names, keys, policies)
    for program, policy in policies.items():
        made.allow(program, policy)
    return made


def stacked(aws: MiniStack, name: str, ids: list[str]) -> dict[str, str]:
    """Make some resources of the template and all they refer to; physical names by logical id."""
    template = stack_of(SPEC).template
    wanted, found = list(ids), set()
    while wanted:
        one = wanted.pop()
        if one in template["Resources"] and one not in found:
            found.add(one)
            wanted += referred(template["Resources"][one])
    client = boto3.client(
        "cloudformation",
        region_name=REGION,
        endpoint_url=aws.url,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
    )
    body = {"Resources": {one: template["Resources"][one] for one in sorted(found)}}
    client.create_stack(
        StackName=name, TemplateBody=json.dumps(body), Capabilities=["CAPABILITY_IAM"]
    )
    client.get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    listed = client.describe_stack_resources(StackName=name)["StackResources"]
    return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed}


def _with_arns(place: Place, policy: dict[str, Any]) -> dict[str, Any]:
    """The emulator's Ref of a secret is its name, where AWS's is its ARN."""
    text = json.dumps(policy)
    for one in place.client("secretsmanager").list_secrets()["SecretList"]:
        text = text.replace(json.dumps(one["Name"]), json.dumps(one["ARN"]))
    found: dict[str, Any] = json.loads(text)
    return found


def become(place: Place, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on AWS knows this process as the program."""
    for name, value in place.environ(program).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers who one was


def failures(place: Place, program: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What of a program's work is refused, and how."""
    become(place, program, monkeypatch)
    refused = {}
    for name, act in {**_storage(place, program), **_queue(place, program), **_secrets()}.items():
        try:
            act(place)
        except TabularError as error:
            refused[name] = str(error)
    return refused


def _storage(place: Place, program: str) -> dict[str, Any]:
    key, secret = place.keys[program]
    store = open_store(
        f"s3://{place.names['Bucket']}/tabular?region={REGION}&endpoint={place.aws.url}",
        credentials={"access_key_id": key, "secret_access_key": secret},
    )

    def write(_: Place) -> None:
        store.put("a/small", b"1")
        store.put("a/large", LARGE)

    def read(_: Place) -> None:
        assert b"".join(store.get("a/large")) == LARGE
        assert not store.exists("a/nothing")

    return {
        "ping": lambda _: store.ping(),
        "write": write,
        "replace": lambda _: store.put("a/small", b"2"),
        "read": read,
        "list": lambda _: [one.key for one in store.list("a")],
        "delete": lambda _: store.delete("a/small"),
    }


def _queue(place: Place, program: str) -> dict[str, Any]:
    name = place.names["Queue"].rpartition("/")[2]
    queue = SqsQueue(f"sqs://{name}?region={REGION}", visibility_timeout=60)
    if program == "Api":
        return {"send": lambda _: queue.send("job-1"), "ask": lambda _: queue.ping()}

    def take(_: Place) -> None:
        queue.send("job-1")
        message = queue.receive(2)
        assert message is not None
        message.reject()
        again = queue.receive(2)
        assert again is not None, "the message was not given back"
        again.ack()

    return {"take": take}


def _secrets() -> dict[str, Any]:
    return {
        "key": lambda place: resolve(f"aws-sm:{_arn(place, 'SecretKey')}"),
        "database": lambda _: resolve("aws-sm:shared/database#url"),
    }


def _arn(place: Place, secret: str) -> str:
    found: str = place.client("secretsmanager").describe_secret(SecretId=place.names[secret])["ARN"]
    return found


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_rights_suffice_for_what_a_program_does(
    place: Place, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert failures(place, program, monkeypatch) == {}


# Which work misses which right. Not here: what the emulator does not ask for (the key of KMS, the
# end of an upload that failed).
NEEDED = {
    "Api": {
        "s3:GetObject": {"read", "write", "replace", "list", "delete"},
        "s3:PutObject": {"write", "replace"},
        "s3:DeleteObject": {"replace", "delete"},
        "s3:ListBucket": {"ping", "list"},
        "sqs:SendMessage": {"send"},
        "sqs:GetQueueUrl": {"send", "ask"},
        "sqs:GetQueueAttributes": {"ask"},
        "secretsmanager:GetSecretValue": {"key", "database"},
    },
    "Worker": {
        "sqs:SendMessage": {"take"},
        "sqs:ReceiveMessage": {"take"},
        "sqs:GetQueueUrl": {"take"},
        "secretsmanager:GetSecretValue": {"key", "database"},
    },
}


@pytest.mark.parametrize(
    ("program", "action"), [(one, action) for one in NEEDED for action in NEEDED[one]]
)
def test_no_right_is_there_that_could_be_left_out(
    place: Place, program: str, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = place.policies[program]
    lesser = [
        {**one, "Action": [name for name in one["Action"] if name != action]}
        for one in policy["Statement"]
    ]
    assert lesser != policy["Statement"]
    lesser = [one for one in lesser if one["Action"]]
    place.allow(program, {**policy, "Statement": lesser})
    try:
        refused = failures(place, program, monkeypatch)
    finally:
        place.allow(program, policy)
    assert refused.keys() & NEEDED[program][action], f"nobody missed {action}: {refused}"


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_gets_no_further_than_its_own_folder_queue_and_secrets(
    place: Place, program: str
) -> None:
    bucket, queue = place.names["Bucket"], place.names["Queue"]
    s3, sqs = place.client("s3", program), place.client("sqs", program)
    secrets = place.client("secretsmanager", program)
    attempts = {
        "write elsewhere": lambda: s3.put_object(Bucket=bucket, Key="other/x", Body=b""),
        "list elsewhere": lambda: s3.list_objects_v2(Bucket=bucket, Prefix="other/"),
        "open the bucket": lambda: s3.delete_bucket_policy(Bucket=bucket),
        "delete the bucket": lambda: s3.delete_bucket(Bucket=bucket),
        "make a queue": lambda: sqs.create_queue(QueueName="mine"),
        "empty the queue": lambda: sqs.purge_queue(QueueUrl=queue),
        "read another secret": lambda: secrets.get_secret_value(SecretId="shared/other"),
        "list secrets": secrets.list_secrets,
        "change a secret": lambda: secrets.put_secret_value(
            SecretId=place.names["SecretKey"], SecretString="x"
        ),
        "make a role": lambda: place.client("iam", program).create_role(
            RoleName="mine", AssumeRolePolicyDocument="{}"
        ),
    }
    if program == "Api":
        attempts["take a job"] = lambda: sqs.receive_message(QueueUrl=queue)
    for name, attempt in attempts.items():
        with pytest.raises(Exception, match=r"(?i)access ?denied|not authorized"):
            attempt()
            pytest.fail(f"allowed to {name}")


def test_only_the_api_reads_the_administrators_key(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = f"aws-sm:{_arn(place, 'AdminKey')}"
    become(place, "Api", monkeypatch)
    assert len(resolve(reference)) == 48
    become(place, "Worker", monkeypatch)
    with pytest.raises(ConfigError, match="not allowed"):
        resolve(reference)


def test_bucket_and_queue_refuse_everybody_who_comes_without_tls(aws: MiniStack) -> None:
    names = stacked(aws, "tls", ["BucketPolicy", "QueuePolicy", "DeadLetterQueuePolicy"])
    user = boto3.client(
        "iam",
        region_name=REGION,
        endpoint_url=aws.url,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
    )
    user.create_user(UserName="anyone")
    user.put_user_policy(
        UserName="anyone",
        PolicyName="all",
        PolicyDocument=json.dumps(
            {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        ),
    )
    key = user.create_access_key(UserName="anyone")["AccessKey"]

    def client(service: str) -> Any:
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=aws.url,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )

    refused = r"explicit deny in a resource-based policy"
    with pytest.raises(Exception, match=refused):
        client("s3").put_object(Bucket=names["Bucket"], Key="tabular/x", Body=b"")
    for queue in ("Queue", "DeadLetterQueue"):
        with pytest.raises(Exception, match=refused):
            client("sqs").send_message(QueueUrl=names[queue], MessageBody="x")
