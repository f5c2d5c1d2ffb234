"""Releases whose records were written in versions of kinds that the cluster serves no more.

The server of the bed is old, so the other way round: it does not know the versions that came after
it. To Helm and to us that is the same.
"""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from tabular.deploy.provider import State
from tests.deploy.onprem.place import NAME, Place

pytestmark = pytest.mark.k8s
PODS: dict[str, Any] = {"compute": {"instances": 2}}  # so many that a budget says how many stay
NEWER = {"policy/v1beta1": "policy/v1", "batch/v1beta1": "batch/v1"}
NOBODYS = "apiVersion: gone.example.com/v1\nkind: Widget\nmetadata:\n  name: demo-widget\n"


def rewrite(place: Place) -> None:
    """Put all that is remembered of releases into versions that this server does not know.

    The last one of Helm has a kind as well whose definition is gone.
    """
    found = place.kube.list(place.path("secrets"))
    records = [one for one in found if "release" in (one.get("data") or {})]
    newest = max(int(one["metadata"]["labels"]["version"]) for one in records)
    for secret in records:
        packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        text = gzip.decompress(packed).decode()
        for old, new in NEWER.items():
            text = text.replace(old, new)
        record = json.loads(text)
        if "manifest" in record and secret["metadata"]["labels"]["version"] == str(newest):
            record["manifest"] += f"---\n{NOBODYS}"
        again = base64.b64encode(gzip.compress(json.dumps(record).encode()))
        data = {"release": base64.b64encode(again).decode()}
        place.edit("secrets", secret["metadata"]["name"], {"data": data}, api="v1")


def budget(place: Place) -> dict[str, Any] | None:
    return place.get("poddisruptionbudgets", f"{NAME}-api", "policy/v1beta1")


def test_a_deployment_goes_on_after_its_cluster_was_upgraded(place: Place) -> None:
    place.deploy(**PODS)
    before = budget(place)
    assert before is not None
    rewrite(place)
    assert place.plan(**PODS).is_empty
    gone = [one.resource for one in place.engine().drift(place.target) if one.gone]
    assert gone == (["Widget/demo-widget"] if place.method == "helm" else [])
    place.deploy(compute={"instances": 3})
    rewrite(place)
    engine = place.engine()
    list(engine.rollback(engine.preview_rollback(place.target)))
    assert engine.status(place.target).state is State.READY
    assert place.api()["spec"]["replicas"] == 2
    now = budget(place)
    assert now is not None
    assert now["metadata"]["uid"] == before["metadata"]["uid"]
    rewrite(place)
    list(place.engine().destroy(place.target, delete_data=False))
    assert budget(place) is None
    assert place.pods() == []
