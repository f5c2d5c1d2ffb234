"""Spans of one trace, whoever records them: OpenTelemetry, a list in a child process, or nobody.

Storage and database code says `subspan` and knows no more. A child process has no network and no
SDK: its spans are data that go home with its answer, where `replay` puts them into the trace.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Protocol, TypedDict, cast

from tabular.errors import TabularError

_TRACEPARENT = re.compile(r"00-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}\Z")

End = Callable[[str | None], None]


class SpanData(TypedDict):
    """A span that has ended, as JSON data; times are nanoseconds since 1970."""

    name: str
    begun: int
    ended: int
    error: str | None
    attributes: dict[str, str]


class Trace(Protocol):
    """Takes the spans below the present one."""

    @property
    def traceparent(self) -> str:
        """The present span, as W3C Trace Context writes it."""

    def start(self, name: str, attributes: Mapping[str, str]) -> End:
        """Begin a span; what is given back ends it, with the kind of an error or None."""

    def replay(self, spans: Sequence[SpanData]) -> None:
        """Add spans that another process recorded."""


_active: ContextVar[Trace | None] = ContextVar("tabular_trace", default=None)


@contextlib.contextmanager
def active(trace: Trace | None) -> Iterator[None]:
    """Let the block's spans go to a trace."""
    token = _active.set(trace)
    try:
        yield
    finally:
        _active.reset(token)


@contextlib.contextmanager
def subspan(name: str, **attributes: str) -> Iterator[None]:
    """Time the block as a span of the present trace; nothing where there is none."""
    trace = _active.get()
    if trace is None:
        yield
        return
    end = trace.start(name, attributes)
    try:
        yield
    except BaseException as error:
        end(error_kind(error))
        raise
    end(None)


def traceparent() -> str | None:
    """The present span for whoever goes on with the trace later."""
    trace = _active.get()
    return trace.traceparent if trace is not None else None


def replay(spans: Sequence[SpanData]) -> None:
    """Put another process's spans into the present trace."""
    trace = _active.get()
    if trace is not None:
        trace.replay(spans)


def error_kind(error: BaseException) -> str:
    """The code of an error, or its class: never a message, which may hold anything."""
    return error.code if isinstance(error, TabularError) else type(error).__name__


def trace_id(parent: str | None) -> str | None:
    """The trace's id in a ``traceparent``; None when it is none."""
    found = _TRACEPARENT.match(parent or "")
    return found["trace"] if found and set(found["trace"]) != {"0"} else None


class Recording:
    """Spans as data.

    Args:
        parent: the ``traceparent`` of what this is part of.
    """

    def __init__(self, parent: str = "") -> None:
        self.traceparent = parent
        self.spans: list[SpanData] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> End:
        """Begin a span."""
        begun = time.time_ns()

        def end(error: str | None) -> None:
            self.spans.append(
                SpanData(
                    name=name,
                    begun=begun,
                    ended=time.time_ns(),
                    error=error,
                    attributes=dict(attributes),
                )
            )

        return end

    def replay(self, spans: Sequence[SpanData]) -> None:
        """Add them as they are."""
        self.spans.extend(spans)


def as_spans(value: Any) -> Sequence[SpanData]:
    """Spans out of a message; those that have not the right shape are left out."""
    wanted = SpanData.__annotations__.keys()
    found = [item for item in value or () if isinstance(item, dict) and item.keys() == wanted]
    return cast("list[SpanData]", found)
