"""Prices of what keeps secrets, watches and carries messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from tabular.deploy.aws.prices.bill import Bill, NoPriceError, counted, number, whole
from tabular.deploy.cost import LineItem
from tabular.deploy.stack import Resource


def key(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """A key in its first year; each of the first two yearly rotations adds the price again."""
    yield bill.item(resource, 1, "1 key", "kms", "key")
    count = bill.usage.key_requests
    basis = f"assumed: {count:,} requests"
    yield bill.item(resource, Decimal(count) / 10_000, basis, "kms", "request_10000")


def secret(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """A secret and assumed requests."""
    yield bill.item(resource, 1, "1 secret", "secrets", "secret")
    count = bill.usage.secret_requests
    basis = f"assumed: {count:,} requests"
    yield bill.item(resource, Decimal(count) / 10_000, basis, "secrets", "request_10000")


def parameter(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """Nothing for a standard parameter."""
    tier = resource.properties.get("Tier", "Standard")
    if tier == "Standard":
        return
    if tier != "Advanced":
        raise NoPriceError(f"a parameter of tier {tier} has no price here")
    yield bill.item(resource, 1, "1 advanced parameter", "parameters", "advanced")


def alarm(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """An alarm, for each metric it looks at."""
    metrics = resource.properties.get("Metrics", ())
    if any("ANOMALY_DETECTION_BAND" in str(one.get("Expression", "")) for one in metrics):
        raise NoPriceError("an alarm on anomalies has no price here")
    count = sum("MetricStat" in one for one in metrics) if metrics else 1
    fast = number(resource.properties, "Period", 60) < 60 or any(
        number(one["MetricStat"], "Period", 60) < 60 for one in metrics if "MetricStat" in one
    )
    words = counted(count, "alarm metric")
    basis = f"{words} of high resolution" if fast else words
    yield bill.item(resource, count, basis, "cloudwatch", "alarm_fast" if fast else "alarm")


def composite_alarm(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """An alarm on other alarms."""
    yield bill.item(resource, 1, "1 composite alarm", "cloudwatch", "composite")


def dashboard(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """A dashboard; the three that an account has free may be others."""
    yield bill.item(resource, 1, "1 dashboard", "cloudwatch", "dashboard")


def metric_filter(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """The custom metrics that a filter makes of logs."""
    count = len(resource.properties.get("MetricTransformations", ()))
    yield bill.item(resource, count, counted(count, "custom metric"), "cloudwatch", "metric")


def topic(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """Assumed e-mails of a topic; what else it costs is less than a hundredth of that."""
    count = Decimal(bill.usage.notifications)
    basis = f"assumed: {whole(count)} notifications by e-mail"
    yield bill.item(resource, count / 100_000, basis, "sns", "email_100000")


def queue(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """Assumed requests to a queue; none to one that only takes what others could not deliver."""
    if _is_dead_letter(resource, bill):
        return
    count = bill.usage.queue_millions
    basis = f"assumed: {whole(count)} million requests"
    fifo = resource.properties.get("FifoQueue") in (True, "true")
    yield bill.item(resource, count, basis, "sqs", "fifo_million" if fifo else "request_million")


def _is_dead_letter(resource: Resource, bill: Bill) -> bool:
    return any(
        bill.referred((one.properties.get("RedrivePolicy") or {}).get("deadLetterTargetArn"))
        is resource
        for one in bill.of_type("AWS::SQS::Queue")
    )


def certificate(resource: Resource, bill: Bill) -> Sequence[LineItem]:
    """Nothing for a public certificate.

    Raises:
        NoPriceError: a private authority signs it.
    """
    if "CertificateAuthorityArn" in resource.properties:
        raise NoPriceError("a certificate of a private authority has no price here")
    return ()


def budget(resource: Resource, bill: Bill) -> Sequence[LineItem]:
    """Nothing: a budget that only notifies is free, and actions are resources of their own."""
    return ()
