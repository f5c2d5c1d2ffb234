"""The compiler: what the seed's spec comes to on one host, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.deploy.capability import Support, leaf_paths, lookup
from tabular.deploy.policy import check
from tabular.deploy.provider import ProviderOptions
from tabular.deploy.registry import load_provider
from tabular.deploy.spec import Deployment
from tabular.deploy.standalone.compile import compile_stack
from tabular.deploy.standalone.provider import StandaloneProvider
from tabular.errors import UnsupportedError, UsageError
from tests.deploy.standalone.place import describe
from tests.deploy.standalone.test_services import SEED


def _compile(deployment: Deployment) -> Any:
    return compile_stack(deployment, None, "0" * 16)


def test_the_seed_compiles_with_reductions() -> None:
    stack = _compile(describe("tabular-production", **SEED))
    assert {r.field: (r.asked, r.given) for r in stack.reductions} == {
        "spec.compute.instances": ("3", "3 processes on one host"),
        "spec.cache.type": (
            "one rate limit for a key",
            "each of 3 processes counts alone, so up to that many times",
        ),
        "spec.compute.cpu": ("4", "what this host has"),
        "spec.compute.memory": ("16Gi", "what this host has"),
        "spec.storage.size": ("1Ti", "what this host's disk has"),
        "spec.storage.replication": ("3", "1"),
        "spec.database.size": ("100Gi", "what this host's disk has"),
        "spec.database.ha": ("true", "false"),
        "spec.monitoring.retention": ("30d", "none"),
    }
    resources = {r.id: r for r in stack.resources}
    assert resources["api"].properties["instances"] == 3
    assert resources["database"].properties["engine"] == "postgresql"
    assert stack.template["resources"].keys() == resources.keys()


def test_defaults_reduce_nothing() -> None:
    assert _compile(describe()).reductions == ()


def test_stateful_resources_are_the_data_and_its_secrets() -> None:
    stack = _compile(describe(database={"type": "postgresql"}, cache={"type": "redis"}))
    assert {r.id for r in stack.resources if r.stateful} == {
        "storage", "database", "database-password", "secret-key",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"compute": {"gpu": "required"}}, "compute.gpu"),
        ({"compute": {"type": "ecs-fargate"}}, "compute.type"),
        ({"compute": {"instances": 0}}, "compute.instances"),
        ({"compute": {"workers": 1000}}, "compute.workers"),
        ({"compute": {"spot": {}}}, "compute.spot"),
        ({"storage": {"type": "s3"}}, "storage.type"),
        ({"storage": {"bucket": "mine"}}, "storage.bucket"),
        ({"database": {"type": "mysql"}}, "database.type"),
        ({"cache": {"type": "memcached"}}, "cache.type"),
        ({"queue": {"type": "sqs"}}, "queue.type"),
        ({"region": "us-east-1"}, "region"),
        ({"networking": {"domain": "data.example.com"}}, "networking.domain"),
        ({"monitoring": {"enabled": True, "alarms": ["high_cpu"]}}, "monitoring.alarms"),
        ({"backup": {"enabled": True}}, "backup.enabled"),
        ({"onprem": {"namespace": "x"}}, "onprem.namespace"),
        ({"image": {"tag": "1.0.0"}}, "spec.image"),
    ],
)
def test_what_one_host_cannot_give_is_refused_by_name(spec: dict[str, Any], where: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        _compile(describe(**spec))
    assert where in str(caught.value)
    assert caught.value.hint


def test_a_no_asks_for_nothing() -> None:
    spec = {"networking": {"waf": False}, "backup": {"enabled": False}, "ha": False}
    assert _compile(describe(**spec)).reductions == ()


@pytest.mark.parametrize(
    ("overrides", "word"),
    [
        ({"prot": 8080}, "did you mean 'port'?"),
        ({"port": 0}, "1 to 65535"),
        ({"port": "8080"}, "1 to 65535"),
        ({"settings": {"log_levle": "DEBUG"}}, "did you mean 'log_level'?"),
        ({"settings": {"secret_key": "x"}}, "no setting that may be overridden"),
        ({"settings": {"database_url": "sqlite:///x"}}, "no setting that may be overridden"),
        ({"settings": {"log_level": True}}, "a text or a number"),
    ],
)
def test_wrong_overrides_are_errors(overrides: dict[str, Any], word: str) -> None:
    with pytest.raises((UsageError, ValueError)) as caught:
        _compile(describe(overrides=overrides))
    assert word in str(caught.value) or "secret" in str(caught.value)


def test_settings_reach_every_process() -> None:
    stack = _compile(
        describe(
            overrides={"port": 8123, "settings": {"log_level": "DEBUG", "inline_rows": 5}},
            queue={"type": "native", "max_attempts": 7, "visibility_timeout": "2m"},
        )
    )
    for name in ("api", "worker"):
        environment = stack.template["resources"][name]["Properties"]["environment"]
        assert environment["TABULAR_LOG_LEVEL"] == "DEBUG"
        assert environment["TABULAR_INLINE_ROWS"] == "5"
        assert environment["TABULAR_JOB_MAX_ATTEMPTS"] == "7"
        assert environment["TABULAR_JOB_LEASE"] == "120"
    assert stack.template["resources"]["api"]["Properties"]["port"] == 8123


def test_runtime_is_known_or_refused() -> None:
    with pytest.raises(UsageError, match="process, container"):
        StandaloneProvider(ProviderOptions(runtime="proces"))


def test_every_field_of_the_spec_has_a_word() -> None:
    schema = Deployment.model_json_schema(by_alias=True)
    spec = schema["$defs"]["Spec"]["properties"]
    table = StandaloneProvider(ProviderOptions()).capabilities
    for name in spec:
        known = name in table or any(path.startswith(f"{name}.") for path in table)
        assert known, f"spec.{name} is not in the table of capabilities"
    assert lookup(table, "tomorrow.field").support is Support.UNSUPPORTED


def test_the_registry_finds_it() -> None:
    assert load_provider("standalone").name == "standalone"


specs = st.fixed_dictionaries(
    {},
    optional={
        "ha": st.booleans(),
        "environment": st.sampled_from(["development", "staging", "production"]),
        "compute": st.fixed_dictionaries(
            {},
            optional={
                "instances": st.integers(1, 8),
                "workers": st.integers(1, 8),
                "cpu": st.integers(1, 64),
                "memory": st.sampled_from(["512Mi", "16Gi"]),
                "gpu": st.sampled_from(["none", "optional"]),
            },
        ),
        "storage": st.fixed_dictionaries(
            {}, optional={"size": st.just("1Ti"), "replication": st.integers(1, 5)}
        ),
        "database": st.fixed_dictionaries(
            {}, optional={"type": st.sampled_from(["sqlite", "postgresql"]), "ha": st.booleans()}
        ),
        "cache": st.fixed_dictionaries(
            {"type": st.sampled_from(["redis", "memory"])}, optional={"ha": st.booleans()}
        ),
    },
)


@given(spec=specs, data=st.data())
@settings(deadline=None)
def test_compile_is_deterministic_and_does_not_care_for_order(
    spec: dict[str, Any], data: st.DataObject
) -> None:
    names = data.draw(st.permutations(list(spec)))
    first = _compile(describe(**spec))
    second = _compile(describe(**{name: spec[name] for name in names}))
    assert first.to_bytes() == second.to_bytes()
    assert first.resources == second.resources
    assert first.reductions == second.reductions
    assert json.loads(first.to_bytes()) == first.template
    again = _compile(Deployment.from_canonical(first.spec))
    assert again.to_bytes() == first.to_bytes()
    for resource in first.resources:
        assert set(resource.depends_on) <= {r.id for r in first.resources}
    assert all(isinstance(path, str) for path in leaf_paths(first.spec))


def test_metrics_that_are_not_wanted_are_offered_all_the_same_and_said_to_be() -> None:
    said = _compile(describe(monitoring={"enabled": False})).reductions
    assert {(r.field, r.asked, r.given) for r in said} == {
        ("spec.monitoring.enabled", "false", "true")
    }


def test_who_wants_backups_is_told_of_the_command_for_them() -> None:
    with pytest.raises(UnsupportedError, match="inferloop-tabular backup create"):
        _compile(describe(backup={"enabled": True}))
    production = describe(environment="production")
    table = StandaloneProvider(ProviderOptions()).capabilities
    found = {f.rule: f.hint for f in check(production, _compile(production), capabilities=table)}
    assert "inferloop-tabular backup create" in found["production-backup"]
    assert "--enable-monitoring" in found["production-monitoring"]
