"""Helm's own records of releases, corrected where Helm does not look.

Helm brings objects and calls that deployed; whether they came up we see. A release that did not is
marked as failed in its record, so that `helm history` and the next rollback know it as well. And
before it does anything, Helm reads the objects of the present release in the versions that they
were written in: after an upgrade of the cluster it would refuse for ever. Source: Helm,
"Deprecated Kubernetes APIs".
Format: storage driver `secret` of Helm 3 and 4 (pkg/storage/driver): JSON, gzip, base64.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping
from typing import Any

from tabular.deploy.onprem.cluster.served import served
from tabular.deploy.onprem.cluster.session import Cluster, Object
from tabular.deploy.onprem.preflight.growing import as_large_as, size_of, volumes_of
from tabular.deploy.onprem.rendered.rendering import documents, objects_of
from tabular.deploy.target import Target

FAILED = "it did not come up"  # the description of such a release
_STATUS = "failed"
_API = re.compile(r"^apiVersion:.*$", re.MULTILINE)
_SIZE = re.compile(r"^( +storage:).*$", re.MULTILINE)  # a claim has one


def mark_failed(cluster: Cluster, target: Target, revision: int) -> None:
    """Mark a release as failed; a record that is kept elsewhere stays as it is.

    Args:
        cluster: where.
        target: of the release.
        revision: its number.
    """
    found = cluster.get("v1", "Secret", _name(target, revision), target.region)
    if found is None:
        return
    record = _read(found)
    record["info"] |= {"status": _STATUS, "description": FAILED}
    _write(cluster, found, record, labels={"status": _STATUS})


def fit(cluster: Cluster, target: Target, back_to: int | None = None) -> None:
    """Make records fit the cluster as it is, so that Helm can go on from them.

    Objects are put into a version that is served; of kinds that the cluster does not know any more
    there are none, and they are left out. Records that are kept elsewhere stay as they are.

    Args:
        cluster: where.
        target: of the releases.
        back_to: the release that is gone back to: all of it is kept, and none of its own volumes
            is smaller than it is now.
    """
    labels = f"owner=helm,name={target.name}"
    for found in cluster.list("v1", "Secret", target.region, labels=labels):
        record = _read(found)
        whole = found["metadata"]["name"] == _name(target, back_to or 0)
        volumes = volumes_of(cluster, target.region or "", target.name) if whole else {}
        texts = (_fitted(cluster, text, volumes, whole) for text in documents(record["manifest"]))
        manifest = "---".join(text for text in texts if text)
        if manifest != record["manifest"]:
            _write(cluster, found, {**record, "manifest": manifest})


def _fitted(cluster: Cluster, text: str, volumes: Mapping[str, Object], whole: bool) -> str:
    """One document of a manifest, "" if it is left out."""
    one = next(objects_of(text), None)
    if one is None:
        return text
    now = served(cluster, one)
    if not whole and not cluster.has(now["apiVersion"], now["kind"]):
        return ""
    if now != one:
        text = _API.sub(f"apiVersion: {now['apiVersion']}", text, count=1)
    (large,) = as_large_as(volumes, (now,))
    if large != now:
        text = _SIZE.sub(rf"\g<1> {size_of(large)}", text, count=1)
    return text


def _name(target: Target, revision: int) -> str:
    return f"sh.helm.release.v1.{target.name}.v{revision}"


def _read(secret: Object) -> dict[str, Any]:
    text = base64.b64decode(base64.b64decode(secret["data"]["release"]))
    record: dict[str, Any] = json.loads(gzip.decompress(text))
    return record


def _write(
    cluster: Cluster,
    secret: Object,
    record: Mapping[str, Any],
    labels: Mapping[str, str] | None = None,
) -> None:
    packed = base64.b64encode(gzip.compress(json.dumps(record).encode(), mtime=0))
    patch = {
        "metadata": {"labels": dict(labels or {})},
        "data": {"release": base64.b64encode(packed).decode()},
    }
    meta = secret["metadata"]
    cluster.merge("v1", "Secret", meta["name"], meta["namespace"], patch)
