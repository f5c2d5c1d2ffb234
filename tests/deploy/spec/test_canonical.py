"""The travelling form: only what was said, no secret, nothing of the user's machine, both ways."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.deploy.capability import leaf_paths
from tabular.deploy.spec import Deployment, asked, canonical, explain, load, load_text
from tabular.errors import SpecError
from tests.deploy.spec.files import EXAMPLES, PORTABLE

CANARY = "canary-7f3a9c"
SECRETS = (
    PORTABLE
    + f"""
spec:
  database: {{type: postgresql, password: {CANARY}}}
  cache: {{password: {{secretRef: env:CACHE_PASSWORD}}}}
  storage: {{minio: {{root_password: "{CANARY}"}}}}
  monitoring: {{enabled: true, grafana: {{admin_password: {CANARY}}}}}
"""
)


def specs() -> st.SearchStrategy[dict[str, Any]]:
    """Valid specs of many shapes, as files would have them."""
    sizes = st.integers(1, 4096).map(lambda n: f"{n}Gi")
    durations = st.sampled_from(["5m", "12h", "30d", "1y"])

    def block(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({}, optional=keys)

    return block(
        provider=st.sampled_from(["aws", "gcp", "azure", "onprem", "standalone"]),
        environment=st.sampled_from(["development", "production", "staging"]),
        ha=st.booleans(),
        compute=block(
            instances=st.integers(0, 100),
            workers=st.integers(0, 100),
            cpu=st.one_of(st.integers(1, 64), st.sampled_from(["500m", "0.25", 1.5])),
            memory=sizes,
            gpu=st.sampled_from(["none", "optional", "required", True, False]),
            spot=st.one_of(st.none(), block(share=st.integers(0, 100))),
        ),
        storage=block(
            size=sizes,
            replication=st.integers(1, 16),
            lifecycle=block(transition_to_ia=st.integers(1, 99), expire=st.just("1y")),
            **{"class": st.just("STANDARD")},
        ),
        database=block(
            type=st.sampled_from(["postgresql", "mysql", "sqlite"]),
            version=st.sampled_from(["14", "16.3"]),
            backup_retention=st.one_of(st.integers(1, 99), durations),
            password=st.just({"secretRef": "env:DB"}),
        ),
        cache=st.one_of(st.none(), block(size=sizes)),
        queue=block(visibility_timeout=durations),
        monitoring=st.fixed_dictionaries(
            {"enabled": st.just(True)},
            optional={"retention": durations, "alarms": st.just(["high_cpu"])},
        ),
        overrides=st.dictionaries(
            st.sampled_from(["aws", "gcp"]), st.just({"b": [1, {"x": None}], "a": 2.5})
        ),
    )


@given(specs())
@settings(deadline=None)  # it is about bytes, and machines are slow now and then
def test_round_trip(spec: dict[str, Any]) -> None:
    text = json.dumps(
        {
            **{"apiVersion": "synthdata.inferloop.io/v1", "kind": "Deployment"},
            "metadata": {"name": "x"},
            "spec": spec,
        }
    )
    loaded = load_text(text)
    data = canonical(loaded.deployment)
    again = Deployment.from_canonical(json.loads(json.dumps(data)))
    assert again == loaded.deployment
    assert json.dumps(canonical(again)) == json.dumps(data)
    assert canonical(load_text(json.dumps(data)).deployment) == data


def test_the_order_of_the_file_does_not_matter() -> None:
    one = load_text(PORTABLE + "spec: {compute: {cpu: 4, memory: 16Gi}, storage: {size: 1Ti}}")
    two = load_text(
        "spec: {storage: {size: 1024Gi}, compute: {memory: 16384Mi, cpu: 4000m}}\n"
        "kind: Deployment\napiVersion: synthdata.inferloop.io/v1\n"
    )
    assert json.dumps(canonical(one.deployment)) == json.dumps(canonical(two.deployment))


def test_the_order_of_names_does_not_matter_either() -> None:
    spec = "spec: {{topology: multi-cloud-active-active, providers: {{{0}: {1}, {2}: {1}}}}}"
    one, two = (
        load_text(PORTABLE + spec.format(first, "{regions: [r]}", second)).deployment
        for first, second in (("aws", "gcp"), ("gcp", "aws"))
    )
    assert list(one.spec.providers) == list(two.spec.providers) == ["aws", "gcp"]


def test_only_what_was_said_is_asked_of_a_provider() -> None:
    said = asked(load(EXAMPLES / "deployment.yaml").deployment)
    assert sorted(leaf_paths(said)) == [
        "compute.cpu",
        "compute.gpu",
        "compute.instances",
        "compute.memory",
        "database.ha",
        "database.size",
        "database.type",
        "monitoring.enabled",
        "monitoring.retention",
        "storage.replication",
        "storage.size",
        "storage.type",
    ]


def test_no_secret_leaves_the_model() -> None:
    loaded = load_text(SECRETS, "f.yaml")
    made = loaded.deployment
    shown = (
        json.dumps(canonical(made)),
        repr(made),
        str(made),
        repr(loaded),
        made.model_dump_json(),
        str(made.model_dump()),
        "".join(map(repr, explain(loaded))),
        repr(loaded.origins),
    )
    assert all(CANARY not in text for text in shown)
    assert {path for path, _ in made.secret_literals()} == {
        "spec.database.password",
        "spec.storage.minio.root_password",
        "spec.monitoring.grafana.admin_password",
    }
    assert canonical(made)["spec"]["cache"]["password"] == {"secretRef": "env:CACHE_PASSWORD"}
    again = Deployment.from_canonical(canonical(made))
    assert list(again.secret_literals()) == []
    assert again.spec.database.password is not None
    assert again.spec.database.password.withheld


@pytest.mark.parametrize(
    "value",
    [
        f"[{CANARY}]",
        f"{{secret: {CANARY}}}",
        f"{{literal: {CANARY}}}",
        "12345678",
        f"{{secretRef: {CANARY}}}",
        f"{{secretRef: 'env:A', literal: {CANARY}}}",
        f"{{secretRef: 'env:A', {CANARY}: 1}}",
        "true",
        "{}",
        "",
        "''",
    ],
)
def test_a_wrong_secret_is_not_repeated(value: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_text(PORTABLE + f"spec: {{database: {{username: [], password: {value}}}}}", "f.yaml")
    if f"{CANARY}: 1" not in value:
        assert CANARY not in str(caught.value)
    assert "12345678" not in str(caught.value)
    assert "spec.database.password" in str(caught.value) or value == ""


def test_what_another_release_wrote_is_a_clear_error() -> None:
    data = canonical(load(None).deployment)
    with pytest.raises(SpecError, match="kept with the deployment cannot be read") as caught:
        Deployment.from_canonical({**data, "spec": {"tomorrow": 1}})
    assert "spec.tomorrow" in caught.value.message
