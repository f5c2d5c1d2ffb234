"""A deployment that runs is taken over: everything is imported by the id that AWS gave it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.aws.account.stacks import stack_name
from tabular.deploy.aws.export.terraform import terraform as written
from tabular.deploy.aws.export.terraform.configuration import configure
from tabular.deploy.export import Source, exported
from tabular.deploy.stack import Stack
from tests.deploy.aws import matrix
from tests.deploy.aws.export.bed import initialized, write
from tests.deploy.aws.harness import credentials, describe, provider_at
from tests.testbed.ministack import MiniStack
from tests.testbed.terraform import Terraform

_IMPORT = re.compile(r"import \{\n  to = ([a-z0-9_.]+)\n  id = (.+)\n\}")


@pytest.fixture(scope="module")
def running(ministack: MiniStack) -> Stack:
    """A small deployment as it runs in the emulator."""
    provider = provider_at(ministack.url, "222299999991")
    stack = provider.compile(describe("taken"))
    for _ in provider.engine.apply(provider.engine.preview(stack)):
        pass
    return provider.running(stack.target)


def imports(stack: Stack) -> dict[str, str]:
    """Import ids by address, as they are written."""
    return dict(_IMPORT.findall(written(stack)["imports.tf"].decode()))


def test_everything_that_runs_is_imported(running: Stack) -> None:
    pieces = [one for found in configure(running).pieces.values() for one in found]
    assert {one.address for one in pieces} == set(imports(running))
    assert set(running.template["Resources"]) <= set(running.ids)


def test_ids_are_in_the_form_that_the_provider_imports(running: Stack) -> None:
    found, ids = imports(running), running.ids
    name = stack_name(running.target)
    expected = {
        "aws_vpc.vpc": ids["Vpc"],
        "aws_internet_gateway_attachment.vpc_gateway_attachment": (
            f"{ids['InternetGateway']}:{ids['Vpc']}"
        ),
        "aws_route.public_route": f"{ids['PublicRouteTable']}_0.0.0.0/0",
        "aws_route_table_association.private_subnet_routes_2": (
            f"{ids['PrivateSubnet2']}/{ids['PrivateRouteTable2']}"
        ),
        "aws_iam_role_policy.api_role": f"{ids['ApiRole']}:own",
        "aws_s3_bucket_policy.bucket_policy": ids["Bucket"],
        "aws_s3_bucket_lifecycle_configuration.bucket": ids["Bucket"],
        "aws_sqs_queue_policy.queue_policy": ids["Queue"],
        "aws_ecs_service.api_service": f"{ids['Cluster']}/{name}-ApiService",
        "aws_ecs_task_definition.api_task": ids["ApiTask"],
        "aws_vpc_security_group_ingress_rule.database_from_service": ids["DatabaseFromService"],
    }
    assert {address: found[address] for address in expected} == {
        address: json.dumps(id_) for address, id_ in expected.items()
    }
    assert found["aws_eip.nat_address_1"] == "data.aws_eip.nat_address_1.id"


def test_rules_within_a_group_are_imported_by_the_ids_that_ec2_has(
    running: Stack, ministack: MiniStack
) -> None:
    client = credentials("222299999991").client("ec2", endpoint_url=ministack.url)
    there = client.describe_security_group_rules()["SecurityGroupRules"]
    found = imports(running)
    for group, direction, port in (
        ("LoadBalancer", "ingress", 80),
        ("LoadBalancer", "egress", 8000),
        ("Service", "egress", 443),
        ("Endpoint", "ingress", 443),
    ):
        (rule,) = (
            one["SecurityGroupRuleId"]
            for one in there
            if one["GroupId"] == running.ids[f"{group}SecurityGroup"]
            and one["IsEgress"] == (direction == "egress")
            and one["FromPort"] == port
        )
        label = f"{group.lower()}_security_group_{direction}".replace("loadb", "load_b")
        assert found[f"aws_vpc_security_group_{direction}_rule.{label}"] == json.dumps(rule)


def test_names_are_those_that_run(running: Stack) -> None:
    compute = written(running)["compute.tf"].decode()
    family = running.ids["ApiTask"].rpartition("/")[2].partition(":")[0]
    assert f'name = "{running.ids["Cluster"]}"' in compute
    assert re.search(rf'family +=  *"{re.escape(family)}"', compute)


def test_secrets_that_run_are_left_alone(running: Stack) -> None:
    files = written(running)
    text = "\n".join(one.decode() for name, one in files.items() if name.endswith(".tf"))
    assert "ephemeral" not in text
    assert "aws_secretsmanager_secret_version" not in text
    assert not re.search(r"(password|auth_token)(_wo)? +=", text)
    assert 'resource "aws_secretsmanager_secret" "database_secret"' in text


def test_it_is_valid(terraform: Terraform, tmp_path: Path, running: Stack) -> None:
    files = written(running)
    folder = initialized(terraform, tmp_path, files)
    done = terraform.run(folder, "validate")
    assert done.returncode == 0, done.stdout
    write(files, folder)
    done = terraform.run(folder, "fmt", "-check", "-diff")
    assert done.returncode == 0, done.stdout


def test_the_stack_can_be_deleted_after_the_handover(running: Stack) -> None:
    files = written(running)
    template: dict[str, Any] = json.loads(files["handover.json"])
    assert {one["DeletionPolicy"] for one in template["Resources"].values()} == {"Retain"}
    plain = {name: one["Properties"] for name, one in template["Resources"].items()}
    before = {name: one["Properties"] for name, one in running.template["Resources"].items()}
    assert [name for name in plain if plain[name] != before[name]] == ["Description"]
    assert f"--stack-name {stack_name(running.target)}" in files["README.md"].decode()


def test_a_deployment_of_a_file_imports_nothing() -> None:
    files = written(matrix.stack("nothing"))
    assert "imports.tf" not in files
    assert "handover.json" not in files


def test_the_command_asks_the_provider_for_what_runs(ministack: MiniStack, running: Stack) -> None:
    provider = provider_at(ministack.url, "222299999991")
    source = Source("aws", describe("taken"), lambda: provider, running.target)
    assert exported(source, "terraform").files == written(running)


# As CloudFormation has them, of types that the emulator does not run or names otherwise. Sources:
# "Return values" of each type in its user guide.
REAL = {
    "ApiScalingTarget": "service/c/s|ecs:service:DesiredCount|ecs",
    "ApiCpuScaling": "arn:aws:autoscaling:eu-west-1:111122223333:scalingPolicy:1:resource/ecs/"
    "service/c/s:policyName/ApiCpu",
    "WebAcl": "acl-name|0f1e|REGIONAL",
    "WebAclAssociation": "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/a/b|"
    "arn:aws:wafv2:eu-west-1:1:regional/webacl/acl-name/0f1e",
    "BackupPlan": "plan-id",
    "BackupSelection": "selection-id_plan-id",
    "Budget": "the-budget",
    "JobsFailedFilter": "the-filter",
    "WorkerLogGroup": "/group",
    "HealthCheck": "check-id",
    "DnsRecord": "data.example.com",
}
WANTED = {
    "aws_ecs_cluster_capacity_providers.cluster": '"id-of-Cluster"',
    "aws_appautoscaling_target.api_scaling_target": '"ecs/service/c/s/ecs:service:DesiredCount"',
    "aws_appautoscaling_policy.api_cpu_scaling": (
        '"ecs/service/c/s/ecs:service:DesiredCount/ApiCpu"'
    ),
    "aws_wafv2_web_acl.web_acl": '"0f1e/acl-name/REGIONAL"',
    "aws_wafv2_web_acl_association.web_acl_association": (
        '"arn:aws:wafv2:eu-west-1:1:regional/webacl/acl-name/0f1e,'
        'arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/a/b"'
    ),
    "aws_backup_selection.backup_selection": '"plan-id|selection-id"',
    "aws_budgets_budget.budget": ('"${data.aws_caller_identity.current.account_id}:the-budget"'),
    "aws_cloudwatch_log_metric_filter.jobs_failed_filter": '"/group:the-filter"',
    "aws_route53_health_check.health_check": '"check-id"',
    "aws_route53_record.dns_record": ('"${data.aws_route53_zone.zone.zone_id}_data.example.com_A"'),
}


def with_ids(name: str, ids: dict[str, str]) -> Stack:
    """A stack of the matrix as if it ran."""
    stack = matrix.stack(name)
    made = {one: f"id-of-{one}" for one in stack.template["Resources"]}
    made["WorkerScalingTarget"] = REAL["ApiScalingTarget"]
    return replace(stack, ids={**made, **ids})


def test_ids_of_what_the_emulator_has_not() -> None:
    found = imports(with_ids("fargate", REAL))
    assert {address: found[address] for address in WANTED} == WANTED


def test_ids_of_instances_functions_and_batches() -> None:
    arn = "arn:aws:batch:eu-west-1:111122223333"
    found = {
        **imports(
            with_ids(
                "ec2",
                {
                    "ApiGroup": "group",
                    "ApiCpuScaling": "arn:aws:autoscaling:eu-west-1:1:scalingPolicy:2:"
                    "autoScalingGroupName/group:policyName/cpu",
                    "ApiSchedule1": "evening",
                },
            )
        ),
        **imports(
            with_ids(
                "lambda", {"Function": "f", "FunctionPermission": "say", "FunctionRule": "rule"}
            )
        ),
        **imports(
            with_ids(
                "batch on instances",
                {
                    "ComputeEnvironment": f"{arn}:compute-environment/ce",
                    "JobQueue": f"{arn}:job-queue/q",
                    "JobDefinition": f"{arn}:job-definition/d:3",
                },
            )
        ),
    }
    wanted = {
        "aws_autoscaling_policy.api_cpu_scaling": "group/cpu",
        "aws_autoscaling_schedule.api_schedule_1": "group/evening",
        "aws_autoscaling_lifecycle_hook.api_group_ready": "group/ready",
        "aws_lambda_permission.function_permission": "f/say",
        "aws_lambda_function_event_invoke_config.function_retries": "f",
        "aws_cloudwatch_event_target.function_rule_generate": "rule/generate",
        "aws_batch_compute_environment.compute_environment": "ce",
        "aws_batch_job_queue.job_queue": f"{arn}:job-queue/q",
        "aws_batch_job_definition.job_definition": f"{arn}:job-definition/d:3",
    }
    assert {address: found[address] for address in wanted} == {
        address: json.dumps(id_) for address, id_ in wanted.items()
    }
