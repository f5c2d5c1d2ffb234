"""``python -m tabular.worker.function``: orders as AWS Lambda hands them over.

Lambda speaks HTTP with whatever runs in its container: one asks for the next event, does it, and
answers. That is all there is to a runtime, so none is depended upon. Source: "Using the Lambda
runtime API for custom runtimes" in the developer guide of AWS Lambda.

Each order is done by a process of its own. One that dies, or that takes too long, takes nobody
along, and somebody is left to say so in the results.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tabular.errors import InputError, TabularError, UnavailableError
from tabular.infra.config import load_settings
from tabular.infra.logs import configure_logging, log_uncaught
from tabular.infra.storage.backend import Backend
from tabular.infra.storage.plain import open_plain
from tabular.worker import orders
from tabular.worker.partition import AGAIN, FINAL
from tabular.worker.wire import TIMEOUT

COMMAND = (sys.executable, "-m", "tabular.worker.partition", "all")
_VERSION = "/2018-06-01/runtime"
_SPARE = 10.0  # seconds before its end in which the function still has something to say
_LOG = logging.getLogger(__name__)

Clock = Callable[[], float]


class Runtime:
    """The side of the function.

    Args:
        address: of Lambda's side, ``HOST:PORT``.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def next(self) -> tuple[str, float, dict[str, Any]]:
        """Wait for an event, however long; its request, the time of its end, and itself."""
        status, headers, body = self._ask("GET", "/invocation/next")
        if status != http.HTTPStatus.OK:
            raise UnavailableError(f"Lambda answers {status}", where=self._address)
        deadline = int(headers["Lambda-Runtime-Deadline-Ms"]) / 1000
        event = json.loads(body)
        return headers["Lambda-Runtime-Aws-Request-Id"], deadline, event

    def answer(self, request: str, document: Mapping[str, Any]) -> None:
        """The event is done."""
        self._ask("POST", f"/invocation/{request}/response", document)

    def fail(self, request: str | None, error: Exception) -> None:
        """The event is not done, and may be tried again; None: no event can be done at all."""
        path = "/init/error" if request is None else f"/invocation/{request}/error"
        kind = type(error).__name__
        self._ask("POST", path, {"errorMessage": str(error), "errorType": kind}, kind)

    def _ask(
        self, method: str, path: str, document: Mapping[str, Any] | None = None, kind: str = ""
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        # Without a limit of time: the function is frozen until the next event.
        connection = http.client.HTTPConnection(self._address)
        headers = {"Lambda-Runtime-Function-Error-Type": kind} if kind else {}
        body = None if document is None else json.dumps(document).encode()
        try:
            connection.request(method, _VERSION + path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


def handle(
    event: Mapping[str, Any],
    blobs: Backend,
    prefix: str,
    seconds: float,
    command: Sequence[str] = COMMAND,
) -> dict[str, Any]:
    """Do the order that an event of EventBridge tells of.

    Args:
        event: ``Object Created`` of S3.
        blobs: the bucket.
        prefix: of all that is ours in the bucket, with its last slash.
        seconds: that it may take.
        command: what does an order.

    Returns:
        The order, and how it ended.

    Raises:
        UnavailableError: another try may help.
    """
    key = str(event.get("detail", {}).get("object", {}).get("key", ""))
    order = key.removeprefix(prefix)
    try:
        orders.name_of(order)
    except InputError as error:
        _LOG.warning("not an order: %s", error)
        return {"order": key, "status": "ignored"}
    try:
        code = subprocess.run([*command, order], timeout=seconds, check=False).returncode
    except subprocess.TimeoutExpired:
        return _given_up(blobs, order, _too_long(seconds))
    if code == AGAIN:
        raise UnavailableError("the order could not be done now; see the log", where=order)
    if code < 0 or code not in (0, FINAL):
        return _given_up(blobs, order, _died(code))
    return {"order": order, "status": "failed" if code else "succeeded"}


def _given_up(blobs: Backend, order: str, error: TabularError) -> dict[str, Any]:
    orders.fail(blobs, order, error)
    return {"order": order, "status": "failed"}


def _too_long(seconds: float) -> TabularError:
    return TabularError(
        f"not done after {seconds:.0f} s",
        hint="order fewer rows, or deploy with compute.type: batch",
        code=TIMEOUT,
    )


def _died(code: int) -> TabularError:
    return TabularError(
        f"the process that did the work ended with {code}",
        hint="it may have run out of memory: raise compute.memory",
        code="job.crashed",
    )


def serve(runtime: Runtime, blobs: Backend, prefix: str, clock: Clock = time.time) -> None:
    """Do orders until Lambda ends us.

    Raises:
        UnavailableError: Lambda's side answers nonsense.
    """
    while True:
        request, deadline, event = runtime.next()
        try:
            done = handle(event, blobs, prefix, max(1.0, deadline - clock() - _SPARE))
        except TabularError as error:
            _LOG.warning("%s", error)
            runtime.fail(request, error)
            continue
        _LOG.info("%s %s", done["order"], done["status"])
        runtime.answer(request, done)


def main(environ: Mapping[str, str] = os.environ) -> int:
    """The exit code: 1, whenever it ends."""
    runtime = Runtime(environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        settings = load_settings(environ)
        configure_logging(settings.log_level, secrets=settings.secret_values())
        log_uncaught()
        blobs = open_plain(settings.storage_url)
    except TabularError as error:
        print(f"error: {error}", file=sys.stderr)
        runtime.fail(None, error)
        return 1
    serve(runtime, blobs, _prefix(settings.storage_url))
    return 1


def _prefix(url: str) -> str:
    path = url.partition("://")[2].partition("?")[0].partition("/")[2].strip("/")
    return f"{path}/" if path else ""


if __name__ == "__main__":
    sys.exit(main())
