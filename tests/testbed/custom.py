"""Whether objects of operators are valid, by models that others made from the operators' CRDs.

Velero, the Prometheus operator, cert-manager and Sealed Secrets: `cloudcoil-models-*` (PyPI), in a
virtual environment of their own. External Secrets, Argo CD, Flux, the Gateway API:
`@kubernetes-models/*` (npm).
What a model does not know is an error too, as an API server would drop it silently; those of npm
do not look for it, so the compiler of TypeScript holds the objects to their types besides.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.testbed import npm
from tests.testbed.venvs import venv

# The newest of each that run on Python 3.11.
_MODELS = (
    "cloudcoil-models-velero==1.15.2.1",
    "cloudcoil-models-prometheus-operator==0.80.1.0",
    "cloudcoil-models-cert-manager==1.17.1.0",
)
_MODULES = {
    "velero.io/v1": "cloudcoil.models.velero.v1",
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
    "cert-manager.io/v1": "cloudcoil.models.cert_manager.v1",
}
_COMPILER = ("typescript", "5.9.3")
_FLUX = ("@kubernetes-models/flux-cd", "4.0.0")
_NPM = {
    "external-secrets.io/v1": ("@kubernetes-models/external-secrets", "2.0.0"),
    "argoproj.io/v1alpha1": ("@kubernetes-models/argo-cd", "4.0.0"),
    "gateway.networking.k8s.io/v1": ("@kubernetes-models/gateway-api", "2.0.0"),
    "helm.toolkit.fluxcd.io/v2": _FLUX,
    "kustomize.toolkit.fluxcd.io/v1": _FLUX,
    "source.toolkit.fluxcd.io/v1": _FLUX,
}

_PYTHON = """
import importlib, json, sys
modules, objects = json.load(sys.stdin)
def lost(given, read, at):
    if isinstance(given, dict) and isinstance(read, dict):
        for key, value in given.items():
            if key not in read:
                yield f"{at}.{key}: not known"
            else:
                yield from lost(value, read[key], f"{at}.{key}")
    elif isinstance(given, list) and isinstance(read, list):
        for number, pair in enumerate(zip(given, read)):
            yield from lost(*pair, f"{at}[{number}]")
    elif given != read:
        yield f"{at}: {given!r} is read as {read!r}"
found = []
for one in objects:
    where = f"{one['kind']}/{one['metadata']['name']}"
    try:
        model = getattr(importlib.import_module(modules[one["apiVersion"]]), one["kind"])
        read = model.model_validate(one).model_dump(
            mode="json", by_alias=True, exclude_unset=True
        )
        found += lost(one, read, where)
    except Exception as error:
        found.append(f"{where}: {error}")
json.dump(found, sys.stdout)
"""
_NODE = """
import { readFileSync } from "node:fs";
const [folders, objects] = JSON.parse(readFileSync(0, "utf8"));
const found = [];
for (const one of objects) {
  const [folder, version] = folders[one.apiVersion];
  const models = await import(`${folder}/${version}/index.js`);
  try { new models[one.kind](one).validate(); }
  catch (error) { found.push(`${one.kind}/${one.metadata.name}: ${error.message}`); }
}
process.stdout.write(JSON.stringify(found));
"""


def invalid(objects: Iterable[Mapping[str, Any]]) -> list[str]:
    """What an API server with the operators' CRDs would refuse or drop; one line an error.

    Objects of other API groups are not looked at.
    """
    made = list(objects)
    python = [one for one in made if one["apiVersion"] in _MODULES]
    node = [one for one in made if one["apiVersion"] in _NPM]
    found: list[str] = []
    if python:
        program = str(venv(*_MODELS) / "python")
        found += _asked([program, "-c", _PYTHON], [_MODULES, python])
    if node:
        found += _asked(_node(), [_folders(), node])
        found += _unknown(node)
    return found


def _unknown(objects: list[Mapping[str, Any]]) -> list[str]:
    """What the types of npm's models do not have."""
    folders = _folders()
    lines = []
    for number, one in enumerate(objects):
        folder, version = folders[one["apiVersion"]]
        kind, place = one["kind"], json.dumps(f"{folder}/{version}/{one['kind']}")
        wanted = f"import({place}).I{kind}"
        lines.append(f"export const o{number}: {wanted} = {json.dumps(one)};")
    compiler = npm.package(*_COMPILER) / "node_modules" / "typescript" / "bin" / "tsc"
    options = ["--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "node10"]
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "objects.ts"
        file.write_text("\n".join(lines), encoding="utf-8")
        command = [str(npm.node()), str(compiler), *options, str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    said = re.findall(r"objects\.ts\((\d+),\d+\): error TS\d+: (.*)", done.stdout)
    assert bool(said) == bool(done.returncode), done.stdout + done.stderr
    return [f"{_id(objects[int(line) - 1])}: {words}" for line, words in said]


def _id(one: Mapping[str, Any]) -> str:
    return f"{one['kind']}/{one['metadata']['name']}"


def _asked(command: list[str], said: Any) -> list[str]:
    done = subprocess.run(
        command, input=json.dumps(said), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def _node() -> list[str]:
    return [str(npm.node()), "--input-type=module", "--eval", _NODE]


def _folders() -> dict[str, tuple[str, str]]:
    found = {}
    for api_version, (name, version) in _NPM.items():
        group, _, short = api_version.partition("/")
        folder: Path = npm.package(name, version) / "node_modules" / name / group
        found[api_version] = (str(folder), short)
    return found
