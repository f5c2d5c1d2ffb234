"""What the chart says of its values is so: schema, defaults, versions, lint, the packed files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from tabular.deploy.onprem.names import CHART, OLDEST_KUBE_VERSION
from tabular.errors import EngineError
from tabular.infra.config import Settings, is_secret
from tabular.version import __version__
from tests.deploy.onprem.chart.cases import BUILT_IN, CASES, ROOT, merged, objects

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
DEFAULTS: dict[str, Any] = YAML(typ="safe").load((CHART / "values.yaml").read_text("utf-8"))
META: dict[str, Any] = YAML(typ="safe").load((CHART / "Chart.yaml").read_text("utf-8"))
# What the chart says itself, and a value may not.
_OWN = {"provider", "environment", "release", "port", "metrics_port"}


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].removeprefix("#/definitions/")]
    return schema


def _trees(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of all objects with named keys."""
    schema = _resolved(schema)
    if "properties" in schema:
        yield path
        for key, child in schema["properties"].items():
            yield from _trees(child, (*path, key))


def _keys(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        yield (*path, key)
        if isinstance(value, Mapping):
            yield from _keys(value, (*path, key))


def _at(path: tuple[str, ...]) -> Mapping[str, Any] | None:
    schema = SCHEMA
    for key in path:
        schema = dict(_resolved(schema)).get("properties", {}).get(key)
        if schema is None:
            return None
    return _resolved(schema)


def test_the_schema_is_one_and_needs_nothing_from_elsewhere() -> None:
    Draft7Validator.check_schema(SCHEMA)
    text = json.dumps({**SCHEMA, "$schema": ""})
    assert '"$ref": "http' not in text
    assert all(line.startswith("#/definitions/") for line in _references(SCHEMA)), (
        "a reference leads out of the file"
    )


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)


def test_the_defaults_are_valid_and_complete() -> None:
    assert [e.json_path for e in Draft7Validator(SCHEMA).iter_errors(DEFAULTS)] == []
    known = set(SCHEMA["properties"]) - {"global"}  # which Helm adds for charts within charts
    assert known == set(DEFAULTS)
    unknown = [
        ".".join(path) for path in _keys(DEFAULTS) if not _is_free(path) and _at(path) is None
    ]
    assert unknown == []


def test_every_value_is_asked_for_by_a_template() -> None:
    files = (CHART / "templates").rglob("*.*")
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    named = set(re.findall(r"[.\"]([A-Za-z]\w*)", text))
    dead = [
        ".".join(path) for path in _keys(DEFAULTS) if not _is_free(path) and path[-1] not in named
    ]
    assert dead == []


def _is_free(path: tuple[str, ...]) -> bool:
    """Whether a parent takes any key, such as labels do."""
    return any(
        (found := _at(path[:length])) is not None and "properties" not in found
        for length in range(1, len(path))
    )


@pytest.mark.parametrize("path", list(_trees(SCHEMA)), ids=lambda path: ".".join(path) or "top")
def test_a_misspelt_key_is_refused_everywhere(path: tuple[str, ...]) -> None:
    values: dict[str, Any] = {"misspelt": 1}
    for key in reversed(path):
        values = {key: values}
    with pytest.raises(EngineError, match="misspelt"):
        objects(merged(BUILT_IN, values))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replicaCount": 0}, "replicaCount"),
        ({"replicaCount": "3"}, "replicaCount"),
        ({"persistence": {"size": "lots"}}, "size"),
        ({"persistence": {"accessMode": "Shared"}}, "accessMode"),
        ({"image": {"digest": "sha256:abc"}}, "digest"),
        ({"settings": {"log_levl": "DEBUG"}}, "log_levl"),
        ({"settings": {"secret_key": "x" * 40}}, "secret_key"),
        ({"ingress": {"host": "https://a.example"}}, "host"),
        ({"ingress": {"allowedCidrs": ["10.0.0.1"]}}, "allowedCidrs"),
        ({"workers": {"terminationGracePeriodSeconds": 5}}, "terminationGracePeriodSeconds"),
        ({"fullnameOverride": "Demo_1"}, "fullnameOverride"),
        ({"kubeVersion": "latest"}, "kubeVersion"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineError, match=said):
        objects(merged(BUILT_IN, values), None)


def test_settings_are_those_of_the_service_but_secrets_and_what_the_chart_says() -> None:
    known = {name for name, field in Settings.model_fields.items() if not is_secret(field)} - _OWN
    listed = SCHEMA["properties"]["settings"]["propertyNames"]["enum"]
    assert listed == sorted(known)


def test_the_charts_versions_are_the_platforms() -> None:
    assert META["version"] == __version__
    assert META["appVersion"] == __version__
    assert META["kubeVersion"] == f">={OLDEST_KUBE_VERSION}.0-0"
    assert "dependencies" not in META


@pytest.mark.parametrize("version", ["v1.19.0", "v1.37.0"])
@pytest.mark.parametrize("values", [{}, *CASES.values()], ids=["defaults", *CASES])
def test_lint_has_nothing_but_a_wish_for_an_icon(values: dict[str, Any], version: str) -> None:
    import helm_python

    report = helm_python.lint(CHART, values, strict=True, kube_version=version)
    assert report["errors"] == []
    assert [one["error"] for one in report["messages"]] == ["icon is recommended"]


def test_the_wheel_has_every_file_of_the_chart(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if "/onprem/chart/" in name}
    wanted = {str(file.relative_to(ROOT / "src")) for file in CHART.rglob("*") if file.is_file()}
    assert packed == wanted
    assert {"tabular/deploy/onprem/chart/.helmignore"} <= packed
