"""The seed's command lines for AWS, as printed, on an emulator; then its services are asked.

One deployment is looked at from many sides; what changes or ends one has an account of its own.
"""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tabular.version import __version__
from tests.cli.command import COMMAND, Answer, run
from tests.deploy.aws.harness import credentials
from tests.testbed.ministack import MiniStack

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
REGION = "us-east-1"
SEED = (
    "deploy --provider aws --region us-east-1 --environment production --config aws-prod.yaml "
    "--enable-ha --enable-monitoring --enable-backup"
)
PORTABLE = "deploy --provider aws --config deployment.yaml --environment production"
AT = "--provider aws --region us-east-1"
NAME = "aws/us-east-1/production/tabular"


@dataclass(frozen=True)
class Cloud:
    """An account of the emulator, and a home of its own for the command."""

    emulator: MiniStack
    account: str
    home: Path

    def run(self, line: str, **extra: str) -> Answer:
        """Run a command line as printed, where the examples are."""
        environment = {**self.environment(), **extra}
        return run(*line.split(), home=self.home, cwd=EXAMPLES, extra=environment)

    def environment(self) -> dict[str, str]:
        found = self.emulator.environment(self.account)
        return {name: value for name, value in found.items() if not name.endswith("_REGION")}

    def ask(self, service: str) -> Any:
        """A client of a service in this account."""
        return credentials(self.account).client(
            service, region_name=REGION, endpoint_url=self.emulator.url
        )

    def push_image(self) -> None:
        """What `image push` does, without building one."""
        registry = self.ask("ecr")
        registry.create_repository(repositoryName="inferloop-tabular")
        registry.put_image(
            repositoryName="inferloop-tabular",
            imageTag=__version__,
            imageManifest='{"schemaVersion":2}',
        )

    def everything(self) -> dict[str, Any]:
        """What is in the account."""
        ask = self.ask
        return {
            "stacks": [one["StackName"] for one in ask("cloudformation").list_stacks()[
                "StackSummaries"] if one["StackStatus"] != "DELETE_COMPLETE"],
            "buckets": [one["Name"] for one in ask("s3").list_buckets()["Buckets"]],
            "queues": ask("sqs").list_queues().get("QueueUrls", []),
            "databases": len(ask("rds").describe_db_instances()["DBInstances"]),
            "networks": [one["VpcId"] for one in ask("ec2").describe_vpcs()["Vpcs"]],
            "roles": [one["RoleName"] for one in ask("iam").list_roles()["Roles"]],
            "secrets": len(ask("secretsmanager").list_secrets()["SecretList"]),
            "keys": len(ask("kms").list_keys()["Keys"]),
            "log groups": len(ask("logs").describe_log_groups()["logGroups"]),
            "topics": len(ask("sns").list_topics()["Topics"]),
        }  # fmt: skip


@dataclass(frozen=True)
class Deployed:
    """A deployment that the tests of this module look at."""

    cloud: Cloud
    first: Answer

    def run(self, line: str, **extra: str) -> Answer:
        return self.cloud.run(line, **extra)

    def ask(self, service: str) -> Any:
        return self.cloud.ask(service)

    @property
    def outputs(self) -> dict[str, str]:
        found: dict[str, str] = self.first.json["outputs"]
        return found


@pytest.fixture
def cloud(ministack: MiniStack, aws_account: str, tmp_path: Path) -> Cloud:
    return Cloud(ministack, aws_account, tmp_path)


@pytest.fixture(scope="module")
def seed(ministack: MiniStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    cloud = Cloud(ministack, "333300000001", tmp_path_factory.mktemp("home"))
    cloud.push_image()
    first = cloud.run(f"{SEED} --yes --json")
    assert first.code == 0, first.err
    yield Deployed(cloud, first)
    ministack.reset()


def test_nothing_is_made_before_the_plan_is_agreed_to(cloud: Cloud) -> None:
    cloud.push_image()
    before = cloud.everything()
    terminal, stdin = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, *SEED.split()],
        cwd=EXAMPLES,
        env={"HOME": str(cloud.home), "PATH": os.environ["PATH"], **cloud.environment()},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    asked = b""
    while b"Apply this to" not in asked:
        asked += process.stderr.read1()
        assert process.poll() is None, asked
    assert cloud.everything() == before
    os.write(terminal, b"n\n")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"Nothing was changed." in err
    assert "+ Database AWS::RDS::DBInstance" in out.decode()
    assert re.search(r"cost: \$[\d,.]+ a month", out.decode())
    assert cloud.everything() == before
    os.close(terminal)
    os.close(stdin)


