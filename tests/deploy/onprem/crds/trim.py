"""Cut a custom resource definition down to what the chart's resources are checked by.

    python -m tests.deploy.onprem.crds.trim DEFINITION.yaml KIND VERSION FIELD[,FIELD…]

FIELD are those of `spec` whose insides are kept; of all others the name is, so that a field that
does not exist is still found out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

_KEPT = (
    "additionalProperties", "anyOf", "enum", "items", "maximum", "minimum", "pattern", "properties",
    "required", "type", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields",
)  # fmt: skip


def bare(schema: Any) -> Any:
    """A schema without descriptions and defaults."""
    if isinstance(schema, list):
        return [bare(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: bare(schema[key]) for key in _KEPT if key in schema and key != "properties"}
    if "properties" in schema:
        found["properties"] = {name: bare(one) for name, one in schema["properties"].items()}
    return found


def trimmed(definition: Any, version: str, fields: set[str]) -> Any:
    """The schema of a version of a definition."""
    found = next(one for one in definition["spec"]["versions"] if one["name"] == version)
    whole = bare(found["schema"]["openAPIV3Schema"])
    kept = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {}}
    spec = whole["properties"]["spec"]
    for name in spec["properties"]:
        if name not in fields:
            spec["properties"][name] = {}
    return {"type": "object", "properties": {**kept, "spec": spec}, "required": ["spec"]}


def main() -> None:
    """Write the file beside this one."""
    source, kind, version, fields = sys.argv[1:]
    definition = YAML(typ="safe").load(Path(source))
    schema = trimmed(definition, version, set(fields.split(",")))
    name = f"{definition['spec']['group']}_{kind}_{version}.json"
    text = json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n"
    Path(__file__).with_name(name).write_text(text)


if __name__ == "__main__":
    main()
