"""cfn-lint, AWS's own check of templates, over whole templates."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tabular.deploy.stack import Stack
from tests.deploy.aws.made import REGION
from tests.testbed import parts


def findings(folder: Path, stacks: Mapping[str, Stack]) -> list[str]:
    """What cfn-lint finds in the bytes that would be applied; one line each, with the label.

    Args:
        folder: an empty one for the templates.
        stacks: by label.
    """
    program = parts.binary("cfn-lint", package="cfn-lint")
    for label, stack in stacks.items():
        (folder / f"{label}.json").write_bytes(stack.to_bytes())
    done = subprocess.run(
        [program, "--regions", REGION, "--format", "json", "--", *folder.glob("*.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    found = json.loads(done.stdout or "[]")
    return [
        f"{Path(one['Filename']).stem}: {one['Rule']['Id']} {one['Message']} "
        f"at {'.'.join(map(str, one['Location']['Path'] or ()))}"
        for one in found
    ]


def found_in(stack: Stack) -> list[str]:
    """What cfn-lint finds in one stack; see :func:`found`."""
    return found(stack.to_bytes().decode(), stack.target.region)


def found(template: str, region: str | None) -> list[str]:
    """What cfn-lint finds in one template, asked in this process, as a start takes a second."""
    api = parts.module("cfnlint.api", package="cfn-lint")
    return [
        f"{one.rule.id} {one.message} at {'.'.join(map(str, one.path or ()))}"
        for one in api.lint(template, regions=[region or REGION])
    ]
