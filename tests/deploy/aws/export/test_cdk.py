"""The exported app, synthesized by the real CDK: it comes to the very template that is deployed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.aws.account.stacks import stack_name
from tabular.deploy.aws.export import cdk
from tests.deploy.aws.made import stack_of
from tests.testbed.npm import node
from tests.testbed.venvs import venv

PINNED = "aws-cdk-lib==2.275.0"
SPECS: Mapping[str, Mapping[str, Any]] = {
    "fargate": {
        "environment": "production",
        "ha": True,
        "compute": {"min_instances": 2, "max_instances": 6, "workers": 2, "spot": {"share": 50}},
        "monitoring": {"enabled": True},
        "backup": {"enabled": True},
    },
    "instances": {"compute": {"type": "ec2", "instances": 2, "workers": 1}},
}


def _sorted(value: Any) -> Any:
    """A part of a template with tags in one order; AWS knows none of them, and the CDK sorts."""
    if isinstance(value, Mapping):
        found = {key: _sorted(one) for key, one in value.items()}
        tags = found.get("Tags")
        return found | (
            {"Tags": sorted(tags, key=lambda tag: str(tag["Key"]))}
            if isinstance(tags, list)
            else {}
        )
    return [_sorted(one) for one in value] if isinstance(value, list) else value


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECS)
def test_it_synthesizes_the_same_template(name: str, tmp_path: Path) -> None:
    stack = stack_of(SPECS[name])
    for path, content in cdk.app(stack).items():
        (tmp_path / path).write_bytes(content)
    python = venv(PINNED) / "python"
    done = subprocess.run(
        [python, "app.py"],
        cwd=tmp_path,
        env={
            "HOME": str(tmp_path),
            "PATH": os.environ["PATH"],
            "JSII_NODE": str(node()),
            "CDK_OUTDIR": str(tmp_path / "out"),
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (synthesized,) = (tmp_path / "out").glob("*.template.json")
    assert synthesized.name == f"{stack_name(stack.target)}.template.json"
    made = json.loads(synthesized.read_bytes())
    for part in ("Resources", "Outputs", "Parameters", "Description", "Metadata"):
        assert _sorted(made[part]) == _sorted(stack.template[part]), part
    # Not a word more, such as a check of a bootstrap that is not needed here.
    assert made.keys() == stack.template.keys()


def test_it_says_what_it_needs() -> None:
    files = cdk.app(stack_of(SPECS["instances"]))
    assert json.loads(files["cdk.json"])["app"] == "python app.py"
    assert b"aws-cdk-lib>=2.150" in files["requirements.txt"]
    compile(files["app.py"], "app.py", "exec")
