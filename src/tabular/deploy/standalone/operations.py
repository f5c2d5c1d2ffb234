"""What every operation of the supervisor needs: a voice, patience, and the record of its steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from tabular.deploy.events import Event, EventStatus, utc_now
from tabular.deploy.standalone import vault
from tabular.deploy.standalone.children import Children
from tabular.deploy.standalone.journal import LineLog, read_as, write_json
from tabular.deploy.standalone.launch import keeper_slot, service_key
from tabular.deploy.standalone.layout import Layout
from tabular.deploy.standalone.model import Operation, Release, Slot, State
from tabular.errors import ApplyError, EngineError, NotFoundError, TabularError, WaitTimeoutError

END = "end"
_INTERVAL = 0.05


class Context:
    """One operation under way.

    Args:
        layout: paths.
        state: the deployment's record.
        children: its processes.
        operation: what to do.
        save: writes the state to the disk.
    """

    def __init__(
        self,
        layout: Layout,
        state: State,
        children: Children,
        operation: Operation,
        save: Callable[[], None],
    ) -> None:
        self.layout = layout
        self.state = state
        self.children = children
        self.operation = operation
        self.save = save
        self._events = LineLog(layout.events(operation.id))
        self._said = {(r.get("resource"), r.get("status")) for r in self._events.records}

    def emit(self, resource: str, kind: str, status: EventStatus, reason: str = "") -> None:
        """Tell the clients; what was told before a supervisor was killed is not told twice."""
        if (resource, status.value) in self._said and resource:
            return
        self._said.add((resource, status.value))
        text = vault.redact(reason, self.layout)
        number = len(self._events.records) + 1
        event = Event(number, utc_now(), resource, kind, status, text)
        self._events.append(event.as_dict())

    def end(self, error: TabularError | None) -> None:
        """Write how the operation ended; the last line of its events."""
        if any(END in record for record in self._events.records):
            return
        record: dict[str, Any] = {END: "failed" if error else "done"}
        if error is not None:
            record |= error.as_dict() | {"kind": _kind(error)}
            record["message"] = vault.redact(error.message, self.layout)
            record["rolled_back"] = getattr(error, "rolled_back", False)
        self._events.append(record)

    def record(self) -> None:
        """Write the operation's progress to the disk."""
        write_json(self.layout.operation_file, asdict(self.operation))

    def current(self) -> Release | None:
        """The release that serves; None before the first, or where its description is lost."""
        name = self.state.current
        return read_as(self.layout.release(name), Release.from_dict) if name else None

    def release(self, name: str) -> Release:
        """A release by id.

        Raises:
            EngineError: its description is gone.
        """
        found = read_as(self.layout.release(name), Release.from_dict)
        if found is None:
            raise EngineError(
                f"the description of release {name} is gone",
                where=str(self.layout.release(name)),
                hint="deploy again",
            )
        return found

    def wait(
        self,
        ready: Callable[[], bool],
        timeout: float,
        what: str,
        on: list[Slot],
        *,
        patient: bool = False,
    ) -> None:
        """Wait, and go on looking after every process meanwhile.

        Args:
            ready: asked again and again.
            timeout: seconds, by the monotonic clock.
            what: what is being waited for, for the message.
            on: slots that must stay alive meanwhile.
            patient: they may die and be started again, short of a crash loop.

        Raises:
            EngineError: one of them ended; with its last lines.
            WaitTimeoutError: with the last lines of the first of them.
        """
        deadline = time.monotonic() + timeout
        while True:
            self.children.tick()
            for slot in on:
                if slot.failing or not (patient or self.children.alive(slot)):
                    raise EngineError(f"{what}: {slot.reason or self.children.reason(slot)}")
            if ready():
                return
            if time.monotonic() >= deadline:
                tail = f"; {self.children.reason(on[0])}" if on else ""
                raise WaitTimeoutError(f"{what}: not within {timeout:g} s{tail}")
            time.sleep(_INTERVAL)

    def run_task(self, slot: Slot, timeout: float) -> None:
        """Run something that ends by itself.

        Raises:
            EngineError: it ended badly.
            WaitTimeoutError: it did not end; it was stopped.
        """
        name = slot.key.split("/")[1]
        self.children.ensure(slot)
        deadline = time.monotonic() + timeout
        while self.children.alive(slot) and time.monotonic() < deadline:
            self.children.tick()
            time.sleep(_INTERVAL)
        late = self.children.alive(slot)
        self.children.tick()
        code = self.children.exits.get(slot.key)
        reason = self.children.reason(slot)
        self.children.stop([slot.key], timeout=5.0)
        if late:
            raise WaitTimeoutError(f"{name} did not end within {timeout:g} s: {reason}")
        if code != 0:
            raise EngineError(f"{name} failed: {reason}")

    def wanted_services(self, release: Release | None) -> set[str]:
        """Slots of the services a release stands on."""
        if release is None:
            return set()
        found = {service_key(r) for r in release.stack.resources if r.properties.get("engine")}
        return found | {keeper_slot(release).key}


_KINDS: tuple[tuple[str, type[TabularError]], ...] = (
    ("apply", ApplyError),
    ("not-found", NotFoundError),
)


def _kind(error: TabularError) -> str:
    return next((name for name, kind in _KINDS if isinstance(error, kind)), "engine")


def error_from(record: dict[str, Any]) -> TabularError:
    """The error that :meth:`Context.end` wrote, as a client raises it."""
    words = {name: record[name] for name in ("where", "hint", "code")}
    if record["kind"] == "apply":
        return ApplyError(record["message"], rolled_back=record["rolled_back"], **words)
    kind = dict(_KINDS).get(record["kind"], EngineError)
    return kind(record["message"], **words)
