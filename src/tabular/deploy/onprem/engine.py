"""A cluster behind the contract: previews, applies, follows, rolls back, destroys.

Helm or server-side apply brings the objects and remembers them. What this adds: a plan that is a
real diff and is refused when the world moved, one apply at a time, an account of failures that
names the cause, going on where a client died, and a destroy that keeps data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tabular.deploy import answers
from tabular.deploy.events import Event, EventSequence, EventStatus
from tabular.deploy.importing import ImportPlan, Unlike
from tabular.deploy.plan import Action, Change, Plan, PropertyChange
from tabular.deploy.provider import Check, Drift, LogLine, Status
from tabular.deploy.stack import Stack, fingerprint
from tabular.deploy.target import Target
from tabular.errors import TabularError

from . import preflight
from .applying.background import in_background
from .applying.destroy import Destroyer
from .applying.fitting import fitting
from .applying.follow import Follower
from .applying.helm.method import HelmMethod
from .applying.judging import (
    method_of,
    require_plannable,
    require_same_method,
    require_same_target,
    require_settled,
)
from .applying.lease import Leases
from .applying.listing import targets
from .applying.manifests import ManifestsMethod
from .applying.operations import READY_TIMEOUT, Operations, Step
from .applying.restarting import restart_users_of
from .applying.state import Found, States
from .applying.takeover import Takeover
from .backup import Inside
from .cluster.session import Cluster, Object
from .cluster.spaces import Spaces, labels_of
from .comparing.diff import Comparison, compare
from .comparing.drift import drifts
from .importing import Importer
from .logs import Logs
from .looking import look
from .names import CHART, secret_name, tls_secret_name
from .preflight.primary import require_primary
from .releases import Content, Method, before, last, present
from .rendered.objects import id_of
from .rendered.rendering import render
from .secrets import certificates
from .secrets.given import Given
from .secrets.owned import certificate_of, secret_of
from .secrets.vault import Vault


@dataclass(frozen=True, slots=True)
class Tuning:
    """What tests make shorter, and hardly anybody else.

    Attributes:
        lease: seconds without renewal after which a client counts as dead.
        pause: seconds between two looks.
        patience: seconds that a trouble may last which mostly does not pass.
        chart: its folder.
    """

    lease: float = 30.0
    pause: float = 1.0
    patience: float = 120.0
    chart: Path = field(default=CHART)


class ClusterEngine:
    """The engine of a cluster.

    Args:
        cluster: the way there.
        given: secrets that specs gave, in memory.
        ready_timeout: seconds that a release may take until it is ready; 15 minutes if None.
        keep_failed: leave what failed as it is, for looking at it.
        force_conflicts: take over fields that others set.
        tuning: times.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        given: Given | None = None,
        ready_timeout: float | None = None,
        keep_failed: bool = False,
        force_conflicts: bool = False,
        tuning: Tuning | None = None,
    ) -> None:
        times = tuning or Tuning()
        self._cluster = cluster
        self._chart = times.chart
        self._force = force_conflicts
        self._methods: tuple[Method, ...] = (
            HelmMethod(cluster, times.chart),
            ManifestsMethod(cluster),
        )
        self._leases = Leases(cluster, duration=times.lease)
        self._vault = Vault(cluster, given or Given())
        self._spaces = Spaces(cluster)
        follower = Follower(cluster, pause=times.pause, patience=times.patience)
        self._operations = Operations(
            cluster,
            follower,
            ready_timeout=READY_TIMEOUT if ready_timeout is None else ready_timeout,
            keep_failed=keep_failed,
        )
        self._destroyer = Destroyer(
            cluster, self._leases, self._operations, self._vault, self._spaces
        )
        self._takeover = Takeover(self._leases, self._operations, self._destroyer)
        self._states = States(cluster, follower)
        self._logs = Logs(cluster)

    def preview(self, stack: Stack) -> Plan:
        """Compare a stack with what runs; touches nothing."""
        method, target = self._method(stack), stack.target
        found = self._found(target)
        require_plannable(target, found.note, found.history)
        require_same_method(target, method, found.method)
        objects = self._rendered(stack)
        findings = preflight.require(self._cluster, stack, objects)
        plan, _ = self._compared(stack, objects, found)
        return replace(plan, findings=findings)

    def apply(self, plan: Plan) -> Iterator[Event]:
        """Carry out a plan, and follow it; it goes on if this is dropped."""
        stack, target = plan.stack, plan.stack.target
        found = self._found(target)
        require_plannable(target, found.note, found.history)
        objects = self._rendered(stack)
        now, comparison = self._compared(stack, objects, found)
        answers.require_fresh(plan, now.basis)
        if plan.is_empty:
            return
        self._require_free(stack, comparison, objects)
        yield from in_background(self._apply(stack, objects, plan, found))

    def attach(self, target: Target) -> Iterator[Event]:
        """Events of the apply that runs there, to its end; of one whose client died as well."""
        found = self._found(target)
        if found.nothing:
            raise answers.nothing_at(target)
        yield from in_background(self._takeover.attach(lambda: self._found(target)))

    def status(self, target: Target) -> Status:
        """What runs there."""
        return self._states.of(self._found(target))

    def list(self) -> tuple[Status, ...]:
        """Every deployment in the namespaces that these credentials may look at."""
        found = (self._found(target) for target in targets(self._cluster))
        return tuple(self._states.of(one) for one in found if not one.nothing)

    def drift(self, target: Target) -> tuple[Drift, ...]:
        """Differences between what was applied and what is there."""
        found = self._found(target)
        content = self._content(found)
        return tuple(drifts(self._cluster, self._owner(found), self._vault, content))

    def preview_rollback(self, target: Target) -> Plan:
        """Compare the release before the present one with what runs; touches nothing."""
        found = self._found(target)
        require_settled(target, found.note, found.history)
        content = self._before(found)
        return self._compared(content.stack, content.objects, found)[0]

    def rollback(self, plan: Plan) -> Iterator[Event]:
        """Put the release before back, as it was planned."""
        target = plan.stack.target
        found = self._found(target)
        require_settled(target, found.note, found.history)
        content = self._before(found)
        now, comparison = self._compared(content.stack, content.objects, found)
        answers.require_same(plan, now)
        if _unseen(found):
            with self._leases.hold(target, _operation("rollback", self._owner(found), found)):
                return
        self._require_free(content.stack, comparison, content.objects)
        yield from in_background(self._roll_back(plan, content, found))

    def destroy(self, target: Target, *, delete_data: bool) -> Iterator[Event]:
        """Remove what the deployment owns; data stores only if asked."""
        if self._spaces.ending(target):
            self._destroyer.wait_for_space(target)
        elif self._spaces.there(target):
            found = self._found(target)
            yield from in_background(self._destroyer.destroy(found, delete_data=delete_data))

    def logs(self, target: Target, *, follow: bool, tail: int) -> Iterator[LogLine]:
        """The last lines of each container, then new ones if ``follow``."""
        if self._found(target).nothing:
            raise answers.nothing_at(target)
        return self._logs.read(target, follow=follow, tail=tail)

    def issue_api_key(self, target: Target, name: str, *, only_first: bool) -> str | None:
        """The administrator's key that was made with the deployment; others are made over REST."""
        if self._found(target).nothing:
            raise answers.nothing_at(target)
        return self._vault.hand_out(target, only_first=only_first)

    def run_inside(self, target: Target, arguments: Sequence[str]) -> Iterator[str]:
        """Run ``python -m tabular.transfer`` beside the service; see `backup`."""
        return Inside(self._cluster, target.name, target.region or "").run(arguments)

    def look(self, target: Target, user: str | None = None) -> Iterator[Check]:
        """What its secrets and certificates lack, and what its service reaches; see `looking`."""
        found = self._found(target)
        newest = present(found.history) or last(found.history)  # one that never came up, too
        if newest is None:
            raise answers.nothing_at(target)
        objects = self._owner(found).content(target, newest.revision).objects
        yield from look(self._cluster, target, objects, user)

    def preview_import(self, stack: Stack, asked: Sequence[str]) -> ImportPlan:
        """Look whether claims that are there, ``KIND/NAME`` each, can be the deployment's."""
        found = self._found(stack.target)
        require_settled(stack.target, found.note, found.history)
        require_same_method(stack.target, self._method(stack), found.method)
        return self._importer(stack).plan(stack, asked, _moved(found))

    def adopt(self, plan: ImportPlan) -> Iterator[Event]:
        """Give them the deployment's marks; it goes on if this is dropped."""
        found = self._found(plan.stack.target)
        require_settled(plan.stack.target, found.note, found.history)
        yield from in_background(self._adopt(plan, found))

    def unlike(self, plan: ImportPlan) -> Unlike:
        """Where they are not what the next deploy makes of them."""
        return self._importer(plan.stack).unlike(plan)

    def running(self, target: Target) -> Stack:
        """The stack that runs there, as it was applied, with the uids of its objects.

        It is for the version that the cluster has, as its objects are.
        """
        content = self._content(self._found(target))
        live = self._operations.follower.live(content.objects)
        ids = {id_: str(one["metadata"]["uid"]) for id_, one in live.items() if one is not None}
        template = {**content.stack.template, "kubeVersion": self._cluster.version}
        return replace(content.stack, ids=ids, template=template)

    def _apply(
        self, stack: Stack, objects: tuple[Object, ...], plan: Plan, found: Found
    ) -> Iterator[Event]:
        target, method, tell = stack.target, self._method(stack), EventSequence()
        made = self._spaces.ensure(target, labels_of(stack))
        operation = _operation("apply", method, found)
        with self._leases.hold(target, operation) as held:
            self._require_unmoved(plan, found)
            fresh = {
                "namespace": made,
                "secret": self._vault.read(target) is None,
                "certificate": self._has_no_certificate(target),
                "claims": self._destroyer.claims(target),
                "clusters": self._destroyer.clusters(target, objects),
            }
            held.note(fresh=fresh, **self._data_beside(found, objects))

            def clean() -> Iterator[Event]:
                now = self._found(target)
                yield from self._destroyer.first_failed(now, held, fresh, objects)

            try:
                yield from self._secrets(target, objects, tell)
            except TabularError:
                if not found.history:
                    yield from clean()
                raise
            step = Step(
                method,
                target,
                objects,
                lambda limit: method.apply(stack, objects, limit),
                _quiet(plan),
            )
            yield from self._operations.first_and_last(step, held, tell, clean)

    def _adopt(self, plan: ImportPlan, found: Found) -> Iterator[Event]:
        target, importer = plan.stack.target, self._importer(plan.stack)
        asked = [one.resource for one in plan.adoptions]
        # What it says of the operation before stays: it is no release.
        said = {} if found.note is None else found.note.operation
        with self._leases.hold(target, {**said, "purpose": "import"}) as held:
            moved = _moved(self._found(target))
            answers.require_fresh(plan, importer.plan(plan.stack, asked, moved).basis)
            yield from importer.carry_out(plan)
            if not (found.history or held.retained):
                held.drop()  # nothing is deployed yet

    def _roll_back(self, plan: Plan, content: Content, found: Found) -> Iterator[Event]:
        target, method, tell = plan.stack.target, self._owner(found), EventSequence()
        operation = _operation("rollback", method, found)
        to = before(found.history)
        with self._leases.hold(target, operation) as held:
            self._require_unmoved(plan, found)
            held.note(**self._data_beside(found, content.objects))
            yield from self._secrets(target, content.objects, tell)
            revision = 0 if to is None else to.revision
            step = Step(
                method,
                target,
                content.objects,
                lambda limit: method.back(target, revision, limit),
                _quiet(plan),
            )
            yield from self._operations.first_and_last(step, held, tell, lambda: iter(()))

    def _data_beside(self, found: Found, objects: tuple[Object, ...]) -> dict[str, Any]:
        """What data is in no release when this one serves, and when it fails and is undone."""
        return {
            "outlives": self._destroyer.outlived(found, objects),
            "undone": self._destroyer.left_behind(found, objects),
        }

    def _secrets(
        self, target: Target, objects: tuple[Object, ...], tell: EventSequence
    ) -> Iterator[Event]:
        """Make what the objects refer to and no release brings."""
        if self._vault.ensure(target, objects):
            yield tell.next(
                EventStatus.COMPLETE, secret_of(objects, secret_name(target.name)), "generated"
            )
        name, namespace = target.name, target.region or ""
        before = certificates.examine(self._cluster, name, namespace)
        held = certificates.ensure(self._cluster, name, namespace, objects)
        if held is not None and held.made:
            said = f"valid until {held.ends:%Y-%m-%d}"
            yield tell.next(EventStatus.COMPLETE, certificate_of(name), said)
            if before is not None and self._ends_soon(before):
                secret = tls_secret_name(name)
                for id_ in restart_users_of(self._cluster, objects, secret, held.checksum):
                    said = f"{id_} is started anew, to read the new certificate"
                    yield tell.next(EventStatus.IN_PROGRESS, reason=said)

    def _ends_soon(self, held: certificates.Held) -> bool:
        return self._cluster.now() > held.ends - certificates.RENEW_BEFORE

    def _has_no_certificate(self, target: Target) -> bool:
        name = tls_secret_name(target.name)
        return self._cluster.get("v1", "Secret", name, target.region) is None

    def _certificate(self, target: Target, objects: tuple[Object, ...]) -> tuple[Change, ...]:
        """What an apply would do to the certificate of TLS between pods."""
        if not certificates.is_wanted(target.name, objects):
            return ()
        resource, namespace = certificate_of(target.name), target.region or ""
        held = certificates.examine(self._cluster, target.name, namespace, objects)
        if held is None:
            return (Change(Action.CREATE, resource.id, resource.type),)
        if not held.ours or not (held.lacking or self._ends_soon(held)):
            return (Change(Action.NOOP, resource.id, resource.type),)
        why = f"also for {', '.join(held.lacking)}" if held.lacking else "a year from now"
        renewed = PropertyChange("valid", f"until {held.ends:%Y-%m-%d}", why)
        return (Change(Action.UPDATE, resource.id, resource.type, (renewed,)),)

    def _compared(
        self, stack: Stack, objects: tuple[Object, ...], found: Found
    ) -> tuple[Plan, Comparison]:
        target, method = stack.target, self._method(stack)
        there = self._spaces.there(target)
        serving = present(found.history) or last(found.history)
        running: tuple[Object, ...] = ()
        if serving is not None and found.method is not None:
            running = found.method.content(target, serving.revision).objects
        comparison = compare(self._cluster, method, target, objects, running, there=there)
        comparison.require_own(target)
        comparison.require_kept()
        own = (self._vault.preview(target, objects), *self._certificate(target, objects))
        changes = (*own, *comparison.changes)
        said = [
            [one.action.value, one.resource, [[p.path, p.before, p.after] for p in one.properties]]
            for one in changes
        ]
        basis = fingerprint([_moved(found), comparison.uids, said])
        return Plan(stack, changes, basis), comparison

    def _require_free(
        self, stack: Stack, comparison: Comparison, objects: tuple[Object, ...]
    ) -> None:
        """Refuse fields of others, or take them over if that was asked.

        Raises:
            OwnedElsewhereError: says who owns which field.
        """
        if not self._force:
            comparison.require_free()
        by_id = {id_of(one): one for one in objects}
        for one in comparison.found:
            if (one.owners or one.adopted) and not one.anew:
                manager = self._method(stack).manager
                self._cluster.apply(by_id[one.change.resource], manager=manager, force=True)

    def _require_unmoved(self, plan: Plan, found: Found) -> None:
        """Once more, now that nobody else can begin anything.

        Raises:
            StalePlanError: somebody did between the look and the lease.
        """
        now = self._found(plan.stack.target)
        same = _moved(now) == _moved(found)
        answers.require_fresh(plan, plan.basis if same else "")

    def _rendered(self, stack: Stack) -> tuple[Object, ...]:
        objects = render(
            stack.template["values"],
            name=stack.target.name,
            namespace=stack.target.region or "",
            kube_version=self._cluster.version,
            chart=self._chart,
        )
        return self._method(stack).dressed(stack.target, objects)

    def _importer(self, stack: Stack) -> Importer:
        return Importer(self._cluster, self._method(stack), self._rendered(stack))

    def _method(self, stack: Stack) -> Method:
        return next(one for one in self._methods if one.name == stack.template["method"])

    def _owner(self, found: Found) -> Method:
        if found.method is None:
            raise answers.nothing_at(found.target)
        return found.method

    def _found(self, target: Target) -> Found:
        method = method_of(self._methods, target)
        history = () if method is None else method.history(target)
        found = Found(target, self._leases.read(target), method, history)
        require_same_target(found.target, found.note, nothing=found.nothing)
        return found

    def _content(self, found: Found) -> Content:
        serving = present(found.history)
        if serving is None:
            raise answers.nothing_at(found.target)
        return self._owner(found).content(found.target, serving.revision)

    def _before(self, found: Found) -> Content:
        """The release before; the present one, if a rollback to it ended when nobody looked."""
        method, now, to = self._owner(found), present(found.history), before(found.history)
        if now is not None and _unseen(found):
            return method.content(found.target, now.revision)
        if to is None:
            raise answers.no_release_before(found.target)
        content = method.content(found.target, to.revision)
        require_primary(self._cluster, found.target.region or "", content.objects)
        return fitting(self._cluster, found.target, content)


def _unseen(found: Found) -> bool:
    """Whether the last thing that happened is a rollback that ended when nobody looked."""
    return found.note is not None and bool(found.note.operation.get("unseen"))


def _moved(found: Found) -> list[Any]:
    """What changes when somebody releases something."""
    return [[one.revision, one.phase.value] for one in found.history]


def _operation(purpose: str, method: Method, found: Found) -> dict[str, Any]:
    """What a lease says of an operation, by which another client can go on."""
    newest, serving = last(found.history), present(found.history)
    return {
        "purpose": purpose,
        "method": method.name,
        "revision": 1 if newest is None else newest.revision + 1,
        "serving": 0 if serving is None else serving.revision,
    }


def _quiet(plan: Plan) -> frozenset[str]:
    return frozenset(one.resource for one in plan.changes if one.action is Action.NOOP)