def test_without_an_image_nothing_is_begun(cloud: Cloud) -> None:
    before = cloud.everything()
    answer = cloud.run(f"{SEED} --yes")
    assert answer.code == 1
    assert "preflight.image spec.image" in answer.err
    assert "image push --provider aws --region us-east-1" in answer.err
    assert cloud.everything() == before


def test_a_plan_as_json(cloud: Cloud) -> None:
    before = cloud.everything()
    answer = cloud.run(SEED.replace("deploy", "plan", 1) + " --json --detailed-exitcode")
    assert answer.code == 2, answer.err
    plan = answer.json
    assert (plan["target"], plan["empty"]) == (NAME, False)
    assert {change["action"] for change in plan["changes"]} == {"create"}
    assert float(plan["monthly_cost"]["total"]) > 1000
    assert "spec.networking.domain" in {one["field"] for one in plan["reductions"]}
    assert cloud.everything() == before


def test_the_key_is_shown_once_and_is_the_one_that_was_made(seed: Deployed) -> None:
    key = seed.first.json["api_key"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{40,128}", key)
    made = seed.ask("secretsmanager").get_secret_value(SecretId=seed.outputs["adminKey"])
    assert made["SecretString"] == key
    again = seed.run(f"{SEED} --yes --json")
    assert again.code == 0, again.err
    assert again.json["release"] == seed.first.json["release"]
    assert "api_key" not in again.json
    assert key not in seed.run(f"status {AT} --json").out
    stack = _stack(seed)
    assert key not in json.dumps(seed.ask("cloudformation").get_template(StackName=stack))
    files = [path for path in seed.cloud.home.rglob("*") if path.is_file()]
    assert not [path for path in files if key.encode() in path.read_bytes()]


def _stack(seed: Deployed) -> str:
    (found,) = seed.cloud.everything()["stacks"]
    return str(found)


def test_the_stack_guards_itself_in_production(seed: Deployed) -> None:
    (stack,) = seed.ask("cloudformation").describe_stacks(StackName=_stack(seed))["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert stack["EnableTerminationProtection"] is True


def test_s3_has_the_rules_of_the_file(seed: Deployed) -> None:
    s3, bucket = seed.ask("s3"), {"Bucket": seed.outputs["bucket"]}
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    blocked = s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"]
    assert all(blocked.values())
    (rule,) = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    moves = {
        (move["Days"], move["StorageClass"])
        for rule in s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]
        for move in rule.get("Transitions", ())
    }
    assert moves == {(30, "STANDARD_IA"), (90, "GLACIER")}


def test_rds_is_as_the_file_says(seed: Deployed) -> None:
    (found,) = seed.ask("rds").describe_db_instances()["DBInstances"]
    assert found["Engine"] == "postgres"
    assert found["EngineVersion"].startswith("14")
    assert found["DBInstanceClass"] == "db.r5.xlarge"
    assert (found["MultiAZ"], found["BackupRetentionPeriod"]) == (True, 30)
    assert (found["StorageEncrypted"], found["DeletionProtection"]) == (True, True)
    assert found["PubliclyAccessible"] is False


def test_instances_of_the_asked_type_serve_in_groups(seed: Deployed) -> None:
    groups = {
        one["AutoScalingGroupName"]: one
        for one in seed.ask("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    }
    api = groups[seed.outputs["apiGroup"]]
    assert (api["MinSize"], api["MaxSize"]) == (3, 10)
    assert len(api["VPCZoneIdentifier"].split(",")) == 3
    template = api["LaunchTemplate"]["LaunchTemplateId"]
    (version,) = seed.ask("ec2").describe_launch_template_versions(LaunchTemplateId=template)[
        "LaunchTemplateVersions"
    ]
    assert version["LaunchTemplateData"]["InstanceType"] == "m5.2xlarge"
    assert version["LaunchTemplateData"]["MetadataOptions"]["HttpTokens"] == "required"
    assert seed.outputs["workerGroup"] in groups


def test_the_network_has_three_zones_and_a_way_out_of_each(seed: Deployed) -> None:
    inside = [{"Name": "vpc-id", "Values": [seed.outputs["vpc"]]}]
    subnets = seed.ask("ec2").describe_subnets(Filters=inside)["Subnets"]
    assert len(subnets) == 6
    assert len({one["AvailabilityZone"] for one in subnets}) == 3
    assert len(seed.outputs["natAddresses"].split(",")) == 3
    (balancer,) = seed.ask("elbv2").describe_load_balancers()["LoadBalancers"]
    assert balancer["Scheme"] == "internal"


def test_queue_cache_and_secrets(seed: Deployed) -> None:
    queue = {"QueueUrl": seed.outputs["queue"], "AttributeNames": ["All"]}
    attributes = seed.ask("sqs").get_queue_attributes(**queue)["Attributes"]
    assert "DeadLetterQueue" in attributes["RedrivePolicy"]
    (cache,) = seed.ask("elasticache").describe_replication_groups()["ReplicationGroups"]
    assert cache["TransitEncryptionEnabled"] is True
    assert len(cache["MemberClusters"]) == 2
    secrets = seed.ask("secretsmanager").list_secrets()["SecretList"]
    assert len(secrets) == 4
    (key,) = seed.ask("kms").list_keys()["Keys"]
    assert seed.ask("kms").get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]


def test_the_alarms_of_the_file_the_logs_and_the_backups(seed: Deployed) -> None:
    alarms = " ".join(
        one["AlarmName"] for one in seed.ask("cloudwatch").describe_alarms()["MetricAlarms"]
    )
    for alarm in ("ApiHighCpu", "ApiLowMemory", "ApiErrors"):
        assert alarm in alarms
    groups = seed.ask("logs").describe_log_groups()["logGroups"]
    kept = {one["logGroupName"]: one["retentionInDays"] for one in groups}
    assert kept[seed.outputs["apiLogGroup"]] == 90
    backup = seed.ask("backup")
    (plan,) = backup.list_backup_plans()["BackupPlansList"]
    rules = backup.get_backup_plan(BackupPlanId=plan["BackupPlanId"])["BackupPlan"]["Rules"]
    assert rules[0]["TargetBackupVaultName"] == seed.outputs["backupVault"]


def test_status_and_list_show_it(seed: Deployed) -> None:
    status = seed.run(f"status {AT} --json")
    assert (status.code, status.json["state"]) == (0, "ready"), status.out
    assert status.json["outputs"] == seed.outputs
    shown = seed.run(f"status {AT}")
    assert f"{NAME}  ready  release {seed.first.json['release']}" in shown.out
    assert seed.outputs["internalUrl"] in shown.out
    assert NAME in seed.run(f"list {AT}").out
    assert seed.run("list --provider aws --region eu-west-1 --json").json == []


def test_the_address_within_the_network_is_told(seed: Deployed) -> None:
    again = seed.run(f"{SEED} --yes")
    assert f"API   {seed.outputs['internalUrl']}, from within its network" in again.out


@pytest.mark.slow
def test_what_stops_running_is_degraded_and_a_deploy_waits_for_it(seed: Deployed) -> None:
    rds = seed.ask("rds")
    (database,) = rds.describe_db_instances()["DBInstances"]
    name = {"DBInstanceIdentifier": database["DBInstanceIdentifier"]}
    rds.stop_db_instance(**name)
    try:
        status = seed.run(f"status {AT}")
        assert status.code == 5
        assert "Database: the database is stopped" in status.out
        again = seed.run(f"{SEED} --yes --timeout 1s")
        assert again.code == 5
        assert f"{NAME} did not report ready within 1 s" in again.err
        assert "the database is stopped" in again.err
    finally:
        rds.start_db_instance(**name)
    assert seed.run(f"status {AT}").code == 0


def test_logs_are_those_of_the_services(seed: Deployed) -> None:
    logs, group = seed.ask("logs"), {"logGroupName": seed.outputs["apiLogGroup"]}
    logs.create_log_stream(**group, logStreamName="api/1")
    now = int(time.time() * 1000)
    lines = [{"timestamp": now - 2000 + n, "message": f"line {n}"} for n in range(3)]
    logs.put_log_events(**group, logStreamName="api/1", logEvents=lines)
    answer = seed.run(f"logs {AT} --tail 2")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines() == ["api | line 1", "api | line 2"]


@pytest.mark.slow
def test_drift_is_found_and_is_exit_code_2(seed: Deployed) -> None:
    queue = {"QueueUrl": seed.outputs["queue"]}
    sqs = seed.ask("sqs")
    before = sqs.get_queue_attributes(**queue, AttributeNames=["VisibilityTimeout"])["Attributes"]
    assert seed.run(f"drift {AT}").out == "No drift.\n"
    sqs.set_queue_attributes(**queue, Attributes={"VisibilityTimeout": "77"})
    try:
        found = seed.run(f"drift {AT}")
    finally:
        sqs.set_queue_attributes(**queue, Attributes=before)
    assert found.code == 2
    assert "changed Queue" in found.out
    assert "now 77" in found.out


@pytest.mark.slow
def test_export_of_what_runs(seed: Deployed, tmp_path: Path) -> None:
    applied = seed.ask("cloudformation").get_template(StackName=_stack(seed))["TemplateBody"]
    answer = seed.run(f"export --format cloudformation --output {tmp_path}")
    assert answer.code == 0, answer.err
    assert "which was deployed last from here" in answer.err
    assert json.loads((tmp_path / "template.json").read_bytes()) == applied
    terraform = seed.run(f"export --format terraform --output {tmp_path / 'tf'} {AT}")
    assert terraform.code == 0, terraform.err
    blocks = "".join(path.read_text() for path in (tmp_path / "tf").glob("*.tf"))
    assert 'resource "aws_db_instance" "database"' in blocks
    assert "import {" in blocks
    other = seed.run("export --format k8s --output x")
    assert other.code == 3
    assert "k8s is written for deployments on onprem, and this one is on aws" in other.err


def test_a_second_key_is_made_by_the_service(seed: Deployed) -> None:
    answer = seed.run(f"keys create ops {AT}")
    assert answer.code == 3
    assert f"get-secret-value --secret-id {seed.outputs['adminKey']}" in answer.err


def test_doctor_and_capabilities(seed: Deployed) -> None:
    doctor = seed.run(f"doctor {AT} --json")
    assert doctor.code == 0, doctor.out
    found = {check["name"]: check["detail"] for check in doctor.json}
    assert found["credentials"] == f"account {seed.cloud.account}"
    assert found["region"] == REGION
    table = seed.run("capabilities --provider aws --json").json
    assert table["database"]["support"] == "native"
    assert table["onprem"]["support"] == "unsupported"


def test_nothing_before_the_first_release(seed: Deployed) -> None:
    answer = seed.run(f"rollback {AT} --yes")
    assert answer.code == 4
    assert "no release before" in answer.err


@pytest.mark.parametrize(
    ("line", "extra", "code", "text"),
    [
        (f"{SEED} --max-monthly-cost 100 --yes", {}, 3, "refused.budget"),
        (f"{SEED} --strict --yes", {}, 3, "refused.reduced"),
        (f"{PORTABLE} --yes", {}, 1, "no region is named"),
        (f"{PORTABLE} --region us-east-9 --yes", {}, 1, "did you mean 'us-east-2'?"),
        (
            f"{PORTABLE} --yes --set spec.account='999999999999'",
            {"AWS_REGION": REGION},
            1,
            "the spec says 999999999999",
        ),
        (f"{SEED} --yes", {"AWS_ACCESS_KEY_ID": ""}, 1, "there are no AWS credentials"),
        (f"{SEED} --yes", {"AWS_PROFILE": "nobody"}, 2, "nobody"),
        (f"status {AT} --name other", {}, 4, "no deployment other on aws"),
        ("list --provider aws", {}, 2, "no region is named"),
        (
            f"{SEED} --yes --set spec.compute.instance_type=m5.3xlarge",
            {},
            1,
            "us-east-1 has no instance type m5.3xlarge",
        ),
    ],
)
def test_what_is_refused_touches_nothing(
    ministack: MiniStack, tmp_path: Path, line: str, extra: dict[str, str], code: int, text: str
) -> None:
    cloud = Cloud(ministack, "333300000003", tmp_path)
    answer = cloud.run(line, **extra)
    assert answer.code == code, answer.err
    assert text in answer.err
    assert "Traceback" not in answer.err
    assert cloud.ask("cloudformation").list_stacks()["StackSummaries"] == []


@pytest.mark.slow
def test_a_failed_deploy_is_undone_and_said(cloud: Cloud) -> None:
    cloud.push_image()
    before = cloud.everything()
    wrong = "--set spec.overrides.aws.Queue.VisibilityTimeout=999999"
    answer = cloud.run(f"{PORTABLE} --yes --region {REGION} {wrong}")
    assert answer.code == 5
    assert "engine.apply-failed" in answer.err
    assert "Queue:" in answer.err
    status = cloud.run(f"status {AT}")
    assert status.code == 5
    assert "ROLLBACK_COMPLETE" in status.out
    assert cloud.everything()["databases"] == before["databases"]
    assert cloud.run(f"destroy {AT} --yes").code == 0
    assert cloud.everything()["stacks"] == before["stacks"]


@pytest.mark.slow
def test_the_portable_file_from_first_to_last(cloud: Cloud) -> None:
    cloud.push_image()
    before = cloud.everything()
    region = {"AWS_REGION": REGION}
    shown = cloud.run(f"{PORTABLE} --yes", **region)
    assert shown.code == 0, shown.err
    assert "aws/us-east-1/production/tabular-production is ready" in shown.out
    first = cloud.run("status --provider aws --json", **region).json
    bucket = first["outputs"]["bucket"]
    cloud.ask("s3").put_object(Bucket=bucket, Key="tabular/rows", Body=b"1")

    scaled = cloud.run("scale --provider aws --instances 4 --yes --json", **region)
    assert scaled.code == 0, scaled.err
    assert _tasks(cloud) == 4
    assert scaled.json["release"] != first["release"]
    back = cloud.run("rollback --provider aws --yes --json", **region)
    assert back.code == 0, back.err
    assert (back.json["release"], _tasks(cloud)) == (first["release"], 3)

    kept = cloud.run("destroy --provider aws --yes", **region)
    assert kept.code == 0, kept.err
    assert "Its data is kept" in kept.out
    status = cloud.run("status --provider aws --json", **region)
    assert (status.code, status.json["state"]) == (5, "retained")
    assert cloud.everything()["databases"] == 1
    again = cloud.run(f"{PORTABLE} --yes --json", **region)
    assert again.code == 0, again.err
    assert again.json["outputs"]["bucket"] == bucket
    assert cloud.ask("s3").get_object(Bucket=bucket, Key="tabular/rows")["Body"].read() == b"1"

    gone = cloud.run("destroy --provider aws --yes --delete-data --json", **region)
    assert gone.code == 0, gone.err
    assert gone.json["data"] == "deleted"
    left = cloud.everything()
    own = [name for name in left["buckets"] if not name.startswith("inferloop-tabular-")]
    assert own == before["buckets"]
    for kind in ("stacks", "queues", "databases", "networks", "roles", "topics"):
        assert left[kind] == before[kind], kind
    assert cloud.run("destroy --provider aws --yes", **region).code == 0


@pytest.mark.slow
def test_a_published_address_is_asked_itself(cloud: Cloud) -> None:
    cloud.push_image()
    certificate = f"arn:aws:acm:{REGION}:{cloud.account}:certificate/0a1b2c3d"
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9"}
    named = "--set spec.networking.domain=data.example.com"
    publish = f"{named} --set spec.networking.certificate={certificate}"
    answer = cloud.run(f"{PORTABLE} --yes --region {REGION} {publish} --timeout 1s", **nowhere)
    assert answer.code == 5
    assert "did not report ready within 1 s" in answer.err
    assert "https://data.example.com/ready" in answer.err
    status = cloud.run(f"status {AT} --json")
    assert (status.code, status.json["state"]) == (0, "ready")
    assert status.json["outputs"]["url"] == "https://data.example.com"
    assert ".elb." in status.json["outputs"]["dnsTarget"]


def _tasks(cloud: Cloud) -> int:
    """How many tasks of the API are wanted."""
    ecs = cloud.ask("ecs")
    (cluster,) = ecs.list_clusters()["clusterArns"]
    names = ecs.list_services(cluster=cluster)["serviceArns"]
    services = ecs.describe_services(cluster=cluster, services=names)["services"]
    (api,) = [one for one in services if one["loadBalancers"]]
    return int(api["desiredCount"])
