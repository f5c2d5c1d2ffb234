"""The supervisor's own records as typed data, and their way to and from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tabular.deploy.stack import Resource, Stack

DIRECTORY = "Standalone::Directory"
SECRET = "Standalone::Secret"  # noqa: S105 - the name of a type
PROCESS = "Standalone::Process"
DESCRIPTION = "Standalone::Description"
SERVICES = ("postgresql", "valkey")


@dataclass(frozen=True, slots=True)
class Release:
    """One compiled stack with what binds it to this host.

    Attributes:
        id: unique within the deployment, in order of time.
        stack: what was compiled.
        commands: argument vectors by name: ``api``, ``worker``, ``migrate``, ``create-key`` …
        port: of the API.
        program: code that it was deployed with, "" where that was not written down.
    """

    id: str
    stack: Stack
    commands: Mapping[str, list[str]]
    port: int
    program: str = ""

    def resource(self, name: str) -> Resource:
        """A resource of this release by id."""
        return next(r for r in self.stack.resources if r.id == name)

    def of_type(self, kind: str) -> list[Resource]:
        """Resources of one type, in order."""
        return [r for r in self.stack.resources if r.type == kind]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "id": self.id,
            "stack": self.stack.as_dict(),
            "commands": dict(self.commands),
            "port": self.port,
            "program": self.program,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Release:
        """Read back what :meth:`to_dict` wrote."""
        stack, code = Stack.from_dict(data["stack"]), data.get("program", "")
        return cls(data["id"], stack, data["commands"], data["port"], code)


@dataclass(slots=True)
class Slot:
    """One place in which one process runs, and is started again when it dies.

    Attributes:
        key: ``<owner>/<name>/<index>``; the owner is a release, or ``service``.
        resource: id of the resource it belongs to.
        release: release it was started for.
        task: runs once and ends; never started again.
        detaches: what it leaves in sessions of their own belongs to a container engine, not to us.
        nonce: part of the mark of the present process; new for each start.
        pid: of the present process; None between intent and start, or when it is dead.
        born: identity of that pid, see `identity.birth`.
        port: on which it listens; 0 where it does not.
        probe: port on which this process alone answers; 0 where there is none.
        restarts: starts after a death, since the release went into service.
        reason: why it died last.
        failing: it died several times in a row.
    """

    key: str
    resource: str
    release: str
    task: bool = False
    detaches: bool = False
    nonce: str = ""
    pid: int | None = None
    born: str = ""
    port: int = 0
    probe: int = 0
    restarts: int = 0
    reason: str = ""
    failing: bool = False

    @property
    def component(self) -> str:
        """Name of its log and of its component, e.g. ``api-0``."""
        return "-".join(self.key.split("/")[1:])


@dataclass(slots=True)
class State:
    """What runs, as the supervisor last wrote it.

    Attributes:
        uid: random id of this deployment, part of every process's mark.
        history: ids of releases that served, the present one last.
        sequence: number of releases ever made.
        ports: by owner and name, e.g. ``service/database``.
        slots: by key.
        digests: SHA-256 of each release's description.
        failure: why the last operation failed, "" if it did not.
        updated: when the last operation began or ended, ISO 8601.
        runtime: ``process`` or ``container``; containers need no supervisor between operations.
        program: version of the supervisor's code.
        pid: of the supervisor.
        born: what tells it from another process with that pid.
        place: the state folder it was written in; another one tells of a move or a copy.
    """

    uid: str
    history: list[str] = field(default_factory=list)
    sequence: int = 0
    ports: dict[str, int] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    failure: str = ""
    updated: str = ""
    runtime: str = "process"
    program: str = ""
    pid: int = 0
    born: str = ""
    place: str = ""

    @property
    def current(self) -> str | None:
        """The release that serves."""
        return self.history[-1] if self.history else None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> State:
        """Read back what ``asdict`` wrote."""
        slots = {key: Slot(**slot) for key, slot in data["slots"].items()}
        return cls(**{**data, "slots": slots})


@dataclass(slots=True)
class Operation:
    """An apply, rollback or destroy, handed in by a client and carried out by the supervisor.

    Attributes:
        id: of the operation and of its event file.
        kind: ``apply``, ``rollback`` or ``destroy``.
        target: what it acts on.
        stack: what to apply; empty otherwise.
        changes: action by resource id, from the plan.
        commands: argument vectors by name.
        delete_data: destroy the data stores too.
        ready_timeout: seconds a new release may take to get ready.
        release: id of the release being made or put back; "" before it has one.
        created: resources this operation made, to be undone if it fails.
        attempts: how often a supervisor began it; more than one after a kill.
        undoing: why it failed, from the moment its taking back begins; it only goes back then.
        committed: the new release serves; from here the operation only goes forward.
        done: it ended; how is in the last line of its events.
    """

    id: str
    kind: str
    target: dict[str, Any]
    stack: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, str] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)
    delete_data: bool = False
    ready_timeout: float = 60.0
    release: str = ""
    created: list[str] = field(default_factory=list)
    attempts: int = 0
    undoing: dict[str, str | None] = field(default_factory=dict)
    committed: bool = False
    done: bool = False

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Operation:
        """Read back what ``asdict`` wrote."""
        return cls(**data)
