"""A plan against a cluster: what each object would become, asked of the server itself.

A server-side dry run answers with the object as it would be, defaults and all, so whatever differs
from the live one is a change, and nothing else is. What may not be changed in place the server
says as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from tabular.deploy.onprem.cluster import marks, replicas
from tabular.deploy.onprem.cluster.refusals import OwnedElsewhereError, UnprocessableError
from tabular.deploy.onprem.cluster.session import Cluster, Object
from tabular.deploy.onprem.names import FIELD_MANAGER
from tabular.deploy.onprem.preflight.growing import (
    Growth,
    growths,
    size_of,
    sized_as,
    volumes_of,
)
from tabular.deploy.onprem.releases import Method
from tabular.deploy.onprem.rendered import library
from tabular.deploy.onprem.rendered.objects import holds_data, id_of, stays, type_of
from tabular.deploy.plan import Action, Change, PropertyChange, diff_properties
from tabular.deploy.target import Target
from tabular.errors import ConflictError, RefusedError

from .differences import between, cleaned, wanted_of

_OURS = frozenset({library.NAME, FIELD_MANAGER})
AT_ONCE = 8  # questions; a cluster's own limit for one client is about ten a second and more


@dataclass(frozen=True, slots=True)
class Compared:
    """One object, before and after.

    Attributes:
        change: as a plan shows it.
        uid: of the live object, "" if there is none.
        owners: other managers and the fields of theirs that would change.
        foreign: it is there, and is somebody else's.
        adopted: data that a destroy kept, of a deployment that the other method made.
        anew: it cannot be changed to what is wanted, and has to be made anew.
    """

    change: Change
    uid: str = ""
    owners: tuple[tuple[str, str], ...] = ()
    foreign: bool = False
    adopted: bool = False
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """All objects of a release against a cluster.

    Attributes:
        found: one for each object, in order, then what is to be deleted.
    """

    found: tuple[Compared, ...] = field(default=())

    @property
    def changes(self) -> tuple[Change, ...]:
        """As a plan shows them."""
        return tuple(one.change for one in self.found)

    @property
    def uids(self) -> list[str]:
        """What the plan was made against."""
        return [one.uid for one in self.found]

    def require_own(self, target: Target) -> None:
        """Refuse to take what is somebody else's.

        Raises:
            ConflictError: objects of these names are there, and are not this deployment's.
        """
        foreign = [one.change.resource for one in self.found if one.foreign]
        if foreign:
            raise ConflictError(
                f"these are there already, and belong to somebody else: {', '.join(foreign)}",
                where=f"namespace {target.region}",
                hint="deploy under another --name or into another --namespace; or look at them "
                "(`kubectl get -o yaml` shows the owner in metadata.annotations) and delete them; "
                "a claim with data: `inferloop-tabular import`",
                code="conflict.foreign",
            )

    def require_kept(self) -> None:
        """Refuse to make a volume anew: what is in it would be lost, and no rollback brings it.

        Raises:
            RefusedError: a claim would have to be; names what differs.
        """
        for one in (found.change for found in self.found if found.anew):
            if _is_claim(one.resource):
                said = [f"{it.path}: {it.before} → {it.after}" for it in one.properties]
                raise never_anew(f"{one.resource} ({', '.join(said)})")

    def require_free(self) -> None:
        """Refuse to change what other managers set.

        Raises:
            OwnedElsewhereError: says who owns which field.
        """
        taken = [one for one in self.found if one.owners and not one.adopted]
        if taken:
            owners = tuple(
                (manager, f"{one.change.resource} {field_}")
                for one in taken
                for manager, field_ in one.owners
            )
            raise OwnedElsewhereError(", ".join(one.change.resource for one in taken), owners)


def compare(
    cluster: Cluster,
    method: Method,
    target: Target,
    objects: Sequence[Object],
    running: Iterable[Object],
    *,
    there: bool,
) -> Comparison:
    """Compare what is wanted with what is there; touches nothing.

    Args:
        cluster: where.
        method: that would bring the objects.
        target: of the deployment.
        objects: wanted, with the owner's marks.
        running: objects of the release that runs.
        there: whether the namespace is there; without one nothing can be asked about it.

    Raises:
        UnprocessableError: the server refuses an object as it is written.
    """
    if not there:
        return Comparison(tuple(Compared(_created(one)) for one in objects))
    wanted = {id_of(one) for one in objects}
    leaving = [one for one in reversed(tuple(running)) if id_of(one) not in wanted]
    volumes = volumes_of(cluster, target.region or "", target.name)
    growing = tuple(growths(objects, volumes))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        compared = pool.map(partial(_compare, cluster, method, target), objects)
        found = [_with_volumes(one, growing) for one in compared]
        gone = pool.map(partial(_leaving, cluster, method, target), leaving)
        return Comparison((*found, *(one for one in gone if one is not None)))


def immutable(
    cluster: Cluster, method: Method, target: Target, objects: Sequence[Object]
) -> tuple[Object, ...]:
    """Those that are there and cannot become what is wanted without being made anew."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(partial(_compare, cluster, method, target), objects)
        return tuple(
            one
            for one, compared in zip(objects, found, strict=True)
            if compared.anew and not compared.foreign
        )


