"""The API and the workers on instances, and the script that an instance starts with.

The script is run: everything that it calls is replaced by a program that writes down how it was
called, and whose answer a test can choose.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.aws.infrastructure.compute_parts import EXISTING, made, part
from tests.deploy.aws.linted import findings
from tests.deploy.aws.made import stack_of

EC2 = {"type": "ec2"}
BIN_FALSE = "exit 1"
LARGE: dict[str, Any] = {
    "compute": {
        **EC2,
        "cpu": 4,
        "memory": "16Gi",
        "min_instances": 2,
        "max_instances": 6,
        "workers": 2,
        "disk": "50Gi",
        "spot": {"share": 60, "on_demand_base": 1, "max_price": "0.2"},
        "autoscaling": {"memory_target": 70, "concurrency": 40, "cooldown": "5m"},
        "schedules": [{"name": "off", "cron": "0 20 * * 1-5", "instances": 2}],
    },
    "monitoring": {"enabled": True, "detailed": True, "tracing": True},
}


def _launched(prefix: str = "Api", **spec: Any) -> dict[str, Any]:
    spec.setdefault("compute", EC2)
    found: dict[str, Any] = made(**spec)[f"{prefix}LaunchTemplate"]["LaunchTemplateData"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec",
    [
        {"compute": EC2},
        LARGE,
        {"compute": {**EC2, "gpu": "required", "workers": 0}},
        {"compute": EC2, "networking": EXISTING},
    ],
)
def test_the_template_is_clean(spec: dict[str, Any], tmp_path: Path) -> None:
    assert findings(tmp_path, {"stack": stack_of(spec)}) == []


def test_instances_are_hardened() -> None:
    for prefix in ("Api", "Worker"):
        data = _launched(prefix)
        assert data["MetadataOptions"]["HttpTokens"] == "required"
        assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
        assert "KeyName" not in data
        assert data["IamInstanceProfile"] == {"Arn": {"Fn::GetAtt": ["InstanceProfile", "Arn"]}}
        (interface,) = data["NetworkInterfaces"]
        assert interface["AssociatePublicIpAddress"] is False
        assert interface["Groups"] == [{"Fn::GetAtt": ["ServiceSecurityGroup", "GroupId"]}]
        assert "al2023" in data["ImageId"]


@pytest.mark.parametrize(("disk", "size"), [(None, 30), ("10Gi", 30), ("51201Mi", 51)])
def test_the_disk_is_encrypted_and_as_large_as_asked(disk: str | None, size: int) -> None:
    compute = {**EC2, **({"disk": disk} if disk else {})}
    (mapping,) = _launched(compute=compute)["BlockDeviceMappings"]
    ebs = mapping["Ebs"]
    assert (ebs["VolumeType"], ebs["VolumeSize"], ebs["Encrypted"]) == ("gp3", size, True)
    assert ebs["KmsKeyId"] == {"Fn::GetAtt": ["Key", "Arn"]}


def test_disks_are_told_apart_by_tags_which_a_group_does_not_give_them() -> None:
    (tags,) = _launched()["TagSpecifications"]
    assert tags["ResourceType"] == "volume"
    assert {"Key": "inferloop:deployment", "Value": "demo"} in tags["Tags"]


@pytest.mark.parametrize(
    ("compute", "type_"),
    [
        ({**EC2}, "t3.large"),
        ({**EC2, "cpu": 4, "memory": "16Gi"}, "m6i.xlarge"),
        ({"instance_type": "m5.2xlarge"}, "m5.2xlarge"),
    ],
)
def test_the_type_is_the_smallest_that_fits_or_the_one_that_is_named(
    compute: dict[str, Any], type_: str
) -> None:
    assert _launched(compute=compute)["InstanceType"] == type_


def test_a_group_spreads_over_zones_and_stands_behind_the_load_balancer() -> None:
    found = part(compute={**EC2, "availability_zones": 3, "instances": 3})
    api, worker = (found[name]["Properties"] for name in ("ApiGroup", "WorkerGroup"))
    assert api["VPCZoneIdentifier"] == [{"Ref": f"PrivateSubnet{one}"} for one in (1, 2, 3)]
    assert api["TargetGroupARNs"] == [{"Ref": "TargetGroup"}]
    assert api["HealthCheckType"] == "ELB"
    assert "TargetGroupARNs" not in worker
    assert "Listener" in found["ApiGroup"]["DependsOn"]
    assert "PrivateRoute3" in found["WorkerGroup"]["DependsOn"]
    assert api["MetricsCollection"][0]["Granularity"] == "1Minute"
    assert "GroupInServiceInstances" in api["MetricsCollection"][0]["Metrics"]


def test_a_new_release_replaces_instances_one_by_one_and_never_has_fewer() -> None:
    group = part(compute={**EC2, "instances": 2})["ApiGroup"]
    refresh = group["UpdatePolicy"]["AutoScalingInstanceRefresh"]
    assert refresh["Strategy"] == "Rolling"
    assert refresh["Preferences"]["MinHealthyPercentage"] == 100
    assert refresh["Preferences"]["MaxHealthyPercentage"] > 100
    # What scaling did since is not undone.
    unmodified = group["UpdatePolicy"]["AutoScalingScheduledAction"]
    assert unmodified == {"IgnoreUnmodifiedGroupSizeProperties": True}
    version = group["Properties"]["LaunchTemplate"]["Version"]
    assert version == {"Fn::Sub": "${ApiLaunchTemplate.LatestVersionNumber}"}


def test_an_instance_counts_once_it_says_that_it_is_ready() -> None:
    group = part(compute={**EC2, "instances": 2})["ApiGroup"]
    (hook,) = group["Properties"]["LifecycleHookSpecificationList"]
    assert hook["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_LAUNCHING"
    assert hook["DefaultResult"] == "ABANDON"
    assert group["CreationPolicy"]["ResourceSignal"]["Count"] == 2
    none = part(compute={**EC2, "workers": 0})["WorkerGroup"]
    assert "CreationPolicy" not in none  # nobody would ever give a sign


def test_a_share_of_the_group_is_spot() -> None:
    spot = {"share": 60, "on_demand_base": 1, "max_price": "0.2"}
    group = made(compute={**EC2, "cpu": 4, "spot": spot})["ApiGroup"]
    assert group["CapacityRebalance"] is True
    mixed = group["MixedInstancesPolicy"]
    assert mixed["InstancesDistribution"] == {
        "OnDemandBaseCapacity": 1,
        "OnDemandPercentageAboveBaseCapacity": 40,
        "SpotAllocationStrategy": "price-capacity-optimized",
        "SpotMaxPrice": "0.2",
    }
    types = [one["InstanceType"] for one in mixed["LaunchTemplate"]["Overrides"]]
    assert types[0] == "c6i.xlarge"
    assert len(types) > 1  # spot is taken from where there is most of it
    assert "LaunchTemplate" not in group


def test_only_the_type_that_is_named_is_taken_of_spot_too() -> None:
    group = made(compute={"instance_type": "m5.2xlarge", "spot": {}})["ApiGroup"]
    overrides = group["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"]
    assert overrides == [{"InstanceType": "m5.2xlarge"}]


def test_detailed_monitoring_is_for_who_asks() -> None:
    assert _launched()["Monitoring"] == {"Enabled": False}
    monitoring = {"enabled": True, "detailed": True}
    assert _launched(monitoring=monitoring)["Monitoring"] == {"Enabled": True}


# --- The boot script

_VALUES: Mapping[str, str] = {
    "AWS::Region": "eu-west-1",
    "AWS::StackName": "the-stack",
    "AWS::AccountId": "123456789012",
    "AWS::URLSuffix": "amazonaws.com",
}
_GROUP = "the-stack-ApiGroup-XYZ"
_PROGRAMS = ("aws", "curl", "dnf", "docker", "sleep", "systemctl")


def _filled(value: Any) -> str:
    """As CloudFormation fills in what refers to others."""
    if isinstance(value, str):
        return value
    ((kind, said),) = value.items()
    if kind == "Ref":
        return _VALUES.get(said, f"the-{said}")
    if kind == "Fn::GetAtt":
        return "10.0.0.0/20" if said[1] == "CidrBlock" else ".".join(said)
    if kind == "Fn::Join":
        return str(said[0]).join(map(_filled, said[1]))
    assert kind == "Fn::Sub", kind
    return re.sub(r"\$\{([^}]+)\}", lambda one: _VALUES.get(one[1], f"the-{one[1]}"), said)


class Boot:
    """The script of an instance, run in a folder that stands for the whole machine."""

    def __init__(self, folder: Path, answers: Mapping[str, str], spec: dict[str, Any]) -> None:
        prefix = spec.pop("prefix", "Api")
        script = _filled(_launched(prefix, **spec)["UserData"]["Fn::Base64"])
        self.size = len(script.encode())
        programs, self.etc = folder / "bin", folder / "etc"
        agent = folder / "opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl"
        signal = folder / "opt/aws/bin/cfn-signal"  # there, and nowhere on the usual PATH
        self._log = folder / "calls"
        for path in (*(programs / name for name in _PROGRAMS), agent, signal):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._program(path, answers.get(path.name, ""))
        script = script.replace("/etc/tabular", str(self.etc)).replace(
            "/opt/aws", f"{folder}/opt/aws"
        )
        done = subprocess.run(
            ["bash"],
            input=script,
            env={"PATH": f"{programs}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        self.code, self.errors = done.returncode, done.stderr

    def _program(self, path: Path, answer: str) -> None:
        default = {
            "curl": 'case "$*" in *instance-id*) echo i-0abc;; *) echo TOKEN;; esac',
            "aws": f'case "$*" in *describe-auto*) echo {_GROUP};; *get-login*) echo PASS;; esac',
        }.get(path.name, "")
        call = 'printf "%s\\n" "$(basename "$0") $*"'
        read = 'case "$*" in *--password-stdin*) cat >/dev/null;; esac'
        lines = ("#!/bin/sh", f"{call} >>{self._log}", read, answer or default, "")
        path.write_text("\n".join(lines), encoding="utf-8")
        path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """Every call in order."""
        return self._log.read_text(encoding="utf-8").splitlines()

    def called(self, start: str) -> list[str]:
        """The calls that begin so."""
        return [one for one in self.calls if one.startswith(start)]


def _boot(folder: Path, answers: Mapping[str, str] | None = None, **spec: Any) -> Boot:
    return Boot(folder, answers or {}, spec)


def test_an_api_is_migrated_started_and_reported(tmp_path: Path) -> None:
    boot = _boot(tmp_path)
    assert boot.code == 0, boot.errors
    migrate, serve = boot.called("docker run")
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/inferloop-tabular:"
    assert migrate.endswith("python -m tabular.api migrate")
    assert serve.endswith("python -m tabular.api serve")
    for run in (migrate, serve):
        assert image in run
        for option in (
            "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges",
            "--user=10001:10001", "--network=host", "--mount=type=volume,destination=/tmp",
            "--log-driver=awslogs", "--log-opt=awslogs-group=the-ApiLogGroup",
            "--log-opt=mode=non-blocking",
        ):  # fmt: skip
            assert option in run.split(), option
    assert "--restart=unless-stopped" in serve.split()
    (signal,) = boot.called("cfn-signal")
    assert "--stack the-stack --resource ApiGroup --exit-code 0" in signal
    (ready,) = boot.called("aws autoscaling complete-lifecycle-action")
    assert f"--auto-scaling-group-name {_GROUP} --lifecycle-hook-name ready" in ready
    assert ready.endswith("--lifecycle-action-result CONTINUE")
    # In this order: the word comes last.
    order = [boot.calls.index(one) for one in (migrate, serve, signal, ready)]
    assert order == sorted(order)


def test_a_worker_migrates_nothing(tmp_path: Path) -> None:
    boot = _boot(tmp_path, prefix="Worker")
    assert boot.code == 0, boot.errors
    (run,) = boot.called("docker run")
    assert run.endswith("python -m tabular.worker")
    assert "--log-opt=awslogs-group=the-WorkerLogGroup" in run.split()
    assert "--resource WorkerGroup" in boot.called("cfn-signal")[0]


def test_the_settings_are_a_file_of_references_that_root_alone_reads(tmp_path: Path) -> None:
    boot = _boot(tmp_path)
    file = boot.etc / "settings"
    assert file.stat().st_mode & 0o077 == 0
    lines = dict(one.split("=", 1) for one in file.read_text(encoding="utf-8").splitlines())
    assert lines["TABULAR_SECRET_KEY"] == "aws-sm:the-SecretKey"
    assert "{aws-sm:the-DatabaseSecret#password}" in lines["TABULAR_DATABASE_URL"]
    assert lines["TABULAR_HOST"] == "0.0.0.0"
    assert lines["AWS_REGION"] == "eu-west-1"  # Docker on an instance says none
    assert lines["TABULAR_TRUSTED_PROXIES"] == "10.0.0.0/20,10.0.0.0/20"
    assert not boot.called("docker run")[0].count("aws-sm")


def test_the_registrys_token_is_in_no_argument_and_forgotten_once_used(tmp_path: Path) -> None:
    boot = _boot(tmp_path)
    calls = [one for one in boot.calls if one.startswith("docker l") or "docker pull" in one]
    assert [one.split()[1] for one in calls] == ["login", "pull", "logout"]
    assert "PASS" not in " ".join(boot.calls)


def test_a_role_that_is_not_known_yet_is_tried_again(tmp_path: Path) -> None:
    mark = tmp_path / "asked"
    once = f'case "$1" in login) test -e {mark} || {{ touch {mark}; exit 1; }};; esac'
    boot = _boot(tmp_path, {"docker": once})
    assert boot.code == 0, boot.errors
    assert len(boot.called("docker login")) == 2


@pytest.mark.parametrize(
    ("repository", "private"),
    [
        ("ghcr.io/example/tabular", False),
        ("210987654321.dkr.ecr.eu-west-1.amazonaws.com/tabular", True),
    ],
)
def test_one_logs_in_only_where_the_registry_is_one_of_aws(
    repository: str, private: bool, tmp_path: Path
) -> None:
    boot = _boot(tmp_path, image={"repository": repository, "tag": "2"})
    assert boot.called(f"docker pull -q {repository}:2")
    assert bool(boot.called("docker login")) is private


@pytest.mark.parametrize(
    "answers",
    [
        {"docker": 'case "$*" in *migrate*) exit 1;; esac'},
        {"docker": 'case "$1" in exec) exit 1;; esac'},  # it runs, and never answers
        {"docker": 'case "$1" in pull) exit 1;; esac'},
        {"dnf": BIN_FALSE},
        {"systemctl": BIN_FALSE},
    ],
    ids=["migration", "answer", "image", "packages", "docker"],
)
def test_an_instance_that_does_not_get_there_says_so_and_is_abandoned(
    answers: dict[str, str], tmp_path: Path
) -> None:
    boot = _boot(tmp_path, answers)
    assert boot.code != 0
    (signal,) = boot.called("cfn-signal")
    assert "--exit-code 1" in signal
    assert "i-0abc" in signal
    (word,) = boot.called("aws autoscaling complete-lifecycle-action")
    assert word.endswith("ABANDON")


def test_a_word_that_nobody_waits_for_is_no_failure(tmp_path: Path) -> None:
    boot = _boot(tmp_path, {"cfn-signal": BIN_FALSE})
    assert boot.code == 0
    assert boot.called("aws autoscaling complete-lifecycle-action")


@pytest.mark.parametrize(
    ("spec", "interval"),
    [
        ({}, None),
        ({"monitoring": {"enabled": True}}, 300),
        ({"monitoring": {"enabled": True, "detailed": True}}, 60),
        ({"compute": {**EC2, "autoscaling": {"memory_target": 70}}}, 60),
    ],
)
def test_an_agent_tells_of_memory_where_somebody_asks(
    spec: dict[str, Any], interval: int | None, tmp_path: Path
) -> None:
    boot = _boot(tmp_path, **spec)
    assert boot.code == 0, boot.errors
    file = boot.etc / "agent.json"
    assert bool(boot.called("amazon-cloudwatch-agent-ctl")) is (interval is not None)
    assert "amazon-cloudwatch-agent" in boot.called("dnf")[0] or interval is None
    if interval is None:
        assert not file.exists()
        return
    config = json.loads(file.read_text(encoding="utf-8"))
    assert config["agent"]["metrics_collection_interval"] == interval
    collected = config["metrics"]["metrics_collected"]
    assert collected["mem"] == {
        "measurement": ["mem_used_percent"],
        "append_dimensions": {"AutoScalingGroupName": _GROUP},
    }


def test_a_graphics_processor_reaches_the_container(tmp_path: Path) -> None:
    compute = {**EC2, "gpu": "required"}
    assert "gpu" in _launched(compute=compute)["ImageId"]
    boot = _boot(tmp_path, compute=compute)
    assert all("--gpus=all" in one.split() for one in boot.called("docker run"))


def test_traces_go_through_a_collector_on_the_instance(tmp_path: Path) -> None:
    boot = _boot(tmp_path, monitoring={"enabled": True, "tracing": True})
    assert "aws-otel-collector" in boot.called("docker run")[0]
    config = (boot.etc / "collector").read_text(encoding="utf-8")
    assert "AWS_REGION=eu-west-1" in config
    sent = (boot.etc / "settings").read_text(encoding="utf-8")
    assert "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:4318" in sent


def test_the_largest_script_is_within_what_ec2_takes(tmp_path: Path) -> None:
    assert _boot(tmp_path, **LARGE).size < 16_384
