"""Logs as one JSON object a line, with the ids that join them and without secrets.

Redaction stands in the formatter, the last place before the bytes leave the process, because a
secret reaches a log through somebody else's exception text as often as through our own.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TextIO

from tabular.infra.urls import PUBLIC_HINTS, public

_context: ContextVar[Mapping[str, str]] = ContextVar(
    "tabular_log_context", default=MappingProxyType({})
)

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_MASK = "***"
_SENSITIVE = r"(?:password|passwd|secret|token|api[_-]?key|authorization|access[_-]?key|signature)"
_SECRET_NAME = re.compile(_SENSITIVE, re.IGNORECASE)
_PATTERNS = (  # bounded repetitions, as in `urls`
    re.compile(r"(?i)\b(?P<keep>(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(
        rf"(?i)(?P<keep>{_SENSITIVE}[\w-]{{0,40}}[\"']?\s{{0,8}}[=:]\s{{0,8}}[\"']?)"
        r"(?!(?:bearer|basic)\b)"
        r"[^\s\"',;&}]+"
    ),
    re.compile(r"(?P<keep>)\bAKIA[A-Z0-9]{16}\b"),
    # Our own API keys and sessions; the id may be seen.
    re.compile(r"\b(?P<keep>if[ts]\.[\w-]{1,64}\.)[\w-]{8,}"),
    re.compile(r"\b(?P<keep>eyJ)[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),  # JWT
)

# Each pattern needs one of these words, and a look for them costs a tenth of the patterns. Two
# lines are written for every request, so the patterns run only where there is something to find.
_HINTS = (
    *PUBLIC_HINTS, "bearer", "basic", "passwd", "apikey", "api_key", "api-key", "authorization",
    "accesskey", "access-key", "akia", "ift.", "ifs.", "eyj",
)  # fmt: skip
_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode
_encode_plain = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode  # refuses the rest


def may_hold_secret(text: str) -> bool:
    """Whether `mask` might find something; False only where it would not."""
    folded = text.casefold()
    if not text.isascii():  # the patterns take these two for an i, and folding does not
        folded = folded.replace("i\u0307", "i").replace("\u0131", "i")
    return any(map(folded.__contains__, _HINTS))


def mask(text: str) -> str:
    """The text with what looks like a secret replaced by ``***``."""
    text = public(text)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<keep>{_MASK}", text)
    return text


@lru_cache(maxsize=4096)
def _names_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


class Redactor:
    """Takes secrets out of text: known values first, then what looks like one.

    Args:
        secrets: values that must never appear; those under 6 characters are ignored, since
            masking them would mask ordinary words.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        values = sorted({value for value in secrets if len(value) >= 6}, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, values))) if values else None
        self._in_json = [_encode(value)[1:-1] for value in values]

    def text(self, text: str) -> str:
        """The text with secrets replaced by ``***``."""
        if self._values is not None:
            text = self._values.sub(_MASK, text)
        return mask(text) if may_hold_secret(text) else text

    def finds_nothing(self, line: str) -> bool:
        """Whether there is nothing to take out of any name or value of some JSON.

        JSON writes character by character, so what stands in a value stands in its JSON too.
        """
        return not (any(map(line.__contains__, self._in_json)) or may_hold_secret(line))

    def value(self, name: str, value: Any) -> Any:
        """A field's value: masked whole when its name says that it is a secret."""
        if _names_secret(name):
            return _MASK
        if isinstance(value, Mapping):
            return {str(key): self.value(str(key), item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value("", item) for item in value]
        if value is None or isinstance(value, (bool, int)):
            return value
        if isinstance(value, float) and math.isfinite(value):
            return value  # JSON knows no other
        return self.text(value if isinstance(value, str) else str(value))


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: time, level, logger, message, ids, extra fields, error."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a line break in it."""
        created = datetime.fromtimestamp(record.created, UTC)
        own: dict[str, Any] = {
            "time": created.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        ids = _context.get()
        extra = {
            name: value
            for name, value in record.__dict__.items()
            if name not in _STANDARD and name not in own and name not in ids
        }
        if record.exc_info:
            extra["error"] = self.formatException(record.exc_info)
        if record.stack_info:
            extra["stack"] = record.stack_info
        # One look at the whole line: field by field, it costs more than all else of a line.
        with contextlib.suppress(TypeError, ValueError):
            line = _encode_plain({**own, **ids, **extra})
            if self._redactor.finds_nothing(line):
                return line
        own["message"] = self._redactor.text(own["message"])
        redacted = {name: self._redactor.value(name, value) for name, value in extra.items()}
        return _encode({**own, **ids, **redacted})


def configure_logging(
    level: str = "INFO", *, secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Send every log of this process, libraries' included, to one stream as JSON lines.

    Args:
        level: least severe level that is written.
        secrets: values to mask; `Settings.secret_values` gives the service's own.
        stream: where to; standard error by default.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(Redactor(secrets)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def log_uncaught() -> None:
    """Have what ends this process or a thread of it logged like anything else, and redacted."""

    def uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        logging.getLogger(__name__).critical("uncaught error", exc_info=(kind, error, trace))

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            uncaught(args.exc_type, args.exc_value, args.exc_traceback)

    sys.excepthook, threading.excepthook = uncaught, in_thread


def logged_ids() -> dict[str, str]:
    """The ids that every log has just now, for another process that goes on with the work."""
    return dict(_context.get())


@contextlib.contextmanager
def log_context(**ids: str) -> Iterator[None]:
    """Add ids such as ``request_id`` and ``job_id`` to every log within the block."""
    token = _context.set({**_context.get(), **ids})
    try:
        yield
    finally:
        _context.reset(token)
