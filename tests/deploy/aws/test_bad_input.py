"""What cannot be had is refused before anything is made: what, where, and what to say instead."""

from __future__ import annotations

from typing import Any

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse

from tabular.deploy.aws.account.session import Access, Session
from tabular.deploy.aws.account.stacks import stack_name
from tabular.deploy.aws.compile import compile_stack
from tabular.deploy.aws.preflight.world import EVERYWHERE, World
from tabular.deploy.aws.support import CAPABILITIES
from tabular.deploy.policy import Severity, check
from tabular.deploy.spec import load_text
from tabular.deploy.spec.problems import ProblemsError
from tabular.deploy.stack import Stack
from tabular.deploy.target import Target
from tabular.errors import (
    ForbiddenError,
    NotFoundError,
    PreflightError,
    TabularError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from tests.deploy.aws import matrix, schemas
from tests.deploy.aws.cloud import Cloud, small
from tests.deploy.aws.harness import credentials, provider_at
from tests.deploy.aws.made import deployment_of, stack_of
from tests.testbed.ministack import REGION, SECRET, MiniStack

HEAD = "apiVersion: synthdata.inferloop.io/v1\nkind: Deployment\nspec:\n  provider: aws\n"


# In the file


@pytest.mark.parametrize(
    ("lines", "key", "words"),
    [
        (
            "  storage:\n    lifecycle: {transition_to_ia: 90, transition_to_glacier: 30}\n",
            "spec.storage.lifecycle.transition_to_glacier",
            "must come later than transition_to_ia (90 days)",
        ),
        (
            "  compute:\n    min_instances: 5\n    max_instances: 2\n",
            "spec.compute.max_instances",
            "2 is less than min_instances (5)",
        ),
        (
            "  compute:\n    instances: 9\n    max_instances: 2\n",
            "spec.compute.instances",
            "9 is above max_instances (2)",
        ),
        ("  compute:\n    availability_zones: 0\n", "spec.compute.availability_zones", "1"),
        (
            "  policy:\n    waivers: [{rule: Not A Rule, reason: because I say so}]\n",
            "spec.policy.waivers[0].rule",
            "",
        ),
    ],
)
def test_what_contradicts_itself_is_told_by_its_line(lines: str, key: str, words: str) -> None:
    with pytest.raises(ProblemsError) as caught:
        load_text(HEAD + lines, "d.yaml")
    (problem,) = caught.value.problems
    assert caught.value.code == "spec.invalid"
    assert problem.key == key
    assert problem.line > 4
    assert str(caught.value.where).startswith(f"d.yaml:{problem.line}:")
    assert words in problem.message


def test_a_name_that_is_too_long_is_told_and_one_that_fits_makes_a_stack() -> None:
    text = HEAD.replace("spec:", "metadata: {name: %s}\nspec:")
    with pytest.raises(ProblemsError) as caught:
        load_text(text % ("a" * 54), "d.yaml")
    assert caught.value.problems[0].key == "metadata.name"
    assert "53" in caught.value.message
    name = load_text(text % ("a" * 53), "d.yaml").deployment.metadata.name
    longest = stack_name(Target("aws", name, "e" * 63, REGION))
    assert len(longest) <= 128
    assert stack_name(Target("aws", name, "e" * 62, REGION)) != longest


# In the compiler


@pytest.mark.parametrize(
    ("spec", "error", "where", "hint"),
    [
        ({"compute": {"cpu": 3}}, UsageError, "spec.compute.cpu", "cpu: 4"),
        ({"compute": {"cpu": 1, "memory": "16Gi"}}, UsageError, "spec.compute.memory", "8192Mi"),
        ({"compute": {"memory": "200Gi"}}, UsageError, "spec.compute.memory", "ec2"),
        ({"compute": {"cpu": 32}}, UsageError, "spec.compute.cpu", "ec2"),
        (
            {"compute": {"type": "ec2", "instance_type": "m5large"}},
            UsageError,
            "spec.compute.instance_type",
            "m6i.xlarge",
        ),
        (
            {"compute": {"type": "ec2", "instance_type": "m7g.large"}},
            UnsupportedError,
            "spec.compute.instance_type",
            "m6i",
        ),
        (
            {"compute": {"type": "lambda", "instance_type": "m5.large"}},
            UnsupportedError,
            "spec.compute.instance_type",
            "ec2",
        ),
        (
            {"compute": {"availability_zones": 1}},
            UnsupportedError,
            "spec.compute.availability_zones",
            "2",
        ),
        (
            {"compute": {"availability_zones": 10}},
            UsageError,
            "spec.compute.availability_zones",
            "8 zones or fewer",
        ),
        (
            {"storage": {"lifecycle": {"transition_to_ia": 7}}},
            UsageError,
            "spec.storage.lifecycle.transition_to_ia",
            "30",
        ),
        ({"database": {"version": "fourteen"}}, UsageError, "spec.database.version", "17"),
        (
            {"database": {"instance_class": "r5.xlarge"}},
            UsageError,
            "spec.database.instance_class",
            "db.r5.xlarge",
        ),
        (
            {"database": {"backup_retention": 36}},
            UnsupportedError,
            "spec.database.backup_retention",
            "35",
        ),
        (
            {"database": {"type": "external", "url": "postgresql://u:p@host/db"}},
            UnsupportedError,
            "spec.database.url",
            "aws-sm:",
        ),
        ({"region": "europe-west1"}, UsageError, "spec.region", "eu-west-1"),
        ({"region": "Frankfurt"}, UsageError, "spec.region", "eu-west-1"),
        ({"compute": {"type": "cloud-run"}}, UnsupportedError, "spec.compute.type", "ecs-fargate"),
        ({"queue": {"type": "pubsub"}}, UnsupportedError, "spec.queue.type", "sqs"),
    ],
)
def test_what_aws_has_not_is_refused_by_the_compiler(
    spec: dict[str, Any], error: type[TabularError], where: str, hint: str
) -> None:
    with pytest.raises(error) as caught:
        stack_of(spec)
    codes = {UsageError: "usage.invalid", UnsupportedError: "refused.unsupported"}
    assert caught.value.code == codes[error]
    assert caught.value.where == where
    assert hint in str(caught.value.hint)


def test_a_field_of_another_place_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match=r"compute\.cpu_limit") as caught:
        stack_of({"compute": {"cpu_limit": 4}})
    assert "capabilities --provider aws" in str(caught.value.hint)


