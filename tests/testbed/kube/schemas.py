"""Whether objects are valid for a version of Kubernetes, by its published schemas, strictly.

`kubernetes-validate` carries the schemas of 1.25 to 1.37. Its own check stops at the first error
and reads two megabytes for each object; this one gives all errors and reads them once.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, TypeChecker, validators
from referencing import Registry, Resource

from tests.testbed import parts

VERSIONS = tuple(f"1.{minor}" for minor in range(25, 38))


def invalid(
    objects: Iterable[dict[str, Any]], version: str, *, unknown: Collection[str] = ()
) -> list[str]:
    """What a server of this version would refuse about the objects' fields.

    Args:
        objects: as they are rendered.
        version: such as ``1.25``.
        unknown: kinds that the version need not know, each as ``apiVersion Kind``: those of
            custom resource definitions, which come without a schema here.

    Returns:
        One line an error, ``Kind/name at.field: why``; fields that are not known are errors.
    """
    said = []
    for one in objects:
        kind = f"{one.get('apiVersion')} {one.get('kind')}"
        where = f"{one.get('kind')}/{one.get('metadata', {}).get('name')}"
        validator = _validator(version, str(one.get("apiVersion")), str(one.get("kind")))
        if validator is not None:
            found = validator.iter_errors(one)
            said += [f"{where} {error.json_path[2:]}: {error.message}" for error in found]
        elif kind not in unknown:
            said.append(f"{where}: Kubernetes {version} has no {kind}")
    return said


@functools.cache
def _validator(version: str, api_version: str, kind: str) -> Any:
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)  # rbac.authorization.k8s.io/v1
    folder = _folder() / f"v{version}.0-local-strict"
    assert folder.is_dir(), f"there are no schemas of {version}, only of {VERSIONS}"
    file = folder / f"{kind.lower()}-{group}.json"
    if not file.exists():
        return None
    schema = json.loads(file.read_text())
    # Files are named by the group's first word: another domain's is not this kind.
    if api_version not in schema["properties"]["apiVersion"].get("enum", [api_version]):
        return None
    return _exact()(schema, registry=_definitions(folder))


@functools.cache
def _definitions(folder: Path) -> Registry[Any]:
    contents = json.loads((folder / "_definitions.json").read_text())
    definitions: Resource[Any] = Resource.from_contents(contents)
    return definitions @ Registry()


@functools.cache
def _exact() -> Any:
    """A validator for which 10000000.0 is no integer: it would be sent as 1e+07, and refused."""

    def is_integer(_: TypeChecker, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    checker = Draft202012Validator.TYPE_CHECKER.redefine("integer", is_integer)
    return validators.extend(Draft202012Validator, type_checker=checker)


@functools.cache
def _folder() -> Path:
    module = parts.module("kubernetes_validate", package="kubernetes-validate")
    assert module.__file__ is not None
    return Path(module.__file__).with_name("kubernetes-json-schema")
