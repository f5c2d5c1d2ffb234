"""The bucket: who gets in, how it is encrypted, what becomes of old objects and of copies."""

from __future__ import annotations

from typing import Any

import pytest

from tabular.deploy.aws.applying.variants import kept, referred
from tabular.deploy.aws.infrastructure import storage
from tabular.deploy.aws.words.document import KEPT
from tabular.errors import TabularError, UnsupportedError, UsageError
from tests.deploy.aws.made import refusal, stack_of, wanted_of

COPY = {
    "overrides": {
        "aws": {
            "replica_bucket": "arn:aws:s3:::copy-of-it",
            "replica_key": "arn:aws:kms:us-east-1:111122223333:key/0f1e2d3c",
        }
    }
}


def made(spec: dict[str, Any] | None = None, **said: Any) -> dict[str, Any]:
    return storage.resources(wanted_of({"storage": said, **(spec or {})}))


def bucket(spec: dict[str, Any] | None = None, **said: Any) -> dict[str, Any]:
    found: dict[str, Any] = made(spec, **said)["Bucket"]["Properties"]
    return found


def rules(spec: dict[str, Any] | None = None, **said: Any) -> dict[str, dict[str, Any]]:
    return {one["Id"]: one for one in bucket(spec, **said)["LifecycleConfiguration"]["Rules"]}


def reduced(**said: Any) -> dict[str, str]:
    return {one.field: one.given for one in storage.reductions(wanted_of({"storage": said}))}


def refused(
    error: type[TabularError], where: str, spec: dict[str, Any] | None = None, **said: Any
) -> str:
    return refusal(error, where, lambda: made(spec, **said))


# --- Who gets in


def test_objects_are_encrypted_with_the_key_of_the_deployment() -> None:
    (found,) = bucket()["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert found == {
        "ServerSideEncryptionByDefault": {
            "SSEAlgorithm": "aws:kms",
            "KMSMasterKeyID": {"Fn::GetAtt": ["Key", "Arn"]},
        },
        "BucketKeyEnabled": True,
    }


