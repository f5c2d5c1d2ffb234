"""Wake-ups through Azure Service Bus, over its REST interface.

A message is locked when it is received (peek-lock), deleted when it is acknowledged, unlocked
when it is given back, and comes again when its lock ends.
"""

from __future__ import annotations

import functools
import json
import logging
import re
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import httpx

from tabular.errors import ConfigError, UnavailableError
from tabular.infra.optional import require
from tabular.infra.queue import Message, acceptable_id, check_id
from tabular.infra.queue.rest import ANSWER_TIMEOUT, Caller, Tokens, endpoint_of, no_token, until
from tabular.infra.urls import options, public

OPTIONS = ("endpoint",)
API = "2017-04"  # of the calls that make a queue
LONGEST_WAIT = 55.0  # seconds that one call may wait for a message; gateways cut it at 60
_LOCKS = (5, 300)  # seconds that the service allows a message to be held
_SCOPE = "https://servicebus.azure.net/.default"
_NAMESPACE = re.compile(r"[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9](\.[A-Za-z0-9.-]+)?\Z")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,258}[A-Za-z0-9])?\Z")
_DESCRIPTION = (
    '<entry xmlns="http://www.w3.org/2005/Atom"><content type="application/xml">'
    '<QueueDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect">'
    "<LockDuration>PT{lock}S</LockDuration><MaxDeliveryCount>2000</MaxDeliveryCount>"
    "</QueueDescription></content></entry>"
)
_LOG = logging.getLogger(__name__)


class ServiceBusQueue:
    """A queue of a namespace, made when it is missing and the identity may manage them.

    Args:
        url: ``azureservicebus://NAMESPACE/QUEUE[?endpoint=URL]``; the identity is found as
            azure-identity does: of the machine, the pod, the environment.
        visibility_timeout: seconds before an unacknowledged message is delivered again, 5 to
            300; another value becomes the nearest. One that somebody else made keeps its own.
    """

    def __init__(self, url: str, *, visibility_timeout: float) -> None:
        parts = urlsplit(url)
        given = options(parts, OPTIONS, what="queue")
        self._where = public(url)
        name = parts.path.removeprefix("/")
        if not _NAMESPACE.match(parts.netloc) or not _NAME.match(name):
            raise ConfigError(
                "the queue URL names no Service Bus queue",
                where=self._where,
                hint="write azureservicebus://NAMESPACE/QUEUE",
            )
        host = parts.netloc if "." in parts.netloc else f"{parts.netloc}.servicebus.windows.net"
        endpoint, local = endpoint_of(given, f"https://{host}", self._where)
        self._caller = Caller(endpoint, self._where, no_token if local else _tokens(self._where))
        self._path = f"/{name}"
        low, high = _LOCKS
        self._hold = round(min(max(visibility_timeout, low), high))
        self._lock = threading.Lock()

    @property
    def where(self) -> str:
        """The queue."""
        return self._where

    def send(self, id: str) -> None:
        """Send the id as the body."""
        self._found(f"{self._path}/messages", content=check_id(id))

    def receive(self, timeout: float) -> Message | None:
        """Lock one message; whole seconds in the service, the rest by asking again."""
        return until(time.monotonic() + timeout, self._take)

    def ping(self) -> None:
        """Look at a message without locking it, which needs the right to receive."""
        answer = self._caller.ask("GET", f"{self._path}/messages/head", params={"timeout": 0})
        if _is_missing(answer):
            self._make()

    def close(self) -> None:
        """Close the connections; messages not acknowledged come again."""
        self._caller.close()

    def _found(self, path: str, patience: float = ANSWER_TIMEOUT, **content: Any) -> httpx.Response:
        ask = functools.partial(self._caller.ask, "POST", path, patience=patience, **content)
        answer = ask()
        if _is_missing(answer):
            self._make()
            answer = ask()
        if _is_missing(answer):
            raise self._caller.unavailable("there is no such queue")
        return answer

    def _make(self) -> None:
        with self._lock:
            self._caller.ask(
                "PUT",
                self._path,
                params={"api-version": API},
                headers={"Content-Type": "application/atom+xml;type=entry;charset=utf-8"},
                content=_DESCRIPTION.format(lock=self._hold),
            )

    def _take(self, wait: float) -> Message | None:
        seconds = int(min(wait, LONGEST_WAIT))
        answer = self._found(
            f"{self._path}/messages/head",
            patience=seconds + ANSWER_TIMEOUT,
            params={"timeout": seconds},
        )
        if answer.status_code != httpx.codes.CREATED:
            return None
        held = self._held(answer)
        id = acceptable_id(answer.text)
        if id is None:
            _LOG.warning("a message that is not a job id was dropped from %s", self.where)
            self._caller.settle("DELETE", held)
            return None
        return Message(
            id,
            lambda: self._caller.settle("DELETE", held),
            lambda: self._caller.settle("PUT", held),
        )

    def _held(self, answer: httpx.Response) -> str:
        """The path of a locked message, made from its properties: a URL might lead elsewhere."""
        try:
            said = json.loads(answer.headers["BrokerProperties"])
            number, token = int(said["SequenceNumber"]), str(said["LockToken"])
        except (KeyError, ValueError, TypeError) as error:
            raise self._caller.unavailable("its answer names no lock") from error
        if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", token):
            raise self._caller.unavailable("its answer names no lock")
        return f"{self._path}/messages/{number}/{token}"


def _is_missing(answer: httpx.Response) -> bool:
    return answer.status_code in (404, 410)


def _tokens(where: str) -> Tokens:
    identity = require("azure.identity", extra="azure", needed_by="azureservicebus:// URLs")
    core = require("azure.core.exceptions", extra="azure", needed_by="azureservicebus:// URLs")
    credential = identity.DefaultAzureCredential()

    def token() -> str:
        try:
            return str(credential.get_token(_SCOPE).token)
        except core.AzureError as error:
            raise UnavailableError(
                f"no Azure identity is found: {type(error).__name__}",
                where=where,
                hint="run with a managed identity, or set AZURE_CLIENT_ID and its companions",
            ) from error

    return token
