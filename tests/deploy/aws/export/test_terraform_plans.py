"""The real terraform takes what is exported, against the schema of the real provider."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.aws.export.terraform import terraform as exported
from tabular.deploy.aws.export.terraform.configuration import configure
from tabular.deploy.export.hcl import Block
from tests.deploy.aws import matrix
from tests.deploy.aws.export.bed import initialized, stand_in, write
from tests.testbed.terraform import Terraform

# One of each kind of compute, and what has the most in it. "mysql, replicated" and "named, with a
# certificate that is made" could not be: the bed's provider invents empty lists, and they look
# into one that AWS would have filled.
APPLIED = ("fargate", "named elsewhere", "ec2", "lambda, watched", "batch on instances")
QUICK = ["nothing", "ec2"]


@pytest.fixture(scope="module")
def ready(terraform: Terraform, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is initialized."""
    folder = tmp_path_factory.mktemp("ready")
    return initialized(terraform, folder, exported(matrix.stack("nothing")))


def ran(terraform: Terraform, folder: Path, *arguments: str) -> str:
    """Output of a command that ends well."""
    done: subprocess.CompletedProcess[str] = terraform.run(folder, *arguments)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_every_file_is_as_terraform_fmt_writes_it(terraform: Terraform, tmp_path: Path) -> None:
    for number, name in enumerate(matrix.SPECS):
        folder = tmp_path / str(number)
        folder.mkdir()
        write(exported(matrix.stack(name)), folder)
    ran(terraform, tmp_path, "fmt", "-check", "-recursive", "-diff")


@pytest.mark.parametrize("name", QUICK)
def test_a_configuration_is_valid(terraform: Terraform, ready: Path, name: str) -> None:
    write(stand_in(exported(matrix.stack(name))), ready)
    assert "The configuration is valid." in ran(terraform, ready, "validate")


def test_the_bed_would_see_a_mistake(terraform: Terraform, ready: Path) -> None:
    files = stand_in(exported(matrix.stack("nothing")))
    files["network.tf"] = files["network.tf"].replace(b"cidr_block ", b"cidr_blok ", 1)
    write(files, ready)
    done = terraform.run(ready, "validate")
    assert done.returncode == 1
    assert 'An argument named "cidr_blok" is not expected here' in " ".join(done.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize("name", matrix.SPECS)
def test_every_configuration_is_planned_and_some_are_applied_and_then_unchanged(
    terraform: Terraform, ready: Path, name: str
) -> None:
    stack = matrix.stack(name)
    write(stand_in(exported(stack)), ready)
    ran(terraform, ready, "validate")
    planned = ran(terraform, ready, "plan", "-input=false")
    resources = [one for one in configured(stack) if not one.startswith("aws_wafv2_")]
    assert f"Plan: {len(resources)} to add, 0 to change, 0 to destroy." in planned
    if name not in APPLIED:
        return
    ran(terraform, ready, "apply", "-input=false", "-auto-approve")
    assert "No changes." in ran(terraform, ready, "plan", "-input=false", "-detailed-exitcode")


def configured(stack: Any) -> list[str]:
    """Addresses of the resources of a configuration."""
    found = [one for pieces in configure(stack).pieces.values() for one in pieces]
    return [one.address for one in found if not one.address.startswith("ephemeral.")]


def unknown(block: Block, schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """What a schema of a provider does not know of a block, or wants and does not get."""
    given = set()
    for item in block.items:
        name = item.kind if isinstance(item, Block) else item.name
        given.add(name)
        nested = schema["block_types"].get(name)
        if isinstance(item, Block) and nested is not None:
            yield from unknown(item, nested["block"], f"{path}{name}.")
        elif isinstance(item, Block) and schema["attributes"].get(name, {}).get("type"):
            continue  # of which the bed's schema only knows that it is there
        elif name not in schema["attributes"] and name not in ("lifecycle", "depends_on"):
            yield f"{path}{name}"
    for name, attribute in schema["attributes"].items():
        if attribute.get("required") and name not in given:
            yield f"{path}{name} is missing"


def test_the_firewall_keeps_to_the_schema_that_the_bed_cannot_serve(terraform: Terraform) -> None:
    place = next(terraform.config.parent.glob("mirror/**/terraform-provider-aws_*"))
    schemas = json.loads(Path(place.read_text().split('"')[-2]).read_text())["resource_schemas"]
    pieces = configure(matrix.stack("fargate")).pieces["network.tf"]
    firewall = [one for one in pieces if one.type.startswith("aws_wafv2_")]
    assert [one.type for one in firewall] == ["aws_wafv2_web_acl", "aws_wafv2_web_acl_association"]
    for piece in firewall:
        assert list(unknown(piece.block, schemas[piece.type]["block"])) == []