def _compare(cluster: Cluster, method: Method, target: Target, one: Object) -> Compared:
    meta = one["metadata"]
    live = cluster.get(one["apiVersion"], one["kind"], meta["name"], meta["namespace"])
    if live is None:
        cluster.apply(one, manager=method.manager, dry_run=True)  # quota, webhooks, its own faults
        return Compared(_created(one))
    uid = live["metadata"]["uid"]
    adopted = not method.owns(target, live) and _kept(target, live)
    if not method.owns(target, live) and not adopted:
        return Compared(_change(Action.UPDATE, one, wanted_of(live, one)), uid, foreign=True)
    try:
        would, owners = _would(cluster, method, replicas.as_it_is(one, live))
    except UnprocessableError as error:
        resized = _resized(cluster, method, live, one)
        if resized is not None:
            return resized
        if not error.immutable:
            raise
        properties = wanted_of(live, one) or (
            PropertyChange("(the whole)", "as it is", "made anew"),
        )
        return Compared(_change(Action.REPLACE, one, properties), uid, anew=True)
    properties = between(live, would)
    if _kept(target, live) and {manager for manager, _ in owners} & _OURS - {method.manager}:
        adopted = True
    if owners and not adopted:
        said = "; ".join(f"{field_} belongs to {manager}" for manager, field_ in owners)
        properties = (*properties, PropertyChange("metadata.managedFields", said, method.manager))
    action = Action.UPDATE if properties else Action.NOOP
    return Compared(_change(action, one, properties), uid, owners, adopted=adopted)


def _resized(cluster: Cluster, method: Method, live: Object, one: Object) -> Compared | None:
    """What is refused only for the size of its disks; None if that is not the reason.

    A set that asks for other disks is made anew round its pods, and the claims are patched.
    """
    same = sized_as(live, one)
    if same == one:
        return None
    try:
        would, owners = _would(cluster, method, same)
    except UnprocessableError:
        return None
    properties = sorted((*between(live, would), *_sizes(live, one)), key=lambda p: p.path)
    anew = one["kind"] == "StatefulSet"
    uid = live["metadata"]["uid"]
    return Compared(_change(Action.UPDATE, one, properties), uid, owners, anew=anew)


def _sizes(live: Object, one: Object) -> tuple[PropertyChange, ...]:
    """What differs in the sizes of disks, of a claim or of the templates of a set."""
    storage = "spec.resources.requests.storage"
    if one["kind"] == "PersistentVolumeClaim":
        return (PropertyChange(storage, size_of(live), size_of(one)),)
    pairs = zip(
        live["spec"]["volumeClaimTemplates"], one["spec"]["volumeClaimTemplates"], strict=True
    )
    return tuple(
        PropertyChange(
            f"spec.volumeClaimTemplates[{new['metadata']['name']}].{storage}",
            size_of(old),
            size_of(new),
        )
        for old, new in pairs
        if size_of(old) != size_of(new)
    )


def _with_volumes(compared: Compared, growing: Iterable[Growth]) -> Compared:
    """A set with those of its claims that are to grow."""
    change = compared.change
    mine = [one for one in growing if one.owner == change.resource and not _is_claim(one.owner)]
    if not mine or compared.foreign:
        return compared
    more = [PropertyChange(f"volumes[{one.claim}]", one.before, one.after) for one in mine]
    action = Action.UPDATE if change.action is Action.NOOP else change.action
    changed = replace(change, action=action, properties=(*change.properties, *more))
    return replace(compared, change=changed)


def _kept(target: Target, live: Object) -> bool:
    """Whether it is data of this deployment, which a destroy may have kept."""
    return stays(live) and marks.is_of(live, target)


def _would(
    cluster: Cluster, method: Method, one: Object
) -> tuple[Object, tuple[tuple[str, str], ...]]:
    """What an object would become, and whose fields that would take."""
    try:
        return cluster.apply(one, manager=method.manager, dry_run=True), ()
    except OwnedElsewhereError as error:
        forced = cluster.apply(one, manager=method.manager, dry_run=True, force=True)
        return forced, replicas.in_the_way(error.owners)


def _leaving(cluster: Cluster, method: Method, target: Target, one: Object) -> Compared | None:
    meta = one["metadata"]
    live = cluster.get(one["apiVersion"], one["kind"], meta["name"], meta["namespace"])
    if live is None or not method.owns(target, live) or stays(one):
        return None
    properties = diff_properties(_shown(one), {})
    return Compared(_change(Action.DELETE, one, properties), live["metadata"]["uid"])


def _created(one: Object) -> Change:
    return _change(Action.CREATE, one, diff_properties({}, _shown(one)))


def _shown(one: Object) -> Mapping[str, object]:
    hidden = one["kind"] == "Secret"
    return {
        key: "(secret)" if hidden and key in ("data", "stringData") else value
        for key, value in cleaned(one).items()
        if key not in ("apiVersion", "kind", "metadata")
    }


def _change(action: Action, one: Object, properties: Sequence[PropertyChange]) -> Change:
    return Change(action, id_of(one), type_of(one), tuple(properties), holds_data(one))


def never_anew(volume: str) -> RefusedError:
    """Why a volume is not deleted for another one in its place, and the way to one."""
    return RefusedError(
        f"{volume} would have to be deleted and made anew, with what is in it",
        hint="leave it as it was; or `inferloop-tabular backup create`, `destroy --delete-data`, "
        "deploy, `backup restore`",
        code="refused.volume",
    )


def _is_claim(resource: str) -> bool:
    return resource.startswith("PersistentVolumeClaim/")
