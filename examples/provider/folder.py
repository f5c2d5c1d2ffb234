"""A whole provider in two hundred lines: it "deploys" the platform as files in a folder.

It shows the shape of every provider: a compiler that is a plain function, an engine that keeps its
own state at the place it deploys to, and a table of what it can give.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from tabular.deploy.capability import CapabilityTable, native, require_supported, unsupported
from tabular.deploy.events import Event, EventStatus
from tabular.deploy.plan import Plan, diff_properties, diff_resources
from tabular.deploy.provider import Check, Drift, LogLine, ResourceStatus, State, Status
from tabular.deploy.spec import Deployment, asked, canonical
from tabular.deploy.stack import Resource, Stack, canonical_json, fingerprint
from tabular.deploy.target import Target
from tabular.errors import ApplyError, BusyError, NotFoundError, StalePlanError, UnsupportedError


class FolderProvider:
    """Compiles to files; `root` is the place."""

    name = "folder"
    prices = None
    capabilities: ClassVar[CapabilityTable] = {
        "compute.instances": native("a number in the file"),
        "image": native("the file's name"),
        "storage.size": native("a number in the file"),
        "compute.gpu": unsupported("files have no GPU; leave it out"),
    }

    def __init__(self, root: Path) -> None:
        self.engine = FolderEngine(root)

    def target(self, deployment: Deployment) -> Target:
        """One folder for each environment and name."""
        return Target("folder", deployment.metadata.name, deployment.spec.environment)

    def compile(self, deployment: Deployment) -> Stack:
        """Two resources: the service, and a data store."""
        require_supported(self.name, self.capabilities, asked(deployment))
        spec = deployment.spec
        tag = spec.image.tag if spec.image and spec.image.tag else "built-in"
        api = {"instances": spec.compute.instances, "version": tag}
        data = Resource("data", "Folder::Data", {"size": spec.storage.size}, stateful=True)
        resources = (data, Resource("api", "Folder::Service", api, depends_on=("data",)))
        template = {r.id: {"type": r.type, "properties": dict(r.properties)} for r in resources}
        return Stack(self.target(deployment), template, resources, canonical(deployment))

    def doctor(self) -> Iterator[Check]:
        """Whether the folder can be written to."""
        yield Check("folder", self.engine.root.is_dir(), str(self.engine.root), "create it")


class FolderEngine:
    """State is `stack.json`, an apply under way `journal.json`, each resource a file."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def preview(self, stack: Stack) -> Plan:
        """Compare with what `stack.json` says is there."""
        now = self._load(stack.target, "stack.json")
        running = [_resource(id_, data) for id_, data in now.get("template", {}).items()]
        return Plan(stack, diff_resources(running, stack.resources), basis=fingerprint(now))

    def apply(self, plan: Plan) -> Iterator[Event]:
        """Journal first, then do it; an apply found in the journal is ended first."""
        target, stack = plan.stack.target, plan.stack
        with self._lock(target):
            now = self._load(target, "stack.json")
            if self._load(target, "journal.json") or fingerprint(now) != plan.basis:
                raise StalePlanError(f"{target} changed since the plan was made", hint="plan again")
            if plan.is_empty:
                return
            release = {"template": stack.template, "spec": stack.spec, "id": stack.fingerprint[:12]}
            self._save(target, "journal.json", {**release, "previous": now})
            yield from self._carry_out(target)

    def attach(self, target: Target) -> Iterator[Event]:
        """Go on with what a killed client left in the journal."""
        with self._lock(target):
            if self._load(target, "journal.json"):
                yield from self._carry_out(target)

    def _carry_out(self, target: Target) -> Iterator[Event]:
        wanted = self._load(target, "journal.json")
        number = 0
        try:
            for number, id_ in enumerate(wanted["template"], 1):
                yield _event(number * 2 - 1, id_, EventStatus.IN_PROGRESS)
                self._write_resource(target, id_, wanted["template"][id_])
                yield _event(number * 2, id_, EventStatus.COMPLETE)
        except OSError as error:
            for id_, resource in wanted["previous"].get("template", {}).items():
                self._write_resource(target, id_, resource)
            self._path(target, "journal.json").unlink()
            yield _event(number * 2, "", EventStatus.ROLLED_BACK, error.strerror or "")
            raise ApplyError(f"{target}: {error.strerror}", rolled_back=True) from error
        self._save(target, "stack.json", wanted)
        self._path(target, "journal.json").unlink()
        yield _event(number * 2 + 1, "", EventStatus.COMPLETE)

    def status(self, target: Target) -> Status:
        """What `stack.json` and the files say."""
        now, next_ = self._load(target, "stack.json"), self._load(target, "journal.json")
        found = self._resources(target)
        if not (now or next_ or found):
            raise NotFoundError(f"nothing is deployed at {target}")
        missing = set(now.get("template", {})) - set(found)
        running = State.DEGRADED if missing else State.READY
        state = State.APPLYING if next_ else running if now else State.RETAINED
        shown = tuple(ResourceStatus(i, d["type"], "there") for i, d in sorted(found.items()))
        when = datetime.fromtimestamp(self._folder(target).stat().st_mtime, UTC)
        return Status(target, state, now.get("id", ""), when, (now or next_).get("spec", {}), shown)

    def list(self) -> tuple[Status, ...]:
        """Every folder that holds something."""
        own = ("resource.*.json", "stack.json", "journal.json")
        folders = sorted({path.parent for name in own for path in self.root.glob(f"*/*/{name}")})
        targets = (Target("folder", path.name, path.parent.name) for path in folders)
        return tuple(self.status(target) for target in targets)

    def drift(self, target: Target) -> tuple[Drift, ...]:
        """Compare each file with what was applied."""
        applied, found = self._load(target, "stack.json")["template"], self._resources(target)
        return tuple(
            Drift(id_, data["type"], diff_properties(data, found.get(id_, {})), id_ not in found)
            for id_, data in applied.items()
            if found.get(id_) != data
        )

    def rollback(self, target: Target) -> Iterator[Event]:
        """Apply what `stack.json` remembers as the release before."""
        with self._lock(target):
            now = self._load(target, "stack.json")
            if not now.get("previous"):
                raise NotFoundError(f"{target} has no release before this one")
            self._save(target, "journal.json", {**now["previous"], "previous": now})
            yield from self._carry_out(target)

    def destroy(self, target: Target, *, delete_data: bool) -> Iterator[Event]:
        """Remove own files; the data store only if asked."""
        with self._lock(target):
            found = sorted(self._resources(target).items())
            for number, (id_, resource) in enumerate(found, 1):
                keep = resource["type"] == "Folder::Data" and not delete_data
                if not keep:
                    self._remove(target, id_)
                yield _event(number, id_, EventStatus.KEPT if keep else EventStatus.COMPLETE)
            for name in ("stack.json", "journal.json"):
                self._path(target, name).unlink(missing_ok=True)

    def logs(self, target: Target, *, follow: bool, tail: int) -> Iterator[LogLine]:
        """Files write no logs."""
        return iter(())

    def issue_api_key(self, target: Target, name: str, *, only_first: bool) -> str | None:
        """Nothing runs that could take a key."""
        raise UnsupportedError("files take no requests, so there is no key to make")

    @contextmanager
    def _lock(self, target: Target) -> Iterator[None]:
        self._folder(target).mkdir(parents=True, exist_ok=True)
        with self._path(target, ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError(f"another apply runs at {target}", hint="try again") from error
            yield

    def _folder(self, target: Target) -> Path:
        return self.root / target.environment / target.name

    def _path(self, target: Target, name: str) -> Path:
        return self._folder(target) / name

    def _load(self, target: Target, name: str) -> dict[str, Any]:
        path = self._path(target, name)
        return json.loads(path.read_bytes()) if path.exists() else {}

    def _save(self, target: Target, name: str, data: Mapping[str, Any]) -> None:
        new = self._path(target, f".{name}.new")
        new.write_bytes(canonical_json(data))
        new.replace(self._path(target, name))

    def _write_resource(self, target: Target, id_: str, resource: Mapping[str, Any]) -> None:
        version = resource["properties"].get("version", "1")
        name = f"resource.{id_}.{version}.json"
        self._save(target, name, resource)
        for old in self._folder(target).glob(f"resource.{id_}.*.json"):
            if old.name != name:
                old.unlink()

    def _resources(self, target: Target) -> dict[str, Any]:
        files = self._folder(target).glob("resource.*.json")
        return {path.name.split(".")[1]: json.loads(path.read_bytes()) for path in files}

    def _remove(self, target: Target, id_: str) -> None:
        for path in self._folder(target).glob(f"resource.{id_}.*.json"):
            path.unlink()


def _resource(id_: str, data: Mapping[str, Any]) -> Resource:
    return Resource(id_, data["type"], data["properties"], stateful=data["type"] == "Folder::Data")


def _event(number: int, resource: str, status: EventStatus, reason: str = "") -> Event:
    return Event(number, datetime.now(UTC), resource, "Folder", status, reason)
