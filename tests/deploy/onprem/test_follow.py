"""Warnings that tell of what goes on, and those of what is over."""

from __future__ import annotations

import re

import pytest

from tabular.errors import ApplyError
from tests.deploy.onprem.place import NAME, Place, image
from tests.testbed.kube.cluster import Kube

pytestmark = pytest.mark.k8s
LIMIT = 8.0  # seconds that a release may take here; twice the patience of these tests


@pytest.mark.parametrize(
    ("reason", "ago", "expected"),
    [
        ("FailedMount", 0, "it cannot come up: Deployment/demo-api: FailedMount: no answer"),
        # An hour long a server has a warning about a mount that worked when it was tried again.
        ("FailedMount", 600, "it was not ready within 8 s: Deployment/demo-api: 0 of 1 pods"),
        # A disk is taken off a node that is gone after six minutes.
        ("FailedAttachVolume", 0, "it was not ready within 8 s: Deployment/demo-api: FailedAttach"),
    ],
)
def test_a_trouble_lasts_as_long_as_it_is_told(
    kube: Kube, reason: str, ago: float, expected: str
) -> None:
    place = Place(kube, "manifests")
    engine = place.engine(ready_timeout=LIMIT)
    events = engine.apply(engine.preview(place.stack(image=image("never-ready"))))
    next(one for one in events if one.resource == f"Deployment/{NAME}-api")
    place.warn({"kind": "Deployment", "name": f"{NAME}-api"}, reason, "no answer", ago)
    with pytest.raises(ApplyError, match=re.escape(expected)):
        list(events)
    place.close()
