"""The topic that alarms and the budget speak to, and who listens."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from tabular.deploy.aws.infrastructure.security.iam import OWN_ACCOUNT, tls_only
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, allow, policy, ref, resource
from tabular.errors import UnsupportedError, UsageError
from tabular.infra.logs import mask

WHERE = "spec.monitoring.notify"
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def topic(wanted: Wanted) -> Part:
    """The topic with its policy and subscriptions.

    Raises:
        UnsupportedError, UsageError: somebody is to be told in a way that SNS has not.
    """
    return {
        "AlarmTopic": resource("AWS::SNS::Topic", {"KmsMasterKeyId": wanted.key_arn}),
        "AlarmTopicPolicy": _policy(wanted),
        **{_id(one): _subscription(one) for one in wanted.spec.monitoring.notify},
    }


def _policy(wanted: Wanted) -> Document:
    plain = tls_only("sns:Publish", ref("AlarmTopic"))
    return resource(
        "AWS::SNS::TopicPolicy",
        {
            "Topics": [ref("AlarmTopic")],
            "PolicyDocument": policy(*_speakers(wanted), plain),
        },
    )


def _speakers(wanted: Wanted) -> Iterator[Document]:
    """Services that may speak to it; the key's policy allows the same ones."""
    yield _speaker("Alarms", "cloudwatch", Condition=OWN_ACCOUNT)
    yield _speaker("Budget", "budgets", Condition=OWN_ACCOUNT)
    if wanted.kind == "batch":
        # EventBridge does not say for whom it speaks to a topic, so a condition would refuse it.
        # Source: "Amazon SNS permissions" in the user guide of EventBridge.
        yield _speaker("Events", "events")


def _speaker(sid: str, service: str, **more: Any) -> Document:
    principal = {"Service": f"{service}.amazonaws.com"}
    return allow(["sns:Publish"], ref("AlarmTopic"), Sid=sid, Principal=principal, **more)


def _id(endpoint: str) -> str:
    """By who listens, so that one more does not move the others."""
    return f"Subscription{hashlib.sha256(endpoint.encode()).hexdigest()[:12]}"


def _subscription(endpoint: str) -> Document:
    return resource(
        "AWS::SNS::Subscription",
        {
            "TopicArn": ref("AlarmTopic"),
            "Protocol": _protocol(endpoint),
            "Endpoint": endpoint,
        },
    )


def _protocol(endpoint: str) -> str:
    if endpoint.startswith("https://"):
        if mask(endpoint) != endpoint:
            raise UsageError(
                "the address has a secret in it, which would stand in the template",
                where=WHERE,
                hint="name one without a password or token",
            )
        return "https"
    if _MAIL.fullmatch(endpoint):
        return "email"
    raise UnsupportedError(
        f"SNS does not tell {mask(endpoint)!r}",
        where=WHERE,
        hint="a mail address, or a URL that begins with https://",
    )
