"""A destroy that keeps data does not say so of what an operator would delete."""

from __future__ import annotations

import pytest

from tabular.errors import RefusedError
from tests.deploy.onprem.place import NAME, Place
from tests.deploy.onprem.test_preflight import define
from tests.testbed.kube.cluster import Kube

pytestmark = pytest.mark.k8s
API = "postgresql.cnpg.io/v1"


def test_a_cluster_of_an_operator_is_destroyed_with_its_data_or_not_at_all(own_kube: Kube) -> None:
    define(own_kube, "postgresql.cnpg.io", "Cluster", "clusters")
    place = Place(own_kube, "manifests")
    place.make()
    # What the operator would make.
    place.put("Secret", f"{NAME}-postgresql-app", stringData={"password": "of-the-operator"})
    place.deploy(onprem={"operators": ["cloudnative-pg"]})
    with pytest.raises(RefusedError, match=f"Cluster/{NAME}-postgresql") as refused:
        list(place.engine().destroy(place.target, delete_data=False))
    assert "--delete-data" in str(refused.value.hint)
    assert place.get("clusters", f"{NAME}-postgresql", API) is not None
    assert place.engine().status(place.target).state.value == "ready"
    list(place.engine().destroy(place.target, delete_data=True))
    assert place.get("clusters", f"{NAME}-postgresql", API) is None
