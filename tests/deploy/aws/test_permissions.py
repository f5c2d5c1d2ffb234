"""The policies of a deployer: enough for every call that we make, each of them needed, none wider.

An emulator that checks signatures and policies stands in for IAM. It checks what we ask ourselves;
what CloudFormation asks for the deployer it does not, so there AWS's own schemas are the source.
"""

from __future__ import annotations

import ast
import fnmatch
import json
import re
import runpy
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import cfnlint
import pytest

import tabular.deploy.aws
from tabular.deploy.aws import permissions
from tabular.deploy.aws.account.session import Access, Session
from tabular.deploy.aws.engine import Parts
from tabular.deploy.aws.permissions import MAX_POLICY, handlers, policies, resolved, size
from tabular.deploy.aws.provider import AWSProvider
from tabular.deploy.aws.words.tags import KNOWN
from tabular.deploy.provider import ProviderOptions, State
from tabular.errors import ForbiddenError, NotFoundError, RefusedError
from tests.deploy.aws import matrix
from tests.deploy.aws.harness import PAUSE, describe
from tests.testbed.ministack import REGION, MiniStack, ministack_server
from tests.testbed.tls import make_certificate

ROOT = Path(__file__).resolve().parents[3]
EVERY = policies(handlers())


def statements(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for document in documents for one in document["Statement"]]