def test_nothing_makes_it_public() -> None:
    assert set(bucket()["PublicAccessBlockConfiguration"].items()) == {
        ("BlockPublicAcls", True),
        ("BlockPublicPolicy", True),
        ("IgnorePublicAcls", True),
        ("RestrictPublicBuckets", True),
    }
    assert bucket()["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_its_policy_refuses_all_but_tls_from_1_2() -> None:
    policy = made()["BucketPolicy"]["Properties"]
    assert policy["Bucket"] == {"Ref": "Bucket"}
    conditions = []
    for one in policy["PolicyDocument"]["Statement"]:
        assert (one["Effect"], one["Principal"], one["Action"]) == ("Deny", "*", "s3:*")
        assert one["Resource"] == [
            {"Fn::GetAtt": ["Bucket", "Arn"]},
            {"Fn::Sub": "${Bucket.Arn}/*"},
        ]
        conditions.append(one["Condition"])
    assert conditions == [
        {"Bool": {"aws:SecureTransport": "false"}},
        {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
    ]


def test_bucket_and_policy_stay_when_the_service_goes() -> None:
    for one in made(COPY, cross_region=True).values():
        assert one["DeletionPolicy"] == "RetainExceptOnCreate"
        assert one["UpdateReplacePolicy"] == "Retain"
        assert one["Metadata"][KEPT] is True


def test_what_is_kept_needs_nothing_that_is_not() -> None:
    spec = {
        "storage": {"cross_region": True},
        "database": {"password_rotation": "30d"},
        **COPY,
    }
    for found in (spec, {"database": {"type": "mysql"}}, {"compute": {"type": "lambda"}}):
        remaining = kept(stack_of(found).template)
        there = {*remaining["Resources"], *remaining["Parameters"]}
        missing = {
            name
            for name in referred(remaining["Resources"])
            if not name.startswith("AWS::") and name not in there
        }
        assert missing == set()
        assert "Bucket" in there


def test_only_the_bucket_of_a_function_tells_of_uploads() -> None:
    found = bucket({"compute": {"type": "lambda"}})["NotificationConfiguration"]
    assert found == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    assert "NotificationConfiguration" not in bucket()


# --- Versions


@pytest.mark.parametrize(
    ("spec", "said", "days"),
    [
        ({}, {"versioning": True}, 365),
        ({"backup": {"enabled": True}}, {}, 30),
        (COPY, {"cross_region": True}, 30),
    ],
)
def test_old_versions_are_kept_and_not_for_ever(
    spec: dict[str, Any], said: dict[str, Any], days: int
) -> None:
    assert bucket(spec, **said)["VersioningConfiguration"] == {"Status": "Enabled"}
    rule = rules(spec, **said)["old-versions"]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": days}
    assert rule["ExpiredObjectDeleteMarker"] is True


def test_without_need_there_are_no_versions() -> None:
    assert "VersioningConfiguration" not in bucket()
    assert rules().keys() == {"unfinished-uploads"}


# --- Ages


def test_parts_of_an_upload_that_was_never_finished_go_after_a_week() -> None:
    assert rules()["unfinished-uploads"]["AbortIncompleteMultipartUpload"] == {
        "DaysAfterInitiation": 7
    }


def test_the_ages_of_the_example_for_production() -> None:
    ages = {"transition_to_ia": "30d", "transition_to_glacier": "90d", "expire": "365d"}
    rule = rules(lifecycle=ages)["age"]
    assert rule["Transitions"] == [
        {"StorageClass": "STANDARD_IA", "TransitionInDays": 30},
        {"StorageClass": "GLACIER", "TransitionInDays": 90},
    ]
    assert rule["ExpirationInDays"] == 365
    assert rule["Status"] == "Enabled"
    told = reduced(lifecycle=ages)["spec.storage.lifecycle.transition_to_glacier"]
    assert "restored" in told


LIFECYCLE = "spec.storage.lifecycle"


@pytest.mark.parametrize(
    ("said", "where", "hint"),
    [
        (
            {"lifecycle": {"transition_to_ia": "29d"}},
            f"{LIFECYCLE}.transition_to_ia",
            "transition_to_ia: 30",
        ),
        (
            {"lifecycle": {"transition_to_ia": "40d", "transition_to_glacier": "69d"}},
            f"{LIFECYCLE}.transition_to_glacier",
            "transition_to_glacier: 70",
        ),
        (
            {"class": "ONEZONE_IA", "lifecycle": {"transition_to_glacier": "59d"}},
            f"{LIFECYCLE}.transition_to_glacier",
            "transition_to_glacier: 60",
        ),
        (
            {"lifecycle": {"expire": "36h"}},
            f"{LIFECYCLE}.expire",
            "expire: 2",
        ),
        (
            {"class": "STANDARD_IA", "lifecycle": {"expire": "30d"}},
            f"{LIFECYCLE}.expire",
            "expire: 31",
        ),
        (
            {"class": "INTELLIGENT_TIERING", "lifecycle": {"transition_to_ia": "30d"}},
            f"{LIFECYCLE}.transition_to_ia",
            "leave out",
        ),
    ],
)
def test_ages_that_s3_does_not_take_are_refused(
    said: dict[str, Any], where: str, hint: str
) -> None:
    assert hint in refused(UsageError, where, **said)


@pytest.mark.parametrize(
    "said",
    [
        {"lifecycle": {"transition_to_ia": "30d", "transition_to_glacier": "60d"}},
        {"lifecycle": {"transition_to_glacier": "1d", "expire": "2d"}},
        {"class": "STANDARD_IA", "lifecycle": {"expire": "31d"}},
    ],
)
def test_ages_at_the_very_limit_are_taken(said: dict[str, Any]) -> None:
    assert rules(**said)["age"]["Transitions"]


# --- Storage classes


@pytest.mark.parametrize(
    ("name", "days"),
    [("INTELLIGENT_TIERING", 0), ("GLACIER_IR", 0), ("STANDARD_IA", 30), ("ONEZONE_IA", 30)],
)
def test_objects_go_to_a_class_as_soon_as_s3_lets_them(name: str, days: int) -> None:
    assert rules(**{"class": name})["age"]["Transitions"] == [
        {"StorageClass": name, "TransitionInDays": days}
    ]
    assert ("spec.storage.class" in reduced(**{"class": name})) == (days > 0)


def test_the_standard_class_needs_no_rule() -> None:
    assert rules(**{"class": "STANDARD"}).keys() == {"unfinished-uploads"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("GLACIER", "restored"),
        ("DEEP_ARCHIVE", "restored"),
        ("STANDARD_AI", "STANDARD_IA"),
        ("REDUCED_REDUNDANCY", "known"),
    ],
)
def test_a_class_that_cannot_be_read_or_is_none_is_refused(name: str, words: str) -> None:
    assert words in refused(UnsupportedError, "spec.storage.class", **{"class": name})


def test_one_zone_is_not_enough_for_who_wants_to_survive_the_loss_of_one() -> None:
    refused(UsageError, "spec.storage.class", {"ha": True}, **{"class": "ONEZONE_IA"})


# --- A copy in another region


def test_a_copy_needs_a_bucket_and_a_key_over_there() -> None:
    told = refused(UnsupportedError, "spec.storage.cross_region", cross_region=True)
    assert "replica_bucket" in told
    half = {"overrides": {"aws": {"replica_bucket": "arn:aws:s3:::copy-of-it"}}}
    assert "replica_key" in refused(
        UnsupportedError, "spec.storage.cross_region", half, cross_region=True
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("replica_bucket", "copy-of-it"),
        ("replica_key", "alias/copy"),
        ("replica_key", "arn:aws:kms:eu-west-1:111122223333:key/0f1e2d3c"),
    ],
)
def test_a_copy_that_cannot_be_made_is_refused(name: str, value: str) -> None:
    options = {"overrides": {"aws": {**COPY["overrides"]["aws"], name: value}}}
    refused(UsageError, f"spec.overrides.aws.{name}", options, cross_region=True)


