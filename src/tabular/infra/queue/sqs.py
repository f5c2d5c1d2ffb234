"""Wake-ups through Amazon SQS, on boto3 alone.

Kombu's transport for SQS fetches ahead and wants an HTTP client that has to be compiled; four
calls of the service are the whole protocol. The queue is a standard one: at least once, in no
certain order, which is all that a wake-up needs.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from tabular.errors import ConfigError, UnavailableError
from tabular.infra.optional import require
from tabular.infra.queue import Message, acceptable_id, check_id
from tabular.infra.queue.rest import until
from tabular.infra.urls import options, public

OPTIONS = ("region", "endpoint")
CONNECT_TIMEOUT = 2.0  # seconds
LONGEST_WAIT = 20  # seconds that the service lets one call wait for a message
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}\Z")

_LOG = logging.getLogger(__name__)


class SqsQueue:
    """A standard queue, made when it is missing and the credentials allow it.

    Args:
        url: ``sqs://QUEUE?region=REGION[&endpoint=URL]``; credentials come from where boto3
            looks for them: variables, shared files, the role of the machine or pod.
        visibility_timeout: seconds before an unacknowledged message is delivered again.
    """

    def __init__(self, url: str, *, visibility_timeout: float) -> None:
        parts = urlsplit(url)
        self._options = options(parts, OPTIONS, what="queue")
        self._name = parts.netloc
        self._where = public(url)
        self._visibility = max(1, round(visibility_timeout))
        if not _NAME.match(self._name) or parts.path not in ("", "/"):
            raise ConfigError(
                "the queue URL names no SQS queue",
                where=self._where,
                hint="write sqs://QUEUE?region=REGION, the name of letters, digits, - and _",
            )
        boto3 = require("boto3", extra="aws", needed_by="sqs:// URLs")
        self._errors = _failures()
        self._client = self._connect(boto3)
        self._queue_url = ""
        self._lock = threading.Lock()

    @property
    def where(self) -> str:
        """The queue."""
        return self._where

    def send(self, id: str) -> None:
        """Send the id as the body."""
        with self._explained():
            self._client.send_message(QueueUrl=self._url(), MessageBody=check_id(id))

    def receive(self, timeout: float) -> Message | None:
        """Wait for a message; whole seconds in the service, the rest by asking again."""
        return until(time.monotonic() + timeout, self._take)

    def ping(self) -> None:
        """Ask for an attribute of the queue."""
        with self._explained():
            self._client.get_queue_attributes(QueueUrl=self._url(), AttributeNames=["QueueArn"])

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _connect(self, boto3: Any) -> Any:
        config = require("botocore.config", extra="aws", needed_by="sqs:// URLs").Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=LONGEST_WAIT + 5,
            retries={"mode": "standard", "total_max_attempts": 2},
        )
        failures: tuple[type[Exception], ...] = (*_failures(), ValueError)
        region, endpoint = self._options.get("region"), self._options.get("endpoint")
        try:
            return boto3.session.Session().client(
                "sqs", region_name=region, endpoint_url=endpoint, config=config
            )
        except failures as error:
            raise ConfigError(
                f"SQS cannot be used: {error}",
                where=self._where,
                hint="write sqs://QUEUE?region=REGION, or set AWS_REGION",
            ) from error

    def _url(self) -> str:
        with self._lock:
            if not self._queue_url:
                try:
                    found = self._client.get_queue_url(QueueName=self._name)
                except self._client.exceptions.QueueDoesNotExist:
                    found = self._client.create_queue(QueueName=self._name)
                self._queue_url = str(found["QueueUrl"])
            return self._queue_url

    def _take(self, wait: float) -> Message | None:
        with self._explained():
            found = self._client.receive_message(
                QueueUrl=self._url(),
                MaxNumberOfMessages=1,
                WaitTimeSeconds=int(min(LONGEST_WAIT, wait)),
                VisibilityTimeout=self._visibility,
            ).get("Messages", [])
            if not found:
                return None
            raw: dict[str, Any] = found[0]
            if acceptable_id(raw["Body"]) is not None:
                return self._message(raw)
            _LOG.warning("a message that is not a job id was dropped from %s", self.where)
            self._client.delete_message(QueueUrl=self._url(), ReceiptHandle=raw["ReceiptHandle"])
            return None

    def _message(self, raw: dict[str, Any]) -> Message:
        receipt = {"ReceiptHandle": raw["ReceiptHandle"]}
        delete = functools.partial(self._client.delete_message, **receipt)
        show = functools.partial(
            self._client.change_message_visibility, VisibilityTimeout=0, **receipt
        )
        return Message(raw["Body"], lambda: self._settle(delete), lambda: self._settle(show))

    def _settle(self, action: Callable[..., Any]) -> None:
        try:
            action(QueueUrl=self._url())
        except self._errors as error:
            _LOG.warning("queue message not settled, it may come again: %s", error)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise UnavailableError(
                f"the queue does not answer: {error}",
                where=self._where,
                hint="check TABULAR_QUEUE_URL, the credentials and what they allow",
            ) from error


def _failures() -> tuple[type[Exception], ...]:
    exceptions = require("botocore.exceptions", extra="aws", needed_by="sqs:// URLs")
    return (exceptions.BotoCoreError, exceptions.ClientError, OSError)
