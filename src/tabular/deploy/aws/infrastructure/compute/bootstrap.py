"""The script with which an instance starts: Docker, the settings, the container, and a word.

An instance counts as started once its program answers. One that does not get so far tells it and
is abandoned, so a release that does not run replaces no instance that does.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tabular.deploy.aws.infrastructure.compute import collector, container, metrics
from tabular.deploy.aws.infrastructure.service import USER
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, ref

# Name of the lifecycle hook that waits for the word, and how long it may take, in seconds.
HOOK, PATIENCE = "ready", 900
_ECR = re.compile(r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")
_FOLDER = "/etc/tabular"
_LOGGED = ("--log-driver=awslogs", "--log-opt=mode=non-blocking", "--log-opt=max-buffer-size=25m")
_LOG = '--log-opt=awslogs-region="$region" --log-opt=awslogs-group="$log_group"'

# Amazon Linux keeps the helpers of CloudFormation in a folder that no PATH has.
_HEAD = """\
PATH="$PATH:/opt/aws/bin"
token=$(curl -sSf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$metadata/api/token")
instance=$(curl -sSf -H "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/instance-id")

again() {
  for pause in 2 4 8 16 32; do
    "$@" && return
    sleep "$pause"
  done
  "$@"
}

group() {
  aws autoscaling describe-auto-scaling-instances --region "$region" --instance-ids "$instance" \\
    --query 'AutoScalingInstances[0].AutoScalingGroupName' --output text
}

# Nobody waits for both words: CloudFormation does while it makes the group, and the group does
# whenever it starts an instance.
tell() {
  cfn-signal --region "$region" --stack "$stack" --resource "$resource" --exit-code "$2" \\
    --reason "$3" --id "$instance" || true
  aws autoscaling complete-lifecycle-action --region "$region" --instance-id "$instance" \\
    --auto-scaling-group-name "$(group)" --lifecycle-hook-name "$hook" \\
    --lifecycle-action-result "$1" || true
}
trap 'tell ABANDON 1 "line $LINENO of the boot script failed on $instance"' ERR
"""

_WAIT = """\
well() {
  docker exec "$program" "${asked[@]}"
}
for _ in $(seq 60); do
  well && break
  sleep 5
done
well
tell CONTINUE 0 "$program answers on $instance"
"""


def user_data(wanted: Wanted, program: str, group: str) -> Document:
    """The script for one program, ``api`` or ``worker``, as a launch template takes it.

    Args:
        wanted: what is deployed.
        program: that the instance runs.
        group: logical id of its group.
    """
    pieces = [
        *_names(wanted, program, group),
        _HEAD,
        *_settings(wanted, program),
        _install(wanted),
        *(_agent(wanted) if has_agent(wanted) else ()),
        *_log_in(wanted),
        _run(wanted, program),
        _WAIT,
    ]
    return {"Fn::Base64": {"Fn::Join": ["", pieces]}}


def has_agent(wanted: Wanted) -> bool:
    """Whether CloudWatch's agent runs, which tells of memory and disk."""
    by_memory = wanted.spec.compute.autoscaling.memory_target is not None
    return wanted.spec.monitoring.enabled or by_memory


def _names(wanted: Wanted, program: str, group: str) -> Iterator[Any]:
    yield "#!/bin/bash\nset -Eeuo pipefail\numask 077\n"
    values: Mapping[str, Any] = {
        "region": ref("AWS::Region"),
        "stack": ref("AWS::StackName"),
        "image": wanted.image,
        "log_group": container.log_group(program),
        "resource": group,
        "program": program,
        "hook": HOOK,
        "metadata": "http://169.254.169.254/latest",
    }
    # None of these values can have a quote in it; AWS and the spec allow none there.
    for name, value in values.items():
        yield from (f"{name}='", value, "'\n")
    yield f"asked=({_words(container.ready(program))})\n"


def _settings(wanted: Wanted, program: str) -> Iterator[Any]:
    """References to secrets, never their values."""
    yield f"mkdir -p {_FOLDER}\n"
    yield from _file("settings", container.settings(wanted, program))
    if collector.runs(wanted):
        yield from _file("collector", collector.settings())


def _file(name: str, variables: Mapping[str, Any]) -> Iterator[Any]:
    yield f"cat >{_FOLDER}/{name} <<'SETTINGS'\n"
    for variable, value in variables.items():
        yield from (f"{variable}=", value, "\n")
    yield "SETTINGS\n"


def _install(wanted: Wanted) -> str:
    packages = ["docker", "aws-cfn-bootstrap", "awscli-2"]
    if has_agent(wanted):
        packages.append("amazon-cloudwatch-agent")
    gpu = wanted.spec.compute.gpu == "required"
    # The image with the drivers of the graphics processor comes with Docker and with the agent of
    # ECS, for which there is no cluster here.
    before = "systemctl disable --now ecs\n" if gpu else ""
    return f"{before}again dnf install -y -q {' '.join(packages)}\nsystemctl enable --now docker\n"


def _agent(wanted: Wanted) -> Iterator[str]:
    by_memory = wanted.spec.compute.autoscaling.memory_target is not None
    interval = 60 if wanted.spec.monitoring.detailed or by_memory else 300
    by_group = {"AutoScalingGroupName": "GROUP"}
    config = {
        "agent": {"metrics_collection_interval": interval, "omit_hostname": True},
        "metrics": {
            "namespace": metrics.AGENT,
            "aggregation_dimensions": [["AutoScalingGroupName"]],
            "metrics_collected": {
                "mem": {"measurement": [metrics.MEMORY], "append_dimensions": by_group},
                "disk": {
                    "measurement": [metrics.DISK],
                    "resources": ["/"],
                    "drop_device": True,
                    "append_dimensions": by_group,
                },
            },
        },
    }
    ctl = "/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl"
    yield f"cat >{_FOLDER}/agent.json <<'AGENT'\n{json.dumps(config, indent=1)}\nAGENT\n"
    yield f'sed -i "s/GROUP/$(group)/" {_FOLDER}/agent.json\n'
    yield f"{ctl} -a fetch-config -m ec2 -s -c file:{_FOLDER}/agent.json\n"


def _log_in(wanted: Wanted) -> Iterator[Any]:
    """At the registry, where it is one of AWS; the token is forgotten once the image is there."""
    image = wanted.image
    name = image["Fn::Sub"] if isinstance(image, dict) else image
    host = name.partition("/")[0]
    private = isinstance(image, dict) or _ECR.fullmatch(host) is not None
    if private:
        yield "registry=${image%%/*}\n"
        # A role that was only just made is not known everywhere at once.
        yield (
            "log_in() {\n"
            '  aws ecr get-login-password --region "$region" |\n'
            '    docker login --username AWS --password-stdin "$registry"\n'
            "}\nagain log_in\n"
        )
    yield 'again docker pull -q "$image"\n'
    if private:
        yield 'docker logout "$registry"\n'


def _run(wanted: Wanted, program: str) -> str:
    """Migrations first, where it is the API; then the program, which Docker keeps running."""
    lines = [f"logged=({_words(_LOGGED)} {_LOG})\n"]
    if collector.runs(wanted):
        lines.append(
            f'docker run --detach --name {collector.NAME} "${{logged[@]}}" --read-only '
            f"--cap-drop=ALL --network=host --restart=unless-stopped "
            f'--env-file={_FOLDER}/collector --log-opt=awslogs-stream="{collector.NAME}/$instance" '
            f"{collector.IMAGE}\n"
        )
    lines.append(f'common=("${{logged[@]}}" {_words(_common(wanted))})\n')
    if program == "api":
        lines.append(
            'docker run --rm --name migrate "${common[@]}" '
            '--log-opt=awslogs-stream="migrate/$instance" '
            f'"$image" {_words(container.COMMANDS["migrate"])}\n'
        )
    lines.append(
        f'docker run --detach --name "$program" "${{common[@]}}" '
        f"--restart=unless-stopped --stop-timeout={container.STOP} "
        '--log-opt=awslogs-stream="$program/$instance" '
        f'"$image" {_words(container.COMMANDS[program])}\n'
    )
    return "".join(lines)


def _common(wanted: Wanted) -> list[str]:
    return [
        "--read-only",
        # A folder on the encrypted disk: tables can be larger than the memory that a tmpfs takes.
        f"--mount=type=volume,destination={container.SCRATCH}",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        f"--user={USER}",
        # The role's credentials are one hop away, and in a network of its own they would be two.
        "--network=host",
        "--init",
        f"--env-file={_FOLDER}/settings",
        *(["--gpus=all"] if wanted.spec.compute.gpu == "required" else []),
    ]


def _words(words: Sequence[str]) -> str:
    return " ".join(shlex.quote(word) for word in words)