def test_every_object_is_copied_and_sealed_with_the_key_over_there() -> None:
    found = bucket(COPY, cross_region=True)["ReplicationConfiguration"]
    assert found["Role"] == {"Fn::GetAtt": ["ReplicationRole", "Arn"]}
    (rule,) = found["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["Filter"] == {"Prefix": ""}
    assert rule["SourceSelectionCriteria"] == {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
    options = COPY["overrides"]["aws"]
    assert rule["Destination"] == {
        "Bucket": options["replica_bucket"],
        "EncryptionConfiguration": {"ReplicaKmsKeyID": options["replica_key"]},
    }


def test_who_copies_reads_here_writes_there_and_no_more() -> None:
    parts = made(COPY, cross_region=True)
    (trust,) = parts["ReplicationRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "s3.amazonaws.com"}
    policy = parts["ReplicationPolicy"]["Properties"]
    assert policy["Roles"] == [{"Ref": "ReplicationRole"}]
    here, objects, there, opening, sealing = policy["PolicyDocument"]["Statement"]
    assert here["Action"] == ["s3:GetReplicationConfiguration", "s3:ListBucket"]
    assert here["Resource"] == {"Fn::GetAtt": ["Bucket", "Arn"]}
    assert all(action.startswith("s3:GetObjectVersion") for action in objects["Action"])
    assert there["Resource"] == "arn:aws:s3:::copy-of-it/*"
    assert all(action.startswith("s3:Replicate") for action in there["Action"])
    assert opening["Action"] == ["kms:Decrypt"]
    assert opening["Resource"] == {"Fn::GetAtt": ["Key", "Arn"]}
    assert sealing["Action"] == ["kms:Encrypt", "kms:GenerateDataKey"]
    assert sealing["Resource"] == COPY["overrides"]["aws"]["replica_key"]
    assert sealing["Condition"] == {
        "StringEquals": {"kms:ViaService": {"Fn::Sub": "s3.us-east-1.${AWS::URLSuffix}"}}
    }


# --- What is said and given otherwise


def test_quota_and_number_of_copies_are_given_in_s3s_own_way() -> None:
    assert reduced(size="1Ti", replication=3) == {
        "spec.storage.size": "as much as is stored",
        "spec.storage.replication": "three or more",
    }
    assert reduced() == {}


def test_an_existing_bucket_is_used_as_it_is() -> None:
    said = {
        "bucket": "shared-data",
        "class": "STANDARD_IA",
        "versioning": True,
        "lifecycle": {"expire": "365d"},
    }
    assert made(**said) == {}
    given = "what the bucket has"
    assert reduced(**said) == {
        "spec.storage.class": given,
        "spec.storage.lifecycle": given,
        "spec.storage.versioning": given,
    }
    outputs = storage.outputs(wanted_of({"storage": said}))
    assert outputs["bucket"][0] == "shared-data"


@pytest.mark.parametrize("name", ["Shared", "ab", "s3://shared-data", "a..b", "arn:aws:s3:::x"])
def test_what_is_no_name_of_a_bucket_is_refused(name: str) -> None:
    refused(UsageError, "spec.storage.bucket", bucket=name)
