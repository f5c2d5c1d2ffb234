"""Writes which actions CloudFormation takes for each type that we make, and what an import of one
has to know.

The source is the schema that AWS publishes for each type, with the permissions of its handlers; the
linter brings them. Run it after a new type or a new release of the linter:

    .venv/bin/python scripts/aws_permissions.py
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cfnlint

from tabular.deploy.aws.words.tags import KNOWN

REGION = "us-east-1"
AWS = Path(__file__).resolve().parents[1] / "src/tabular/deploy/aws"
OUT = AWS / "permissions.json"
IMPORTABLE = AWS / "importing/importable.json"
DATA = Path(cfnlint.__file__).parent / "data"
# What the handlers name for properties that none of our resources has.
UNUSED = frozenset(
    {"acm-pca", "amplify", "apigateway", "apprunner", "appsync", "bedrock-agentcore", "cognito-idp",
     "docdb-elastic", "eks", "elasticfilesystem", "firehose", "kafka", "managed-fleets", "payments",
     "redshift", "redshift-serverless", "route53-recovery-control-config", "s3files", "s3tables",
     "vpc-lattice"}
)  # fmt: skip
# What they name too widely: this is what a launch template's image and instance types are read by.
NARROWED = {
    "ec2:Get*": ("ec2:GetInstanceTypesFromInstanceRequirements", "ec2:GetLaunchTemplateData"),
    "ssm:Get*": ("ssm:GetParameter", "ssm:GetParameters"),
}


def permissions() -> dict[str, list[str]]:
    """Actions of making, reading, changing and deleting, by type."""
    known = _read("AdditionalSpecs", "Policies.json")
    found: dict[str, set[str]] = {}
    for type_, schema in _schemas():
        said = {
            action
            for verb, handler in schema["handlers"].items()
            if verb != "list"
            for action in handler.get("permissions", ())
        }
        found[type_] = set(_usable(said, known))
    # IAM makes no difference between small letters and capitals, but a policy has little room.
    spelled = {one.lower(): one for one in sorted(set().union(*found.values()))}
    return {type_: sorted({spelled[one.lower()] for one in some}) for type_, some in found.items()}


def importable() -> dict[str, dict[str, list[str]]]:
    """Of each type that can be imported: what names one, and which properties are special.

    Those are the ones that only a new resource can have (``fixed``, also where merely something
    within them is, or under conditions), those that have to be said, and those that no service
    tells (``unread``).
    A type whose handlers cannot read a resource that is there cannot be imported.
    """
    return {
        type_: {
            "identifier": [one.rpartition("/")[2] for one in schema["primaryIdentifier"]],
            "fixed": sorted(
                {
                    one.split("/")[2]
                    for key in ("createOnlyProperties", "conditionalCreateOnlyProperties")
                    for one in schema.get(key, ())
                }
            ),
            "required": sorted(schema.get("required", ())),
            "unread": sorted(
                one.split("/")[2]
                for one in schema.get("writeOnlyProperties", ())
                if one.count("/") == 2
            ),
        }
        for type_, schema in _schemas()
        if "read" in schema["handlers"]
    }


def _schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """The schema of each type that we make."""
    index = _read("schemas", "providers", f"{REGION}.json")
    for type_ in sorted(KNOWN):
        yield type_, _read("schemas", "resources", f"{index[type_]}.json")


def _usable(said: Iterable[str], known: Mapping[str, Any]) -> Iterator[str]:
    """The actions that IAM knows, of services that we make use of."""
    for action in said:
        for one in NARROWED.get(action, (action,)):
            service, _, name = one.partition(":")
            actions = known.get(service.lower(), {}).get("Actions", {})
            if service.lower() not in UNUSED and (name.endswith("*") or name.lower() in actions):
                yield f"{service.lower()}:{name}"


def _read(*path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DATA.joinpath(*path).read_text("utf-8"))
    return found


def text() -> str:
    """The file of the actions as it has to be."""
    return json.dumps(permissions(), indent=1) + "\n"


def importable_text() -> str:
    """The file for imports as it has to be: one type a line."""
    lines = (f"{json.dumps(type_)}: {json.dumps(one)}" for type_, one in importable().items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    OUT.write_text(text(), encoding="utf-8")
    IMPORTABLE.write_text(importable_text(), encoding="utf-8")
