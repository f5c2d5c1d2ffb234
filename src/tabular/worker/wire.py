"""What parent and child say to each other: one JSON object a line, and errors as data.

A traceback or an object cannot cross; nothing is unpickled on either side.
"""

from __future__ import annotations

import json
from typing import Any

from tabular import errors
from tabular.errors import TabularError

Task = dict[str, Any]

PROGRESS, DONE, ERROR = "progress", "done", "error"
TIMEOUT = "job.timeout"  # the code of a task that took longer than it may

# Another try cannot help: what was given is wrong, refused, gone or too large.
_FINAL = (
    errors.InputError,
    errors.RefusedError,
    errors.NotFoundError,
    errors.ConflictError,
    errors.AccessError,
    errors.TooLargeError,
)


def encode(message: dict[str, Any]) -> bytes:
    """One line."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The message in a line.

    Raises:
        ValueError: it is not one.
    """
    # PostgreSQL keeps no NUL in text, and one may stand in a cell that an error quotes.
    message = json.loads(line.replace(b"\\u0000", b"\\ufffd"))
    if not isinstance(message, dict):
        raise ValueError("a message is a JSON object")
    return message


def error_to_dict(error: TabularError) -> dict[str, Any]:
    """An error of the tree as data."""
    return {"class": type(error).__name__, **error.as_dict()}


def error_from_dict(data: dict[str, Any]) -> TabularError:
    """The error again, of the same class where that takes nothing but a message."""
    kind = getattr(errors, data["class"], TabularError)
    plain = isinstance(kind, type) and issubclass(kind, TabularError)
    if not plain or kind.__init__ is not TabularError.__init__:
        kind = TabularError
    error: TabularError = kind(
        data["message"], where=data["where"], hint=data["hint"], code=data["code"]
    )
    return error


def is_final(error: TabularError) -> bool:
    """Whether another try cannot help.

    A task that hangs is taken to hang again: tried three times, it would hold a worker for
    three times its limit and tell nobody.
    """
    return isinstance(error, _FINAL) or error.code == TIMEOUT


def is_outage(error: TabularError) -> bool:
    """Whether the store or the database did not answer, which is nothing the job can help.

    A more exact code names what may well be the job's own doing and must count as a try: it
    fills the disk, ends its process, or reads an object that is damaged.
    """
    return isinstance(error, errors.UnavailableError) and error.code == errors.UnavailableError.code
