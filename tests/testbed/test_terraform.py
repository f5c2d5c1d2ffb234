"""The real terraform takes what the real AWS provider's schema takes, and refuses the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.testbed.terraform import Terraform

QUEUE = """
resource "aws_sqs_queue" "jobs" {
  name                       = "jobs"
  visibility_timeout_seconds = 30
  tags                       = { team = "x" }
}

resource "aws_s3_bucket" "data" {
  bucket = "data-${aws_sqs_queue.jobs.id}"
}

output "queue" {
  value = aws_sqs_queue.jobs.arn
}
"""


def write(terraform: Terraform, folder: Path, resources: str) -> None:
    version = terraform.versions["aws"]
    (folder / "main.tf").write_text(
        "terraform {\n  required_providers {\n"
        f'    aws = {{ source = "hashicorp/aws", version = "{version}" }}\n  }}\n}}\n'
        f'provider "aws" {{ region = "eu-west-1" }}\n{resources}'
    )


def configured(terraform: Terraform, folder: Path, resources: str) -> Path:
    write(terraform, folder, resources)
    done = terraform.run(folder, "init", "-input=false")
    assert done.returncode == 0, done.stdout
    return folder


def test_the_schema_is_whole(terraform: Terraform, tmp_path: Path) -> None:
    folder = configured(terraform, tmp_path, "")
    done = terraform.run(folder, "providers", "schema", "-json")
    found = json.loads(done.stdout)["provider_schemas"]["registry.terraform.io/hashicorp/aws"]
    assert len(found["resource_schemas"]) > 1700
    block = found["resource_schemas"]["aws_db_instance"]["block"]
    assert block["attributes"]["instance_class"] == {
        "type": "string",
        "description_kind": "plain",
        "required": True,
    }


@pytest.mark.slow
def test_a_valid_configuration_is_planned_applied_and_then_unchanged(
    terraform: Terraform, tmp_path: Path
) -> None:
    folder = configured(terraform, tmp_path, QUEUE)
    assert terraform.run(folder, "validate").returncode == 0
    planned = terraform.run(folder, "plan", "-input=false")
    assert "Plan: 2 to add, 0 to change, 0 to destroy." in planned.stdout
    applied = terraform.run(folder, "apply", "-input=false", "-auto-approve")
    assert applied.returncode == 0, applied.stdout
    again = terraform.run(folder, "plan", "-input=false", "-detailed-exitcode")
    assert again.returncode == 0, again.stdout
    changed = QUEUE.replace("= 30", "= 60")
    write(terraform, folder, changed)
    update = terraform.run(folder, "plan", "-input=false", "-detailed-exitcode")
    assert update.returncode == 2
    assert "Plan: 0 to add, 1 to change, 0 to destroy." in update.stdout


@pytest.fixture(scope="module")
def ready(terraform: Terraform, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is initialized."""
    return configured(terraform, tmp_path_factory.mktemp("ready"), QUEUE)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("visibility_timeout_seconds", "visibility_timeout", "Unsupported argument"),
        ("= 30", '= "soon"', "a number is required"),
        ('"aws_sqs_queue" "jobs"', '"aws_sqs_heap" "jobs"', "Invalid resource type"),
        ("aws_sqs_queue.jobs.arn", "aws_sqs_queue.jobs.nothing", "Unsupported attribute"),
        ('{ team = "x" }', '["x"]', "map of string required"),
    ],
)
def test_a_configuration_that_the_schema_forbids_is_refused(
    terraform: Terraform, ready: Path, old: str, new: str, words: str
) -> None:
    assert old in QUEUE
    write(terraform, ready, QUEUE.replace(old, new, 1))
    done = terraform.run(ready, "validate")
    assert done.returncode == 1
    assert words in " ".join(done.stdout.split())
