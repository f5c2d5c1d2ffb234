"""An import on Kubernetes: claims of volumes that are there get the marks of a deployment.

Only claims: they are the data, which no undoing of a failed deploy and no destroy takes away. What
else is there under a name of the chart would go with the first deploy that fails, and a deploy
makes it anew as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tabular.deploy.events import Event, EventSequence, EventStatus
from tabular.deploy.importing import Adoption, ImportPlan, Unlike
from tabular.deploy.plan import PropertyChange
from tabular.deploy.provider import Drift
from tabular.deploy.stack import Stack, fingerprint
from tabular.deploy.target import Target
from tabular.errors import RefusedError, UsageError, nearest

from .cluster import marks
from .cluster.refusals import UnprocessableError
from .cluster.session import Cluster, Object
from .comparing.differences import between
from .releases import Method
from .rendered.objects import id_of, resource_of, stays, type_of


@dataclass(frozen=True, slots=True)
class Importer:
    """Marks claims as a deployment's own.

    Attributes:
        cluster: where.
        method: that brings the deployment, and whose marks they are.
        objects: of the deployment, with these marks.
    """

    cluster: Cluster
    method: Method
    objects: Sequence[Object]

    def plan(self, stack: Stack, words: Sequence[str], moved: object) -> ImportPlan:
        """What would be adopted; touches nothing.

        Args:
            stack: of the spec.
            words: ``PersistentVolumeClaim/NAME`` each.
            moved: what changes when somebody releases something.

        Raises:
            UsageError: the deployment has no such object.
            RefusedError: it is no claim, is not there, is somebody else's, or cannot become what
                the spec says.
        """
        wanted = [self._wanted(word) for word in dict.fromkeys(words)]
        found = [self._live(one, stack.target) for one in wanted]
        adoptions = tuple(
            Adoption(id_of(one), type_of(one), str(live["metadata"]["uid"]))
            for one, live in zip(wanted, found, strict=True)
        )
        uids = [one.physical for one in adoptions]
        return ImportPlan(stack, adoptions, fingerprint([moved, uids]))

    def carry_out(self, plan: ImportPlan) -> Iterator[Event]:
        """Mark them; doing it again is no error."""
        tell = EventSequence()
        for adoption in plan.adoptions:
            one = self._wanted(adoption.resource)
            live = self._live(one, plan.stack.target)
            if self.method.owns(plan.stack.target, live):
                # It was deployed, too, perhaps: who has set a specification may not leave it out.
                yield tell.next(EventStatus.COMPLETE, resource_of(one), "it was the deployment's")
                continue
            said = ("name", "namespace", "labels", "annotations")
            meta = {key: one["metadata"][key] for key in said if key in one["metadata"]}
            marked = {"apiVersion": one["apiVersion"], "kind": one["kind"], "metadata": meta}
            # These labels and annotations only, whoever set them before: that is what was asked.
            self.cluster.apply(marked, manager=self.method.manager, force=True)
            yield tell.next(EventStatus.COMPLETE, resource_of(one), "it is the deployment's now")

    def unlike(self, plan: ImportPlan) -> Unlike:
        """Where they are not what the next deploy makes of them."""
        found = []
        for adoption in plan.adoptions:
            one = self._wanted(adoption.resource)
            differing = between(self._live(one, plan.stack.target), self._would(one))
            changes = tuple(PropertyChange(it.path, it.after, it.before) for it in differing)
            if changes:
                found.append(Drift(adoption.resource, adoption.type, changes))
        return Unlike(by_deploy=tuple(found))

    def _wanted(self, word: str) -> Object:
        by_id = {id_of(one): one for one in self.objects}
        claims = sorted(name for name, one in by_id.items() if stays(one))
        if word not in by_id:
            has = f"it has {', '.join(claims)}" if claims else "it has no claim of a volume"
            raise UsageError(
                f"the deployment has no {word}",
                where=word,
                hint=nearest(word, claims).strip() or f"KIND/NAME; {has}",
                code="usage.import",
            )
        if by_id[word]["kind"] != "PersistentVolumeClaim":
            raise RefusedError(
                f"only claims of volumes are imported on Kubernetes, and {word} is none",
                where=word,
                hint="delete what is there, or rename it: a deploy makes its own",
                code="refused.import-type",
            )
        return by_id[word]

    def _live(self, one: Object, target: Target) -> Object:
        """The object that is there, if it may be adopted."""
        meta, name = one["metadata"], id_of(one)
        live = self.cluster.get(one["apiVersion"], one["kind"], meta["name"], meta["namespace"])
        if live is None:
            raise RefusedError(
                f"there is no {name} in namespace {target.region}",
                where=name,
                hint="a claim cannot be renamed: bind one of this name to the volume, or deploy",
                code="refused.import",
            )
        owner = None if marks.is_of(live, target) else _owner(live)
        if owner is not None:
            raise RefusedError(
                f"{name} belongs to {owner}",
                where=f"namespace {target.region}",
                hint="take it from there first; or deploy under another --name",
                code="refused.import",
            )
        self._would(one)
        return live

    def _would(self, one: Object) -> Object:
        """What a deploy would make of it, as the server says."""
        try:
            return self.cluster.apply(one, manager=self.method.manager, dry_run=True, force=True)
        except UnprocessableError as error:
            raise RefusedError(
                f"{id_of(one)} cannot become what the spec says, and would have to be made anew, "
                f"with what is in it: {error.message}",
                where=id_of(one),
                hint="change the spec to what it is (storage.size, storage.class)",
                code="refused.import",
            ) from error


def _owner(live: Object) -> str | None:
    """Whose an object is; None if nobody says so."""
    release = marks.annotation(live, marks.HELM_NAME)
    if release:
        space = marks.annotation(live, marks.HELM_NAMESPACE)
        return f"release {release} of Helm in namespace {space}"
    target = marks.target_in(live)
    if target is not None:
        return f"the deployment {target.id}"
    references = live["metadata"].get("ownerReferences") or ()
    return next((f"{one['kind']}/{one['name']}" for one in references), None)