# In the region


def ask(cloud: Cloud, stack: Stack) -> None:
    World(cloud.session()).require(stack)


@pytest.mark.parametrize(
    ("spec", "where", "words", "hint"),
    [
        (
            {"compute": {"type": "ec2", "instance_type": "m5.9xlarge"}},
            "spec.compute.instance_type",
            "m5.9xlarge",
            "m5.",
        ),
        (
            {"compute": {"type": "batch", "instance_type": "x9.large"}},
            "spec.compute.instance_type",
            "x9.large",
            ".large",
        ),
        (
            {"compute": {"availability_zones": 5}},
            "spec.compute.availability_zones",
            "5 are needed",
            "at most",
        ),
        (
            {"database": {"version": "12"}},
            "spec.database.version",
            "postgres 12",
            "13, 14, 15, 16, 17, 18",
        ),
        (
            {"database": {"version": "14.2"}},
            "spec.database.version",
            "postgres 14.2",
            "14",
        ),
        (
            {"database": {"instance_class": "db.m9z.large"}},
            "spec.database.instance_class",
            "db.m9z.large",
            "db.m6g.large",
        ),
    ],
)
def test_what_the_region_does_not_sell_is_refused_before_anything_is_made(
    cloud: Cloud, spec: dict[str, Any], where: str, words: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        ask(cloud, stack_of(spec))
    assert caught.value.code == "usage.invalid"
    assert caught.value.where == where
    assert hint in str(caught.value.hint)
    assert cloud.stacks() == {}


@pytest.mark.parametrize("name", ["nothing", "ec2", "mysql, replicated", "lambda"])
def test_what_the_region_sells_is_let_through(cloud: Cloud, name: str) -> None:
    ask(cloud, matrix.stack(name))


@pytest.mark.parametrize("region", schemas.OPEN)
def test_the_class_that_a_refusal_names_is_sold_wherever_one_is(region: str) -> None:
    for engine in ("postgres", "mysql"):
        assert EVERYWHERE in schemas.database_classes(region, engine)
    assert "db.m9z.large" not in schemas.database_classes(region, "postgres")


def test_a_region_that_does_not_exist_is_refused_with_the_nearest(cloud: Cloud) -> None:
    with pytest.raises(UsageError) as caught:
        ask(cloud, stack_of({"region": "eu-west-9"}))
    assert caught.value.code == "usage.invalid"
    assert caught.value.where == "spec.region"
    assert "eu-west-" in str(caught.value.hint)


def test_an_image_that_is_not_there_is_said_before_anything_is_made(cloud: Cloud) -> None:
    with pytest.raises(PreflightError) as caught:
        World(cloud.session()).require_image(stack_of({}))
    assert caught.value.code == "preflight.image"
    assert caught.value.where == "spec.image"
    assert "inferloop-tabular image push --provider aws" in str(caught.value.hint)


# Who asks


def test_the_spec_of_another_account_is_refused(cloud: Cloud) -> None:
    stack = compile_stack(deployment_of({"account": "999999999999"}), REGION)
    with pytest.raises(UsageError) as caught:
        provider_at(cloud.url, cloud.account).engine.preview(stack)
    assert caught.value.code == "usage.account"
    assert caught.value.where == "spec.account"
    assert cloud.account in caught.value.message
    assert "--role-arn" in str(caught.value.hint)


def without_anything(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> botocore.session.Session:
    """A session of boto3 on a machine that has nothing of AWS."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return botocore.session.Session()


def test_without_credentials_it_says_how_to_get_some(
    ministack: MiniStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    base = boto3.Session(
        botocore_session=without_anything(monkeypatch, tmp_path), region_name=REGION
    )
    cloud = Cloud(ministack.url, "")
    with pytest.raises(PreflightError, match="no AWS credentials") as caught:
        cloud.engine(cloud.session(base=base)).preview(small())
    assert caught.value.code == "preflight.credentials"
    assert caught.value.where
    assert "aws sso login" in str(caught.value.hint)


def test_a_profile_that_does_not_exist_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    without_anything(monkeypatch, tmp_path)
    with pytest.raises(UsageError, match="nobody") as caught:
        _ = Session(Access(profile="nobody")).region
    assert caught.value.code == "usage.profile"
    assert "list-profiles" in str(caught.value.hint)


def test_half_credentials_are_none(
    ministack: MiniStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    inner = without_anything(monkeypatch, tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    session = Session(
        Access(endpoint_url=ministack.url), base=boto3.Session(botocore_session=inner)
    )
    with pytest.raises(PreflightError) as caught:
        _ = session.account
    assert caught.value.code == "preflight.credentials"
    assert caught.value.hint


def answering(code: str, status: int, words: str = "as AWS says it") -> Session:
    """A session to which every service gives one answer, in place of the network."""
    body = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>"
        f"<Message>{words}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    ).encode()

    class Raw:
        def stream(self, **_: Any) -> Any:
            yield body

    def answer(request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, status, {"content-type": "text/xml"}, Raw())

    inner = botocore.session.Session()
    inner.set_credentials("AKIDEXAMPLE", SECRET)
    inner.register("before-send", answer)
    return Session(
        Access(endpoint_url="http://127.0.0.1:9"),
        base=boto3.Session(botocore_session=inner, region_name=REGION),
    )


@pytest.mark.parametrize(
    ("code", "status", "error", "said", "hint"),
    [
        ("ExpiredToken", 403, PreflightError, "preflight.credentials", "aws sso login"),
        ("ExpiredTokenException", 400, PreflightError, "preflight.credentials", "aws sso login"),
        ("RequestExpired", 400, PreflightError, "preflight.credentials", "aws sso login"),
        ("InvalidClientTokenId", 403, PreflightError, "preflight.credentials", "get-caller"),
        ("SignatureDoesNotMatch", 403, PreflightError, "preflight.credentials", "get-caller"),
        ("AuthFailure", 401, PreflightError, "preflight.credentials", "get-caller"),
        ("AccessDenied", 403, ForbiddenError, "access.forbidden", "aws iam-policy"),
        ("UnauthorizedOperation", 403, ForbiddenError, "access.forbidden", "aws iam-policy"),
    ],
)
def test_what_aws_says_of_credentials_is_said_with_what_to_do(
    code: str, status: int, error: type[TabularError], said: str, hint: str
) -> None:
    cloud = Cloud("http://127.0.0.1:9", "")
    with pytest.raises(error) as caught:
        cloud.engine(answering(code, status)).status(small().target)
    assert caught.value.code == said
    assert caught.value.where == "cloudformation:DescribeStacks"
    assert hint in str(caught.value.hint)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "hint"),
    [("OptInRequired", "aws account enable-region"), ("TeapotException", "AWS's own")],
)
def test_an_answer_that_nobody_foresaw_keeps_its_words(code: str, hint: str) -> None:
    cloud = Cloud("http://127.0.0.1:9", "")
    with pytest.raises(PreflightError, match=f"{code}: as AWS says it") as caught:
        cloud.engine(answering(code, 403)).status(small().target)
    assert caught.value.code == f"aws.{code}"
    assert caught.value.where == "cloudformation:DescribeStacks"
    assert hint in str(caught.value.hint)


def test_where_nothing_listens_it_says_so(aws_account: str) -> None:
    session = Session(Access(endpoint_url="http://127.0.0.1:9"), base=credentials(aws_account))
    with pytest.raises(UnavailableError, match="cannot be reached") as caught:
        Cloud("http://127.0.0.1:9", aws_account).engine(session).status(small().target)
    assert caught.value.where
    assert "AWS_ENDPOINT_URL" in str(caught.value.hint)


def test_nothing_is_there_yet(cloud: Cloud) -> None:
    with pytest.raises(NotFoundError) as caught:
        cloud.engine().status(small().target)
    assert caught.value.hint


# What the policy says


def test_a_waiver_that_names_nothing_blocks_the_plan() -> None:
    waiver = {"rule": "public-without-tsl", "reason": "the network team ends TLS for us"}
    deployment = deployment_of({"policy": {"waivers": [waiver]}})
    found = check(deployment, compile_stack(deployment, REGION), capabilities=CAPABILITIES)
    (finding,) = [one for one in found if one.rule == "unknown-waiver"]
    assert finding.severity is Severity.ERROR
    assert finding.blocks
    assert finding.where == "spec.policy.waivers[0]"
    assert "public-without-tls" in finding.hint


@pytest.mark.parametrize("name", matrix.SPECS)
def test_no_rule_of_the_policy_blocks_what_the_compiler_makes(name: str) -> None:
    stack = matrix.stack(name)
    found = check(deployment_of(matrix.SPECS[name]), stack, capabilities=CAPABILITIES)
    assert [one for one in found if one.blocks] == []