def direct(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What may be asked by the deployer, and not by CloudFormation alone."""
    return [one for one in statements(documents) if "aws:CalledVia" not in json.dumps(one)]


# What is in them


def test_the_files_are_what_the_script_writes_today() -> None:
    script = runpy.run_path(str(ROOT / "scripts/aws_permissions.py"))
    assert script["OUT"].read_text("utf-8") == script["text"]()
    assert script["IMPORTABLE"].read_text("utf-8") == script["importable_text"]()


def test_there_are_actions_for_every_type_that_is_made() -> None:
    assert handlers().keys() == KNOWN
    # CloudFormation makes these itself, with no call to another service that the schema names.
    assert {type_ for type_, actions in handlers().items() if not actions} == set()


def calls() -> Iterator[str]:
    """Every call that our own code says it makes, ``service:Action``."""
    for file in sorted(Path(tabular.deploy.aws.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "explained":
                said = node.args[0]
                if isinstance(said, ast.Constant) and ":" in str(said.value):
                    yield str(said.value)


def test_every_call_of_ours_is_allowed() -> None:
    made = set(calls())
    assert {"cloudformation:ExecuteChangeSet", "sts:GetCallerIdentity"} <= made
    allowed = {action for one in direct(EVERY) for action in one["Action"]}
    assert made - allowed == set()


@pytest.mark.parametrize("name", matrix.SPECS)
def test_each_policy_is_small_enough_and_has_no_star(name: str) -> None:
    found = policies({resource.type for resource in matrix.stack(name).resources})
    for document in [*found, *EVERY]:
        assert size(document) <= MAX_POLICY
        assert len(json.dumps(document, separators=(",", ":"))) <= MAX_POLICY
        sids = [one["Sid"] for one in document["Statement"]]
        assert len(set(sids)) == len(sids)
        for one in document["Statement"]:
            for action in one["Action"]:
                # The schema of an Auto Scaling group asks to describe whatever it is about.
                assert re.fullmatch(r"[a-z0-9-]+:([A-Za-z0-9]+|Describe\*)", action), action
            assert one["Effect"] == "Allow"


def test_what_is_not_ours_can_only_be_looked_at() -> None:
    """Directly, nothing that changes or reads anything goes to whatever there is."""
    for one in direct(EVERY):
        looks = all(re.match(r"[a-z0-9-]+:(Describe|List|Get)", action) for action in one["Action"])
        assert one["Resource"] != "*" or "Condition" in one or looks, one


def iam() -> Mapping[str, Any]:
    """Every service and action that IAM has, with the kinds of resource that it can be about."""
    file = Path(cfnlint.__file__).parent / "data" / "AdditionalSpecs" / "Policies.json"
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def test_iam_has_every_action_and_none_is_said_twice() -> None:
    known = iam()
    actions = [action for one in statements(EVERY) for action in one["Action"]]
    for action in actions:
        service, _, name = action.partition(":")
        assert name.endswith("*") or name.lower() in known[service]["Actions"], action
    beyond = [
        action for one in statements(EVERY) if one not in direct(EVERY) for action in one["Action"]
    ]
    assert len({action.lower() for action in beyond}) == len(beyond)


def test_only_what_is_about_a_resource_is_narrowed_to_one() -> None:
    """An action that is about none is refused where a policy names one."""
    known = iam()
    for one in direct(EVERY):
        if one["Resource"] == "*" and "Condition" not in one:
            continue
        for action in one["Action"]:
            service, _, name = action.partition(":")
            assert known[service]["Actions"][name.lower()].get("Resources"), action


def test_a_smaller_deployment_needs_less() -> None:
    few = policies({resource.type for resource in matrix.stack("lambda").resources})
    actions = {action for one in statements(few) for action in one["Action"]}
    assert "lambda:CreateFunction" in actions
    assert not any(action.startswith(("rds:Create", "elasticache:Create")) for action in actions)
    assert actions < {action for one in statements(EVERY) for action in one["Action"]}


def test_a_secret_that_exists_may_be_read_by_cloudformation_alone() -> None:
    template = matrix.stack("postgres with a password that exists").template
    assert resolved(template) == {"db/owner"}
    (one,) = [
        one
        for one in statements(policies({"AWS::RDS::DBInstance"}, resolved(template)))
        if one["Sid"] == "NamedSecrets"
    ]
    assert one["Action"] == ["secretsmanager:GetSecretValue"]
    assert one["Resource"] == ["arn:aws:secretsmanager:*:*:secret:db/owner-??????"]
    assert "cloudformation.amazonaws.com" in json.dumps(one["Condition"])
    # Those of the stack itself are known by their tags.
    assert resolved(matrix.stack("fargate").template) == set()


def test_roles_are_touched_only_where_they_are_of_our_stacks() -> None:
    touching = [
        one
        for one in statements(EVERY)
        if any(
            action.startswith("iam:") and not action.startswith("iam:List")
            for action in one["Action"]
        )
    ]
    assert touching
    for one in touching:
        # But for CloudFormation, a role is given to a task that is run, and to nothing else.
        tasks = one["Action"] == ["iam:PassRole"]
        only = "ecs-tasks.amazonaws.com" if tasks else "cloudformation.amazonaws.com"
        assert only in json.dumps(one["Condition"])
        for arn in [one["Resource"]] if isinstance(one["Resource"], str) else one["Resource"]:
            assert fnmatch.fnmatch(arn, "arn:aws:iam::[*]:*/tabular-[*]") or (
                arn == "arn:aws:iam::*:role/aws-service-role/*"
            )


# That they are enough, and that each is needed


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    folder = tmp_path_factory.mktemp("strict")
    with ministack_server(folder, auth=True, tls=make_certificate(folder)) as server:
        yield server


Allowing = Callable[[str, list[dict[str, Any]]], AWSProvider]


@pytest.fixture(scope="module")
def allowing(strict: MiniStack) -> Allowing:
    """The provider as a user who may do what some policies say."""
    iam = strict.client("iam")

    def made(user: str, documents: list[dict[str, Any]]) -> AWSProvider:
        iam.create_user(UserName=user)
        for number, document in enumerate(documents):
            arn = iam.create_policy(
                PolicyName=f"{user}-{number}",
                PolicyDocument=json.dumps(document, separators=(",", ":")),
            )["Policy"]["Arn"]
            iam.attach_user_policy(UserName=user, PolicyArn=arn)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        inner = botocore.session.Session()
        inner.set_config_variable("ca_bundle", str(strict.certificate))
        inner.set_credentials(key["AccessKeyId"], key["SecretAccessKey"])
        base = boto3.Session(botocore_session=inner, region_name=REGION)
        session = Session(Access(endpoint_url=strict.url), base=base)
        return AWSProvider(ProviderOptions(), parts=Parts.of(session, pause=PAUSE))

    return made


def own(**spec: Any) -> tuple[Any, list[dict[str, Any]]]:
    """A deployment, and the policies for exactly its types."""
    deployment = describe("allowed", backup={"enabled": True}, **spec)
    offline = AWSProvider(ProviderOptions(region=REGION))
    types = {resource.type for resource in offline.compile(deployment).resources}
    documents = policies(types)
    for one in statements(documents):
        if one["Sid"] == "Copies":
            one["Resource"] = "*"  # the emulator does not see which vault a call is about
    return deployment, documents


@pytest.fixture(scope="module")
def deployed(strict: MiniStack, allowing: Allowing) -> AWSProvider:
    """A deployment that a user made who has exactly the policies for it."""
    deployment, documents = own()
    provider = allowing("deployer", documents)
    engine = provider.engine
    with pytest.raises(NotFoundError):
        engine.status(provider.target(deployment))
    events = list(engine.apply(engine.preview(provider.compile(deployment))))
    assert events
    return provider


Act = Callable[[AWSProvider], Any]


def _status(provider: AWSProvider) -> Any:
    return provider.engine.status(provider.target(own()[0]))


def _preview(provider: AWSProvider) -> Any:
    return provider.engine.preview(provider.compile(describe("another")))


def _apply(provider: AWSProvider) -> Any:
    return list(provider.engine.apply(_preview(provider)))


def _logs(provider: AWSProvider) -> Any:
    return list(provider.engine.logs(provider.target(own()[0]), follow=False, tail=1))


def _first_key(provider: AWSProvider) -> Any:
    return provider.engine.issue_api_key(provider.target(own()[0]), "a", only_first=True)


WITHOUT: Mapping[str, tuple[Act, str]] = {
    "Stacks": (_status, "cloudformation:DescribeStacks"),
    "Looks": (_preview, "ec2:DescribeAvailabilityZones"),
    "Logs": (_logs, "logs:FilterLogEvents"),
    "FirstKey": (_first_key, "secretsmanager:GetSecretValue"),
}


def without(sid: str) -> list[dict[str, Any]]:
    """The policies but for one statement."""
    return [
        {**one, "Statement": [each for each in one["Statement"] if each["Sid"] != sid]}
        for one in own()[1]
    ]


@pytest.mark.slow
def test_a_bucket_that_one_may_not_see_may_be_somebody_elses(
    deployed: AWSProvider, allowing: Allowing
) -> None:
    """S3 gives the same answer to both, so both are said."""
    with pytest.raises(RefusedError, match="or you may not see it") as caught:
        _apply(allowing("without-artifacts", without("Artifacts")))
    assert "inferloop-tabular aws iam-policy" in str(caught.value.hint)


@pytest.mark.slow
@pytest.mark.parametrize("sid", WITHOUT)
def test_without_one_of_them_the_call_is_refused_by_name(
    sid: str, deployed: AWSProvider, allowing: Allowing
) -> None:
    act, call = WITHOUT[sid]
    with pytest.raises(ForbiddenError) as caught:
        act(allowing(f"without-{sid.lower()}", without(sid)))
    assert caught.value.code == "access.forbidden"
    assert caught.value.where == call
    assert "inferloop-tabular aws iam-policy" in str(caught.value.hint)


@pytest.mark.slow
def test_with_the_policies_quotas_are_read_and_without_it_is_told(
    deployed: AWSProvider, allowing: Allowing
) -> None:
    def told(provider: AWSProvider) -> set[str]:
        findings = _preview(provider).findings
        assert {one.rule for one in findings} <= {"quota-unread"}
        return {one.where for one in findings}

    # Tasks that run here are counted by CloudWatch, which the emulator does not.
    assert told(deployed) <= {"cloudwatch:GetMetricStatistics"}
    refused = told(allowing("without-use", without("Use")))
    assert {"ec2:DescribeVpcs", "ec2:DescribeAddresses"} <= refused


@pytest.mark.slow
def test_the_policies_are_enough_from_the_first_plan_to_the_last_byte(
    strict: MiniStack, deployed: AWSProvider
) -> None:
    """The last of this file to use the deployment, since it takes it down."""
    deployment, _ = own()
    changed, _ = own(compute={"instances": 2, "workers": 2}, cache={"type": "memory"})
    engine, target = deployed.engine, deployed.target(deployment)
    status = engine.status(target)
    assert (status.state, status.detail) == (State.READY, "")
    assert [one.target for one in engine.list()] == [target]
    assert engine.issue_api_key(target, "first", only_first=True)
    _say(strict, engine.status(target).outputs["apiLogGroup"])
    assert [line.text for line in engine.logs(target, follow=False, tail=5)] == ["hello"]
    assert engine.drift(target) == ()
    plan = engine.preview(deployed.compile(changed))
    assert not plan.is_empty
    assert list(engine.apply(plan))
    assert list(engine.attach(target)) is not None
    back = engine.preview_rollback(target)
    assert list(engine.rollback(back))
    strict.client("s3").put_object(
        Bucket=engine.status(target).outputs["bucket"], Key="tabular/a", Body=b"data"
    )
    list(engine.destroy(target, delete_data=False))
    assert engine.status(target).state is State.RETAINED
    list(engine.destroy(target, delete_data=True))
    with pytest.raises(NotFoundError):
        engine.status(target)


def _say(strict: MiniStack, group: str) -> None:
    logs = strict.client("logs")
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    event = {"timestamp": int(time.time() * 1000), "message": "hello"}
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[event])


def test_the_rule_that_looks_for_calls_sees_them() -> None:
    assert permissions.__name__ == "tabular.deploy.aws.permissions"
    assert len(set(calls())) > 20
