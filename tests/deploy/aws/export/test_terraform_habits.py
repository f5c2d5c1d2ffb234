"""A configuration is what people who know Terraform would write: names, guards, order."""

from __future__ import annotations

import re

import pytest

from tabular.deploy.aws.account.stacks import release_of, stack_name
from tabular.deploy.aws.export.terraform import terraform
from tabular.deploy.aws.export.terraform.kinds import KINDS
from tabular.deploy.export.hcl import identifier
from tests.deploy.aws import matrix
from tests.deploy.aws.made import stack_of


def block(name: str, file: str, address: str) -> str:
    """One resource as it is written."""
    type_, _, label = address.partition(".")
    text = terraform(matrix.stack(name))[file].decode()
    found = written(type_, label, text)
    assert found is not None, address
    return found


def written(type_: str, label: str, text: str) -> str | None:
    """A resource in a text of many."""
    pattern = rf'^resource "{type_}" "{label}" \{{\n.*?^\}}\n'
    found = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    return None if found is None else found[0]


def test_resources_are_in_files_by_what_they_are_for() -> None:
    assert list(terraform(matrix.stack("fargate"))) == [
        "README.md",
        "versions.tf",
        "variables.tf",
        "locals.tf",
        "data.tf",
        "network.tf",
        "security.tf",
        "storage.tf",
        "database.tf",
        "compute.tf",
        "scaling.tf",
        "monitoring.tf",
        "outputs.tf",
    ]
    assert "scaling.tf" not in terraform(matrix.stack("lambda"))


@pytest.mark.parametrize("name", matrix.SPECS)
def test_what_holds_data_is_not_destroyed_by_a_slip(name: str) -> None:
    stack = matrix.stack(name)
    text = "\n".join(one.decode() for one in terraform(stack).values())
    for id_, resource in stack.template["Resources"].items():
        type_ = KINDS[resource["Type"]].type
        found = written(type_, identifier(id_), text)
        if type_:
            assert found is not None, id_
            kept = resource.get("DeletionPolicy", "Delete") != "Delete"
            assert ("prevent_destroy = true" in found) == kept, id_


def test_a_number_that_scales_is_not_set_back() -> None:
    ignored = "ignore_changes = [desired_count]"
    assert ignored in block("fargate", "compute.tf", "aws_ecs_service.api_service")
    assert ignored in block("fargate", "compute.tf", "aws_ecs_service.worker_service")
    assert ignored not in block("nothing", "compute.tf", "aws_ecs_service.api_service")
    started = {
        "compute": {"max_instances": 3},
        "overrides": {"aws": {"ApiService": {"DesiredCount": 2}}},
    }
    text = terraform(stack_of(started))["compute.tf"].decode()
    service = written("aws_ecs_service", "api_service", text) or ""
    assert re.findall(r"desired_count += ([0-9])", service) == ["2"]
    assert ignored in service
    group = block("ec2", "compute.tf", "aws_autoscaling_group.api_group")
    assert "ignore_changes = [desired_capacity]" in group


def test_programs_start_once_they_have_their_rights() -> None:
    service = block("nothing", "compute.tf", "aws_ecs_service.worker_service")
    assert "aws_iam_role_policy.worker_role," in service
    assert "aws_iam_role_policy.execution_role," in service
    assert "aws_iam_role_policy.api_role," not in service
    group = block("ec2", "compute.tf", "aws_autoscaling_group.worker_group")
    assert "aws_iam_role_policy.instance_role," in group
    assert "aws_iam_role_policy_attachment.instance_role_amazon_ssm" in group
    function = block("lambda", "compute.tf", "aws_lambda_function.function")
    assert "depends_on = [aws_iam_role_policy.function_role]" in function


def test_what_must_not_be_missing_is_made_before_the_old_one_goes() -> None:
    assert "create_before_destroy = true" in block(
        "nothing", "network.tf", "aws_lb_target_group.target_group"
    )
    environment = block("batch", "compute.tf", "aws_batch_compute_environment.compute_environment")
    assert re.search(r'name_prefix += "\$\{var.name\}-compute-environment-"', environment)


def test_copies_of_a_bucket_wait_until_it_keeps_versions() -> None:
    copied = block(
        "mysql, replicated", "storage.tf", "aws_s3_bucket_replication_configuration.bucket"
    )
    assert "depends_on = [aws_s3_bucket_versioning.bucket]" in copied


def test_rules_of_security_groups_are_resources_of_their_own() -> None:
    text = terraform(matrix.stack("fargate"))["network.tf"].decode()
    assert not re.search(r"^  (ingress|egress) ", text, re.MULTILINE)
    into = block(
        "fargate", "network.tf", "aws_vpc_security_group_ingress_rule.database_from_service"
    )
    assert "= aws_security_group.service_security_group.id" in into


def test_the_variables_are_what_a_deploy_would_say() -> None:
    stack = matrix.stack("nothing")
    text = terraform(stack)["variables.tf"].decode()
    for name, value in {
        "region": "eu-west-1",
        "name": stack_name(stack.target),
        "release": release_of(stack),
    }.items():
        found = re.search(rf'variable "{name}" \{{.*?default +=  *"([^"]*)"\n\}}', text, re.DOTALL)
        assert found is not None
        assert found[1] == value


def test_an_image_of_ones_own_is_a_variable() -> None:
    image = {"repository": "registry.example.com/tabular", "tag": "1.0.0"}
    for compute in ("ecs-fargate", "ec2"):
        files = terraform(stack_of({"image": image, "compute": {"type": compute}}))
        assert (
            'default     = "registry.example.com/tabular:1.0.0"' in files["variables.tf"].decode()
        )
        assert "registry.example.com" not in files["compute.tf"].decode()
        assert "local.image" in files["compute.tf"].decode()


def test_outputs_are_those_of_the_stack() -> None:
    for name in matrix.SPECS:
        stack = matrix.stack(name)
        text = terraform(stack)["outputs.tf"].decode()
        found = dict(re.findall(r'output "(\w+)" \{\n  description = "(.*)"', text))
        outputs = stack.template["Outputs"]
        assert found == {one: said["Description"] for one, said in outputs.items()}


def test_tags_are_said_once() -> None:
    stack = matrix.stack("nothing")
    files = terraform(stack)
    value = stack.tags["inferloop:deployment"]
    (place,) = (
        name
        for name, one in files.items()
        if f'"inferloop:deployment"  = "{value}"' in one.decode()
    )
    assert place == "locals.tf"
    tagged = sum("Tags" in str(one) for one in stack.template["Resources"].values())
    text = "\n".join(one.decode() for one in files.values())
    assert len(re.findall(r"^  tags +=  *local\.tags$", text, re.MULTILINE)) == tagged
