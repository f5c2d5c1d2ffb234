"""The bucket of templates and releases: whose it is, how it is closed, what is read from it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tabular.deploy.aws.account.artifacts import Artifacts
from tabular.deploy.aws.account.session import Access, Session
from tabular.deploy.stack import canonical_json, fingerprint
from tabular.errors import IntegrityError, NotFoundError, PreflightError, RefusedError
from tests.deploy.aws.cloud import AT, ONE, TWO, Cloud, deploy, roll_back, small, target
from tests.deploy.aws.scripted import Scripted
from tests.testbed.ministack import ACCOUNT, REGION, MiniStack

WHO = {"Account": ACCOUNT, "UserId": "u", "Arn": f"arn:aws:iam::{ACCOUNT}:root"}


def bucket_of(cloud: Cloud, region: str = REGION) -> str:
    return f"inferloop-tabular-{cloud.account}-{region}"


# --- The bucket


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1"])
def test_the_bucket_is_private_encrypted_versioned_and_for_tls_only(
    cloud: Cloud, region: str
) -> None:
    assert Artifacts(cloud.session()).ensure(region)
    assert not Artifacts(cloud.session()).ensure(region)
    s3, where = cloud.client("s3"), {"Bucket": bucket_of(cloud, region)}
    # The first region has no name there.
    wanted = None if region == "us-east-1" else region
    assert s3.get_bucket_location(**where)["LocationConstraint"] == wanted
    block = s3.get_public_access_block(**where)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    (rule,) = s3.get_bucket_encryption(**where)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert s3.get_bucket_versioning(**where)["Status"] == "Enabled"
    (statement,) = json.loads(s3.get_bucket_policy(**where)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Deny", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_bucket_that_a_dead_client_left_open_is_closed(cloud: Cloud) -> None:
    where = {"LocationConstraint": REGION}
    cloud.client("s3").create_bucket(Bucket=bucket_of(cloud), CreateBucketConfiguration=where)
    assert not Artifacts(cloud.session()).ensure(REGION)
    versioning = cloud.client("s3").get_bucket_versioning(Bucket=bucket_of(cloud))
    assert versioning["Status"] == "Enabled"


def test_the_policy_of_the_bucket_that_somebody_made_stricter_stays(cloud: Cloud) -> None:
    Artifacts(cloud.session()).ensure(REGION)
    s3 = cloud.client("s3")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObjectAcl", "Resource": "*"}
    stricter = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    s3.put_bucket_policy(Bucket=bucket_of(cloud), Policy=stricter)
    Artifacts(cloud.session()).ensure(REGION)
    assert json.loads(s3.get_bucket_policy(Bucket=bucket_of(cloud))["Policy"])["Statement"] == [
        deny
    ]


def test_a_bucket_of_another_account_is_refused_and_never_written_to(
    cloud: Cloud, ministack: MiniStack
) -> None:
    """Names are known beforehand; whoever took one first must not get our templates."""
    squatter = Cloud(ministack.url, "9" * 12)
    where = {"LocationConstraint": REGION}
    taken = bucket_of(cloud)
    squatter.client("s3").create_bucket(Bucket=taken, CreateBucketConfiguration=where)
    with pytest.raises(RefusedError, match="another account's") as caught:
        deploy(cloud.engine(), ONE)
    assert caught.value.code == "refused.bucket"
    assert cloud.stacks() == {}
    assert "Contents" not in squatter.client("s3").list_objects_v2(Bucket=taken)


def scripted(*calls: tuple[str, Any, Any]) -> Artifacts:
    base = Scripted(sts=[("get_caller_identity", None, WHO)], s3=calls)
    return Artifacts(Session(Access(), base=base))


def test_a_bucket_that_may_not_be_seen_is_refused() -> None:
    with pytest.raises(RefusedError, match="you may not see it"):
        scripted(("head_bucket", None, {"Error": "403", "Status": 403})).ensure(REGION)


def test_credentials_that_ran_out_are_told_though_a_head_has_no_body() -> None:
    with pytest.raises(PreflightError, match="run out") as caught:
        scripted(("head_bucket", None, {"Error": "400", "Status": 400})).ensure(REGION)
    assert caught.value.code == "preflight.credentials"


def test_another_client_that_makes_the_bucket_at_the_same_moment_is_no_error() -> None:
    made = scripted(
        ("head_bucket", None, {"Error": "404", "Status": 404}),
        ("create_bucket", None, {"Error": "BucketAlreadyOwnedByYou", "Status": 409}),
        ("get_bucket_policy", None, {"Policy": "{}"}),
    ).ensure(REGION)
    assert made is False


# --- Records


def test_every_call_says_whose_bucket_it_must_be(cloud: Cloud) -> None:
    owners: list[str | None] = []
    session = cloud.session()
    client = session.client("s3", REGION)

    def look(params: Any, model: Any, **_: Any) -> None:
        if model.name not in ("CreateBucket", "PutPublicAccessBlock", "PutBucketEncryption",
                              "PutBucketVersioning", "PutBucketPolicy"):  # fmt: skip
            owners.append(params["headers"].get("x-amz-expected-bucket-owner"))

    client.meta.events.register("before-call.s3", look)
    for stack in (ONE, TWO):
        deploy(cloud.engine(session), stack)
    roll_back(cloud.engine(session), AT)
    assert len(owners) > 8
    assert set(owners) == {cloud.account}


def alter(cloud: Cloud, change: Any) -> str:
    """Change the record of the first release in the bucket; its key."""
    for stack in (ONE, TWO):
        deploy(cloud.engine(), stack)
    (key,) = (key for key in cloud.kept() if key.endswith(f"/{ONE.fingerprint[:12]}.json"))
    s3, bucket = cloud.client("s3"), bucket_of(cloud)
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=bucket, Key=key, Body=change(body))
    return key


def resealed(body: bytes) -> bytes:
    """Another template under a digest that fits: the name of the release gives it away."""
    record = json.loads(body)["record"]
    record["stack"]["template"]["Resources"]["Queue"]["Properties"]["DelaySeconds"] = 66
    return canonical_json({"record": record, "sha256": fingerprint(record)})


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.replace(b'"DelaySeconds":1', b'"DelaySeconds":2'),
        # The template is as it was; what a plan says of lost data is not.
        lambda body: body.replace(b'"stateful":true', b'"stateful":false'),
        lambda body: body[:-40],
        lambda body: b"",
        lambda body: b"{}",
        lambda body: b"[1]",
        resealed,
    ],
    ids=[
        "a value",
        "what holds data",
        "cut short",
        "empty",
        "an empty object",
        "another kind",
        "sealed anew",
    ],
)
def test_an_altered_record_is_never_applied(cloud: Cloud, change: Any) -> None:
    key = alter(cloud, change)
    with pytest.raises(IntegrityError, match="not what was written") as caught:
        roll_back(cloud.engine(), AT)
    assert caught.value.where == f"s3://{bucket_of(cloud)}/{key}"
    assert "version" in str(caught.value.hint)
    assert cloud.delays() == ["2"]


def test_a_record_of_another_deployment_is_never_applied(cloud: Cloud) -> None:
    other = target("demo-2")
    deploy(cloud.engine(), small(1, at=other))
    (theirs,) = (key for key in cloud.kept() if "/releases/" in key)
    stolen = cloud.client("s3").get_object(Bucket=bucket_of(cloud), Key=theirs)["Body"].read()
    alter(cloud, lambda _: stolen)
    with pytest.raises(IntegrityError):
        cloud.engine().preview_rollback(AT)


def test_a_record_holds_no_secret(cloud: Cloud) -> None:
    deploy(cloud.engine(), ONE)
    key = cloud.engine().issue_api_key(AT, "admin", only_first=True)
    assert key
    s3, bucket = cloud.client("s3"), bucket_of(cloud)
    for name in cloud.kept():
        assert key.encode() not in s3.get_object(Bucket=bucket, Key=name)["Body"].read()


def test_the_bucket_is_told_when_it_is_made(cloud: Cloud) -> None:
    first, *_ = deploy(cloud.engine(), ONE)
    assert (first.sequence, first.resource) == (1, bucket_of(cloud))
    assert "no deployment's own" in first.reason
    first, *_ = deploy(cloud.engine(), TWO)
    assert first.resource == ""


def test_without_a_bucket_no_release_is_known(cloud: Cloud) -> None:
    with pytest.raises(NotFoundError, match="is not kept"):
        Artifacts(cloud.session()).release(AT, "0" * 12)
    assert cloud.all_buckets() == []
