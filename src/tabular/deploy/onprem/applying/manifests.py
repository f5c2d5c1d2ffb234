"""Server-side apply as the way to bring objects, for those who want no Helm.

What was brought is remembered as Helm does it: one Secret for each release, which holds the whole
of it. Only what such a record lists is ever pruned, and only if it bears our mark.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tabular.deploy.onprem.cluster import marks
from tabular.deploy.onprem.cluster.served import served
from tabular.deploy.onprem.cluster.session import Cluster, Object
from tabular.deploy.onprem.names import CHART, FIELD_MANAGER, MANAGED_BY
from tabular.deploy.onprem.releases import KEPT, Content, Phase, Release
from tabular.deploy.onprem.rendered.objects import id_of, stays
from tabular.deploy.onprem.stored import stack_of
from tabular.deploy.stack import Stack, fingerprint
from tabular.deploy.target import Target
from tabular.errors import NotFoundError, TooLargeError

from .fitting import fitting

_TYPE = f"{FIELD_MANAGER}/release.v1"
_OWNER = f"{FIELD_MANAGER}-release"
# A Secret may have 1 MiB of data; that much is left for what the server adds.
LARGEST = 1_000_000


class ManifestsMethod:
    """Releases by server-side apply.

    Args:
        cluster: where.
        chart: its folder, whose version the records say.
    """

    name = "manifests"
    manager = FIELD_MANAGER

    def __init__(self, cluster: Cluster, chart: Path = CHART) -> None:
        self._cluster = cluster
        self._chart = chart

    def history(self, target: Target) -> tuple[Release, ...]:
        """Releases, oldest first, from their records."""
        return tuple(_release(one, _record(one)) for one in self._records(target))

    def content(self, target: Target, revision: int) -> Content:
        """What a release is."""
        found = {_revision(one): one for one in self._records(target)}.get(revision)
        if found is None:
            raise NotFoundError(f"there is no release {revision}", where=target.id)
        record = _record(found)
        objects = tuple(served(self._cluster, one) for one in record["objects"])
        version = str(record["template"]["chart"]["version"])
        values = record["template"]["values"]
        stack = stack_of(values, objects, method=self.name, version=version)
        return Content(Stack(**{**_fields(stack), "template": record["template"]}), objects)

    def dressed(self, target: Target, objects: Sequence[Object]) -> tuple[Object, ...]:
        """Objects with our mark, and without Helm's word for who manages them."""
        return tuple(_dressed(one, target) for one in objects)

    def owns(self, target: Target, one: Mapping[str, Any]) -> bool:
        """Whether it bears our mark, with this target."""
        return marks.is_own(one, target)

    def apply(self, stack: Stack, objects: Sequence[Object], limit: float) -> None:
        """Write the release down, bring its objects, and prune what it no longer has."""
        self._bring(stack.target, dict(stack.template), objects, None)

    def back(self, target: Target, revision: int, limit: float) -> None:
        """Bring the objects of an earlier release again; of the last one too."""
        content = fitting(self._cluster, target, self.content(target, revision))
        self._bring(target, dict(content.stack.template), content.objects, revision)

    def cancel(self, target: Target) -> None:
        """Nothing: it does not wait."""

    def settle(self, target: Target, *, well: bool) -> None:
        """Write down what the last release came to; a good one takes the others' place."""
        records = self._records(target)
        for one in records:
            phase = _phase(one)
            if one is records[-1] and phase is Phase.PENDING:
                self._mark(one, Phase.DEPLOYED if well else Phase.FAILED)
            elif well and phase is Phase.DEPLOYED and one is not records[-1]:
                self._mark(one, Phase.SUPERSEDED)
        for one in records[:-KEPT]:
            self._drop(one)

    def remove(self, target: Target, limit: float) -> None:
        """Delete the objects of all releases that are still ours, last made first, then records."""
        records = self._records(target)
        listed: dict[str, Object] = {}
        for record in records:
            listed |= {id_of(one): one for one in _record(record)["objects"]}
        for one in reversed(listed.values()):
            self._delete(target, one)
        for record in records:
            self._drop(record)

    def _bring(
        self,
        target: Target,
        template: dict[str, Any],
        objects: Sequence[Object],
        back_to: int | None,
    ) -> None:
        records = self._records(target)
        before = {id_of(one): one for record in records for one in _record(record)["objects"]}
        self._write(target, template, objects, back_to, _revision(records[-1]) if records else 0)
        for one in objects:
            self._cluster.apply(one, manager=self.manager)
        wanted = {id_of(one) for one in objects}
        for name, one in reversed(before.items()):
            if name not in wanted:
                self._delete(target, one)

    def _delete(self, target: Target, one: Object) -> None:
        """Delete one object, if it is there and bears our mark; data stays."""
        if stays(one):
            return
        one, name = served(self._cluster, one), one["metadata"]["name"]
        found = self._cluster.get(one["apiVersion"], one["kind"], name, target.region)
        if found is not None and self.owns(target, found):
            uid = found["metadata"]["uid"]
            self._cluster.delete(one["apiVersion"], one["kind"], name, target.region, uid=uid)

    def _write(
        self,
        target: Target,
        template: dict[str, Any],
        objects: Sequence[Object],
        back_to: int | None,
        after: int,
    ) -> None:
        record = {"template": template, "objects": list(objects), "backTo": back_to}
        data = base64.b64encode(gzip.compress(json.dumps(record).encode(), mtime=0)).decode()
        if len(data) > LARGEST:
            raise TooLargeError(
                f"the release comes to {len(data)} bytes, and a cluster keeps {LARGEST}",
                where=target.id,
                hint="shorten spec.overrides or the dashboards that are put in",
            )
        meta = marks.own_metadata(target, f"{FIELD_MANAGER}.v1.{target.name}.v{after + 1}", "")
        meta["labels"] = {
            "owner": _OWNER,
            "name": target.name,
            "version": str(after + 1),
            "status": Phase.PENDING.value,
        }
        meta["annotations"][_BEGUN] = self._cluster.now().isoformat()
        one = {"apiVersion": "v1", "kind": "Secret", "type": _TYPE, "metadata": meta}
        self._cluster.create({**one, "data": {"release": base64.b64encode(data.encode()).decode()}})

    def _records(self, target: Target) -> list[Object]:
        labels = f"owner={_OWNER},name={target.name}"
        found = self._cluster.list("v1", "Secret", target.region, labels=labels)
        return sorted((one for one in found if one.get("type") == _TYPE), key=_revision)

    def _mark(self, record: Object, phase: Phase) -> None:
        meta = record["metadata"]
        patch = {"metadata": {"labels": {"status": phase.value}}}
        self._cluster.merge("v1", "Secret", meta["name"], meta["namespace"], patch)

    def _drop(self, record: Object) -> None:
        meta = record["metadata"]
        self._cluster.delete("v1", "Secret", meta["name"], meta["namespace"])


_BEGUN = "inferloop-tabular.io/begun"


def _record(one: Object) -> dict[str, Any]:
    data = base64.b64decode(base64.b64decode(one["data"]["release"]))
    found: dict[str, Any] = json.loads(gzip.decompress(data))
    return found


def _release(one: Object, record: Mapping[str, Any]) -> Release:
    return Release(
        revision=_revision(one),
        phase=_phase(one),
        updated=datetime.fromisoformat(marks.annotation(one, _BEGUN)),
        back_to=record["backTo"],
        content=fingerprint(record["template"])[:12],
    )


def _revision(one: Object) -> int:
    return int(marks.label(one, "version"))


def _phase(one: Object) -> Phase:
    return Phase(marks.label(one, "status"))


def _fields(stack: Stack) -> dict[str, Any]:
    return {name: getattr(stack, name) for name in stack.__dataclass_fields__}


def _dressed(one: Object, target: Target) -> Object:
    meta = one["metadata"]
    labels = {**(meta.get("labels") or {}), MANAGED_BY: FIELD_MANAGER}
    annotations = {**(meta.get("annotations") or {}), marks.TARGET: marks.target_text(target)}
    return {**one, "metadata": {**meta, "labels": labels, "annotations": annotations}}
