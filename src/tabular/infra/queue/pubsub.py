"""Wake-ups through Google Cloud Pub/Sub, over its REST interface (v1).

A queue is a topic with one subscription of the same name. Delivery is at least once, in no
certain order, which is all that a wake-up needs.
"""

from __future__ import annotations

import base64
import binascii
import logging
import re
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from tabular.errors import ConfigError
from tabular.infra.google import google_tokens
from tabular.infra.queue import Message, acceptable_id, check_id
from tabular.infra.queue.rest import ANSWER_TIMEOUT, Caller, endpoint_of, no_token, until
from tabular.infra.urls import options, public

ENDPOINT = "https://pubsub.googleapis.com"
OPTIONS = ("endpoint",)
LONGEST_WAIT = 60.0  # seconds that one call may wait for a message
_DEADLINES = (10, 600)  # seconds that the service allows a message to be held
_SCOPE = "https://www.googleapis.com/auth/pubsub"
_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]\Z")
_NAME = re.compile(r"(?!goog)[A-Za-z][A-Za-z0-9._~+-]{2,254}\Z")
_LOG = logging.getLogger(__name__)


class PubSubQueue:
    """A topic and its subscription, made when they are missing and the credentials allow it.

    Args:
        url: ``gcpubsub://PROJECT/QUEUE[?endpoint=URL]``; credentials come from where Google's
            libraries look for them.
        visibility_timeout: seconds before an unacknowledged message is delivered again, 10 to
            600; another value becomes the nearest. One that somebody else made keeps its own.
    """

    def __init__(self, url: str, *, visibility_timeout: float) -> None:
        parts = urlsplit(url)
        given = options(parts, OPTIONS, what="queue")
        self._where = public(url)
        name = parts.path.removeprefix("/")
        if not _PROJECT.match(parts.netloc) or not _NAME.match(name):
            raise ConfigError(
                "the queue URL names no Pub/Sub queue",
                where=self._where,
                hint="write gcpubsub://PROJECT/QUEUE",
            )
        endpoint, local = endpoint_of(given, ENDPOINT, self._where)
        tokens = (
            no_token if local else google_tokens(_SCOPE, self._where, needed_by="gcpubsub:// URLs")
        )
        self._caller = Caller(endpoint, self._where, tokens)
        self._topic = f"projects/{parts.netloc}/topics/{name}"
        self._subscription = f"projects/{parts.netloc}/subscriptions/{name}"
        low, high = _DEADLINES
        self._deadline = round(min(max(visibility_timeout, low), high))
        self._lock = threading.Lock()
        self._is_there = False

    @property
    def where(self) -> str:
        """The queue."""
        return self._where

    def send(self, id: str) -> None:
        """Publish the id; returns once the service has it."""
        message = {"data": base64.b64encode(check_id(id).encode()).decode()}
        self._found(f"/v1/{self._topic}:publish", {"messages": [message]})

    def receive(self, timeout: float) -> Message | None:
        """Pull one message."""
        return until(time.monotonic() + timeout, self._take)

    def ping(self) -> None:
        """Look whether topic and subscription are there."""
        self._ensure()
        answer = self._caller.ask("GET", f"/v1/{self._subscription}")
        if answer.status_code == 404:
            raise self._missing()

    def close(self) -> None:
        """Close the connections; messages not acknowledged come again."""
        self._caller.close()

    def _ensure(self) -> None:
        """Make what is missing; a subscription has to be there before the first message."""
        with self._lock:
            if self._is_there:
                return
            subscription = {
                "topic": self._topic,
                "ackDeadlineSeconds": self._deadline,
                "expirationPolicy": {},  # never, where the usual is 31 days without a worker
            }
            if self._caller.ask("GET", f"/v1/{self._subscription}").status_code == 404:
                self._caller.ask("PUT", f"/v1/{self._topic}", json={})
                self._caller.ask("PUT", f"/v1/{self._subscription}", json=subscription)
            self._is_there = True

    def _found(self, path: str, body: dict[str, Any], patience: float = ANSWER_TIMEOUT) -> Any:
        self._ensure()
        answer = self._caller.ask("POST", path, json=body, patience=patience)
        if answer.status_code == 404:
            self._is_there = False  # it was deleted: the next call makes it again
            raise self._missing()
        return answer.json()

    def _missing(self) -> Exception:
        return self._caller.unavailable("there is no such topic or subscription")

    def _take(self, wait: float) -> Message | None:
        wait = min(wait, LONGEST_WAIT)
        body: dict[str, Any] = {"maxMessages": 1}
        if wait < 1.0:
            body["returnImmediately"] = True  # the only way not to wait in the service
        path = f"/v1/{self._subscription}:pull"
        found = self._found(path, body, patience=wait + ANSWER_TIMEOUT)
        received = found.get("receivedMessages") or [None]
        return None if received[0] is None else self._message(received[0])

    def _message(self, received: dict[str, Any]) -> Message | None:
        held = {"ackIds": [received["ackId"]]}
        id = acceptable_id(_text(received["message"].get("data", "")))
        if id is None:
            _LOG.warning("a message that is not a job id was dropped from %s", self.where)
            self._settle("acknowledge", held)
            return None
        return Message(
            id,
            lambda: self._settle("acknowledge", held),
            lambda: self._settle("modifyAckDeadline", {**held, "ackDeadlineSeconds": 0}),
        )

    def _settle(self, action: str, body: dict[str, Any]) -> None:
        self._caller.settle("POST", f"/v1/{self._subscription}:{action}", json=body)


def _text(data: str) -> str | None:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
