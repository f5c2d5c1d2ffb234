"""Writes which actions CloudFormation takes for each type that we make.

The source is the schema that AWS publishes for each type, with the permissions of its handlers; the
linter brings them. Run it after a new type or a new release of the linter:

    .venv/bin/python scripts/aws_permissions.py
"""

from __future__ import annotations

import json
from pathlib import Path

import cfnlint

from tabular.deploy.aws.tags import KNOWN

REGION = "us-east-1"
OUT = Path(__file__).resolve().parents[1] / "src/tabular/deploy/aws/permissions.json"
# What the handlers name for properties that none of our resources has.
UNUSED = frozenset(
    {"s3tables", "vpc-lattice", "managed-fleets", "firehose", "cognito-idp", "kafka", "redshift"}
)


def permissions() -> dict[str, list[str]]:
    """Actions of making, reading, changing and deleting, by type."""
    schemas = Path(cfnlint.__file__).parent / "data" / "schemas"
    index = json.loads((schemas / "providers" / f"{REGION}.json").read_text("utf-8"))
    found: dict[str, list[str]] = {}
    for type_ in sorted(KNOWN):
        schema = json.loads((schemas / "resources" / f"{index[type_]}.json").read_text("utf-8"))
        actions = {
            action
            for verb, handler in schema["handlers"].items()
            if verb != "list"
            for action in handler.get("permissions", ())
            if action.partition(":")[0] not in UNUSED
        }
        found[type_] = sorted(actions)
    return found


def text() -> str:
    """The file as it has to be."""
    return json.dumps(permissions(), indent=1) + "\n"


if __name__ == "__main__":
    OUT.write_text(text(), encoding="utf-8")
