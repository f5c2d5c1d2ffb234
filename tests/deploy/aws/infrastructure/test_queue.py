"""The queue of job ids: hidden for as long as is said, tried as often, and over TLS only."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from tabular.deploy.aws.infrastructure import queue
from tabular.deploy.aws.infrastructure.service import environment
from tabular.errors import UnsupportedError
from tabular.infra.config import load_settings
from tests.deploy.aws.made import wanted_of


def made(**said: Any) -> dict[str, Any]:
    parts = queue.resources(wanted_of({"queue": said} if said else {}))
    return {name: one["Properties"] for name, one in parts.items()}


def test_the_usual_queue() -> None:
    found = made()["Queue"]
    assert found == {
        "KmsMasterKeyId": {"Fn::GetAtt": ["Key", "Arn"]},
        "VisibilityTimeout": 60,
        "MessageRetentionPeriod": 4 * 86_400,
        "ReceiveMessageWaitTimeSeconds": 20,
        "RedrivePolicy": {
            "deadLetterTargetArn": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]},
            "maxReceiveCount": 5,
        },
    }
    assert made()["DeadLetterQueue"] == {
        "KmsMasterKeyId": {"Fn::GetAtt": ["Key", "Arn"]},
        "MessageRetentionPeriod": 14 * 86_400,
    }


def test_what_the_spec_says_of_it() -> None:
    found = made(visibility_timeout="5m", retention="14d", max_attempts=3)["Queue"]
    assert found["VisibilityTimeout"] == 300
    assert found["MessageRetentionPeriod"] == 14 * 86_400
    assert found["RedrivePolicy"]["maxReceiveCount"] == 3


def test_the_service_is_told_the_same() -> None:
    said = {"visibility_timeout": "5m", "max_attempts": 3}
    told = environment(wanted_of({"queue": said}))
    settings = load_settings(
        {
            "TABULAR_SECRET_KEY": secrets.token_urlsafe(40),
            **{name: told[name] for name in ("TABULAR_JOB_LEASE", "TABULAR_JOB_MAX_ATTEMPTS")},
        }
    )
    assert (settings.job_lease, settings.job_max_attempts) == (300, 3)


@pytest.mark.parametrize(
    ("field", "value", "hint"),
    [
        ("visibility_timeout", "2h", "visibility_timeout: 1h"),
        ("retention", "59s", "retention: 1m"),
        ("retention", "15d", "retention: 14d"),
        ("max_attempts", 101, "max_attempts: 100"),
    ],
)
def test_what_sqs_or_the_service_does_not_take_is_refused(
    field: str, value: Any, hint: str
) -> None:
    with pytest.raises(UnsupportedError) as caught:
        made(**{field: value})
    assert caught.value.where == f"spec.queue.{field}"
    assert caught.value.hint == hint


def test_both_queues_refuse_all_but_tls() -> None:
    parts = made()
    for name in ("Queue", "DeadLetterQueue"):
        policy = parts[f"{name}Policy"]
        assert policy["Queues"] == [{"Ref": name}]
        # SQS has no key for the version of TLS; "Condition keys for Amazon SQS" of the service
        # authorization reference lists none of its own.
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        said = (statement["Effect"], statement["Principal"], statement["Action"])
        assert said == ("Deny", "*", "sqs:*")
        assert statement["Resource"] == {"Fn::GetAtt": [name, "Arn"]}


@pytest.mark.parametrize("kind", ["lambda", "batch"])
def test_where_no_api_is_served_there_is_none_and_that_is_told(kind: str) -> None:
    wanted = wanted_of({"compute": {"type": kind}, "queue": {"max_attempts": 3}})
    assert queue.resources(wanted) == {}
    (told,) = queue.reductions(wanted)
    assert (told.field, told.asked, told.given) == ("spec.queue.max_attempts", "3", "no queue")
