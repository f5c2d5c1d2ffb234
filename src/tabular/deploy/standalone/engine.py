"""The engine of this machine, as a client sees it: it reads the record and asks the supervisor."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from tabular.deploy.answers import (
    no_release_before,
    nothing_at,
    require_fresh,
    require_same,
)
from tabular.deploy.events import Event, utc_now
from tabular.deploy.image.code import Code
from tabular.deploy.plan import Action, Change, Plan, PropertyChange, diff_resources
from tabular.deploy.programs import run
from tabular.deploy.provider import Drift, LogLine, State, Status
from tabular.deploy.stack import Resource, Stack, fingerprint
from tabular.deploy.standalone import (
    cache,
    code,
    data_access,
    logs,
    observe,
    postgres,
    requests,
    revival,
    vault,
)
from tabular.deploy.standalone.container_steps import container_logs, find_commands, is_container
from tabular.deploy.standalone.journal import is_locked
from tabular.deploy.standalone.launch import environment
from tabular.deploy.standalone.layout import Home, Layout
from tabular.deploy.standalone.model import DESCRIPTION, Operation, Release
from tabular.deploy.standalone.model import State as Record
from tabular.deploy.standalone.ports import require_free
from tabular.deploy.target import Target
from tabular.errors import ConflictError, EngineError, NotFoundError
from tabular.infra.config import Settings

KEY_TIMEOUT = 60.0
_LOOKS = 3


class ProcessEngine:
    """Drives the supervisors of this machine.

    Args:
        home: the folders.
        commands: argument vectors of the platform's own processes: ``api``, ``worker``,
            ``migrate``, ``create-key``.
        package: what a release is given a copy of, so that it starts from it for life.
        ready_timeout: seconds a new release may take to get ready.
        key_timeout: seconds the platform may take to make a key.
    """

    def __init__(
        self,
        home: Home,
        commands: Mapping[str, list[str]],
        package: Code,
        *,
        ready_timeout: float = 60.0,
        key_timeout: float = KEY_TIMEOUT,
    ) -> None:
        self._home = home
        self._commands = {name: list(argv) for name, argv in commands.items()}
        self._package = package
        self._ready_timeout = ready_timeout
        self._key_timeout = key_timeout

    def preview(self, stack: Stack) -> Plan:
        """Compare a stack with what runs; touches nothing.

        Raises:
            PreflightError: this machine lacks something the stack needs.
        """
        layout = self._home.of(stack.target)
        record, release = self._look(layout)
        self._preflight(stack, release)
        layout.require_writable()
        running = self._running(layout, record, release)
        return Plan(stack, diff_resources(running, stack.resources), self._basis(layout))

    def apply(self, plan: Plan) -> Iterator[Event]:
        """Hand the plan to the supervisor; see the contract."""
        target = plan.stack.target
        layout = self._home.of(target)
        if plan.is_empty:
            self._require_fresh(layout, plan)
            return iter(())
        operation = Operation(
            requests.new_id(),
            "apply",
            asdict(target),
            stack=plan.stack.as_dict(),
            changes={change.resource: change.action.value for change in plan.changes},
            commands=_all_commands(self._commands, plan.stack),
            ready_timeout=self._ready_timeout,
        )

        def check() -> None:
            self._require_fresh(layout, plan)
            if wanted := code.code_of(plan.stack):
                code.keep(layout, self._package, wanted)

        return requests.submit(layout, operation, check)

    def attach(self, target: Target) -> Iterator[Event]:
        """Events of the operation that runs there, or of the last one."""
        layout = self._home.of(target)
        operation = requests.read_operation(layout)
        if operation is None:
            raise nothing_at(target)
        if not operation.done:
            requests.ensure_supervisor(layout)
        return requests.follow(layout, operation)

    def status(self, target: Target) -> Status:
        """What runs there, asked of the processes themselves.

        What a reboot or a kill ended is started again first, and that is told.
        """
        layout = self._home.of(target)
        record, _ = self._look(layout)
        operation = requests.read_operation(layout)
        gone = operation is None or (operation.kind == "destroy" and operation.done)
        if gone and not (record and (record.failure or record.history)):
            left = observe.retained(layout, target)
            if left is None:
                raise nothing_at(target)
            return left
        busy = operation if operation and not operation.done else None

        def look() -> Status:
            now = requests.read_state(layout) or Record(uid="", updated=utc_now().isoformat())
            release = observe.read_release(layout, now.current)
            return observe.status(layout, target, now, release, busy)

        if not busy and not (record and record.history and record.runtime == "process"):
            return look()
        for _ in range(_LOOKS):
            down = self._kept_up(layout, busy)
            found = revival.wait(look, lambda: self._is_failing(layout)) if down else look()
            if busy or is_locked(layout.supervisor_lock) or not layout.state.exists():
                break  # else the supervisor was just dying when it was taken for alive
        return replace(found, detail="; ".join(text for text in (down, found.detail) if text))

    @staticmethod
    def _kept_up(layout: Layout, busy: Operation | None) -> str:
        """Have a supervisor look after it; what to tell of the time without one."""
        record = requests.outlasted(layout, requests.read_state(layout))
        down = revival.outage(layout, record) if record and not busy else ""
        requests.ensure_supervisor(layout)
        return down

    @staticmethod
    def _is_failing(layout: Layout) -> bool:
        record = requests.read_state(layout)
        return record is None or any(slot.failing for slot in record.slots.values())

    def list(self) -> tuple[Status, ...]:
        """All deployments of this user on this machine."""
        found = []
        for target in self._home.targets():
            try:
                found.append(self.status(target))
            except NotFoundError:
                # It was destroyed while we looked.
                continue
            except EngineError as error:
                # One damaged deployment must not hide the others.
                found.append(Status(target, State.DEGRADED, "", utc_now(), {}, detail=str(error)))
        return tuple(found)

    def drift(self, target: Target) -> tuple[Drift, ...]:
        """Differences between what was applied and what is there."""
        layout = self._home.of(target)
        record, release = self._require(layout, target)
        return tuple(observe.drift(layout, record, release))

    def preview_rollback(self, target: Target) -> Plan:
        """What would change with the release before; touches nothing.

        Raises:
            NotFoundError: nothing is deployed there, or there is no release before.
            EngineError: its description or its code is gone.
        """
        layout = self._home.of(target)
        record, release = self._look(layout)
        if record is None or not record.history:
            raise nothing_at(target)
        if len(record.history) < 2:
            raise no_release_before(target)
        before = observe.read_release(layout, record.history[-2])
        if before is None:
            raise EngineError(
                f"the description of release {record.history[-2]} is gone",
                where=target.id,
                hint="deploy the spec you want",
            )
        if not is_container(before):
            code.variables(layout, before, {})
        running = self._running(layout, record, release)
        changes = diff_resources(running, before.stack.resources)
        return Plan(before.stack, _with_release(changes, record), self._basis(layout))

    def rollback(self, plan: Plan) -> Iterator[Event]:
        """Put the release before the present one back into service; see the contract."""
        target = plan.stack.target
        layout = self._home.of(target)
        self._require(layout, target)
        operation = Operation(
            requests.new_id(), "rollback", asdict(target), ready_timeout=self._ready_timeout
        )
        same = partial(self.preview_rollback, target)
        return requests.submit(layout, operation, lambda: require_same(plan, same()))

    def destroy(self, target: Target, *, delete_data: bool) -> Iterator[Event]:
        """Remove what the deployment owns, and only that."""
        layout = self._home.of(target)
        if not layout.state.exists() and not (delete_data and layout.data.exists()):
            return iter(())
        operation = Operation(requests.new_id(), "destroy", asdict(target), delete_data=delete_data)
        return requests.submit(layout, operation, lambda: None)

    def logs(self, target: Target, *, follow: bool, tail: int) -> Iterator[LogLine]:
        """Lines of each component's log.

        Raises:
            NotFoundError: nothing is deployed, or not any more: the end of following.
            EngineError: its containers ended or were replaced while they were followed.
        """
        layout = self._home.of(target)
        if not layout.state.exists():
            raise nothing_at(target)
        _, release = self._look(layout)
        if release is not None and is_container(release):
            lines = container_logs(release, follow=follow, tail=tail)
        else:
            lines = logs.read(layout, follow=follow, tail=tail)
        return _followed(lines, layout, target) if follow else lines

    def issue_api_key(self, target: Target, name: str, *, only_first: bool) -> str | None:
        """Have the platform make an administrator's key; the key is only returned.

        Raises:
            EngineError: the platform did not, or not in time.
        """
        layout = self._home.of(target)
        record, release = self._require_release(layout, target)
        command, variables = _in_platform(layout, record, release, "create-key")
        done = run(
            [*command, "--name", name, "--scopes", "admin", "--json",
             *(["--if-none"] if only_first else [])],
            what="making a key", timeout=self._key_timeout, env=variables,
            cwd=layout.state / "run",
            hint="`inferloop-tabular status` shows what does not answer; then "
            "`inferloop-tabular keys create`",
        )  # fmt: skip
        try:
            key = json.loads(done.stdout)["key"]
        except (ValueError, KeyError, TypeError):
            # The exception would carry the output, and with it perhaps a key.
            key = ""
        if done.returncode != 0 or not (key or (key is None and only_first)):
            said = vault.redact(done.stderr.strip()[-600:], layout)
            raise EngineError(
                f"the platform made no key: {said or 'no reason given'}",
                hint="`inferloop-tabular logs` shows more",
                code="engine.no-key",
            )
        return None if key is None else str(key)

    def service_settings(self, target: Target) -> Settings:
        """The settings of the platform there; see `data_access`."""
        layout = self._home.of(target)
        record, release = self._require_release(layout, target)
        return data_access.service_settings(layout, release, record)

    def adopt_secret_key(self, target: Target, secret: str) -> None:
        """Give the platform another secret key; see `data_access`."""
        layout = self._home.of(target)
        record, release = self._require_release(layout, target)
        data_access.adopt_secret_key(layout, release, record, secret, timeout=self._ready_timeout)

    def _look(self, layout: Layout) -> tuple[Record | None, Release | None]:
        record = requests.read_state(layout)
        return record, observe.read_release(layout, record.current) if record else None

    def _require(self, layout: Layout, target: Target) -> tuple[Record, Release | None]:
        record, release = self._look(layout)
        if record is None or not record.history:
            raise nothing_at(target)
        if record.runtime == "process":
            requests.ensure_supervisor(layout)
        return record, release

    def _require_release(self, layout: Layout, target: Target) -> tuple[Record, Release]:
        record, release = self._require(layout, target)
        if release is None:
            raise EngineError(
                f"the description of release {record.current} is gone", hint="deploy again"
            )
        return record, release

    def _running(
        self, layout: Layout, record: Record | None, release: Release | None
    ) -> tuple[Resource, ...]:
        if record is None or release is None:
            return observe.retained_resources(layout)
        wrong = observe.code_problem(layout, release)
        return tuple(
            self._as_found(layout, release, resource, wrong)
            for resource in release.stack.resources
            if observe.is_present(layout, release, resource, record)
        )

    @staticmethod
    def _as_found(
        layout: Layout, release: Release, resource: Resource, wrong_code: str | None
    ) -> Resource:
        """The resource as it is now, so that applying again mends what was changed by hand."""
        if wrong_code and "code" in resource.properties:
            return replace(resource, properties={**resource.properties, "code": wrong_code})
        if resource.type != "Standalone::Secret":
            return resource
        wrong = vault.problem(vault.secret_path(layout, resource, release.id))
        if wrong is None:
            return resource
        return replace(resource, properties={**resource.properties, "mode": wrong})

    def _basis(self, layout: Layout) -> str:
        record, release = self._look(layout)
        operation = requests.read_operation(layout)
        running = self._running(layout, record, release)
        return fingerprint(
            {
                "release": release.id if release else None,
                "resources": [[r.id, dict(r.properties)] for r in running],
                "operation": operation.id if operation else None,
            }
        )

    def _require_fresh(self, layout: Layout, plan: Plan) -> None:
        require_fresh(plan, self._basis(layout))

    def _preflight(self, stack: Stack, release: Release | None) -> None:
        runtime = stack.template["runtime"]
        if release is not None and release.stack.template["runtime"] != runtime:
            raise ConflictError(
                f"it runs as {release.stack.template['runtime']}, which cannot become {runtime}",
                where=stack.target.id,
                hint="destroy it first, or deploy under another name; data does not move along",
                code="conflict.runtime",
            )
        if runtime == "container":
            find_commands()
        engines = {r.properties.get("engine") for r in stack.resources}
        if "postgresql" in engines:
            postgres.EXTRA.require()
        if "valkey" in engines:
            cache.EXTRA.require()
        port = stack.template["resources"]["api"]["Properties"]["port"]
        if port and (release is None or release.port != port):
            require_free(port)


def _followed(lines: Iterator[LogLine], layout: Layout, target: Target) -> Iterator[LogLine]:
    """The lines, and at their end the reason why there are no more."""
    yield from lines
    if not layout.state.exists():
        raise NotFoundError(
            "its logs end here: the deployment was destroyed",
            where=target.id,
            hint="`inferloop-tabular list` shows what runs",
            code="not-found.destroyed",
        )
    raise EngineError(
        "its logs end here: the containers ended or were replaced",
        where=target.id,
        hint="run the same command again to follow those that run now",
        code="engine.logs-ended",
    )


def _in_platform(
    layout: Layout, record: Record, release: Release, name: str
) -> tuple[list[str], dict[str, str]]:
    """One of the platform's own commands, with the settings of the running release."""
    resource = release.resource("api")
    if not is_container(release):
        variables = environment(layout, release, record, resource, release.port)
        return release.commands[name], code.variables(layout, release, variables)
    box = str(resource.properties["container_name"])
    inside = ["exec", box, "python", "-m", "tabular.api", name]
    return [*release.commands["container"], *inside], dict(os.environ)


def _with_release(changes: tuple[Change, ...], record: Record) -> tuple[Change, ...]:
    """The changes of a rollback, which is one also between two releases that are alike."""
    moved = PropertyChange("release", record.history[-1], record.history[-2])
    return tuple(
        replace(change, action=Action.UPDATE, properties=(moved, *change.properties))
        if change.type == DESCRIPTION and change.action in (Action.NOOP, Action.UPDATE)
        else change
        for change in changes
    )


def _all_commands(own: Mapping[str, list[str]], stack: Stack) -> dict[str, list[str]]:
    if stack.template["runtime"] == "container":
        return {**own, **find_commands()}
    return {**postgres.commands(), **cache.commands(), **own}


def default_commands(python: Path) -> dict[str, list[str]]:
    """The platform's own commands, run by an interpreter that has it installed."""
    api = [str(python), "-m", "tabular.api"]
    return {
        "api": [*api, "serve"],
        "worker": [str(python), "-m", "tabular.worker"],
        "migrate": [*api, "migrate"],
        "create-key": [*api, "create-key"],
    }
