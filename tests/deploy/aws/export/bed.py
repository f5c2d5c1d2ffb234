"""Configurations before the real terraform and the real provider's schema.

The provider of the test bed knows the schema and nothing else, and speaks the protocol of a time
before ephemeral resources. So four things stand in for others here, and are looked at by tests of
their own: data sources of the same names and arguments for ephemeral resources, names of zones, a
secret as it is for the field in it, and no firewall, whose rules the bed's schema lacks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tabular.deploy.stack import Stack
from tests.testbed.terraform import Terraform

_FIREWALL = re.compile(
    r'^(?:resource "aws_wafv2_|import \{\n  to = aws_wafv2_).*?^\}\n', re.M | re.S
)
_ZONES = "data.aws_availability_zones.available.names["
_FIELD = re.compile(r'jsondecode\((ephemeral\.[a-z0-9_.]+)\)\["[^"]+"\]')


def write(files: Mapping[str, bytes], folder: Path) -> Path:
    """The files as they are exported, and nothing else of Terraform's in the folder."""
    for old in (*folder.glob("*.tf"), *folder.glob("*.tfstate*")):
        old.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def stand_in(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files as the bed's provider can take them."""
    return {name: _stand_in(one.decode()).encode() for name, one in files.items()}


def _stand_in(text: str) -> str:
    text = _FIELD.sub(r"\1", _FIREWALL.sub("", text)).replace(_ZONES, '["a", "b", "c", "d"][')
    return text.replace('ephemeral "', 'data "').replace("ephemeral.", "data.")


def initialized(terraform: Terraform, folder: Path, files: Mapping[str, bytes]) -> Path:
    """A folder in which the provider is, for one configuration after the other."""
    write(stand_in(files), folder)
    done = terraform.run(folder, "init", "-input=false")
    assert done.returncode == 0, done.stdout
    return folder


def changed(
    stack: Stack, name: str, /, *, attributes: Mapping[str, Any] | None = None, **properties: Any
) -> Stack:
    """A stack in which one resource says something else."""
    resources = dict(stack.template["Resources"])
    resource = resources.get(name, {"Properties": {}})
    resources[name] = {
        **resource,
        "Properties": {**resource["Properties"], **properties},
        **(attributes or {}),
    }
    return replace(stack, template={**stack.template, "Resources": resources})
