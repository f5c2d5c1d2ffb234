"""An emulator of AWS: `ministack`, which others wrote, with the resource types that it lacks.

It stands in for CloudFormation and for the services whose resources a stack creates. What it
lacks for our templates, `ministack_parts` adds inside the emulator's own process.
"""

from __future__ import annotations

import contextlib
import os
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.testbed import parts
from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running
from tests.testbed.venvs import venv

PINNED = "ministack==1.5.33"
ACCOUNT = "111122223333"
REGION = "eu-west-1"
KEY_ID = "testbed"
SECRET = "testbed-secret"

# What a template may say and the emulator, our additions included, loses or takes wrongly. Each
# is a thing that no test against it can show.
STILL_LOST = {
    "unknown properties": "taken without a word; cfn-lint is the gate for them",
    "property values": "few are checked (SQS limits, ASG and scalable-target bounds, RDS engines)",
    "stack policy": "kept and given back, never enforced",
    "quotas": "of services there are none, only those of CloudFormation itself",
    "times": "everything is ready at once: no database takes minutes, no change set is pending",
    "ApplicationAutoScaling, XRay": "records inside the stack; no such service answers",
    "CloudWatch alarms with Metrics": "watch the first metric only and describe only that one",
    "Backup": "records only: no copy is made",
    "Batch": "jobs run as processes here, where a program for them is named: no image is pulled, "
    "no role is taken on, no machine is too small, and Spot takes none away",
    "nested paths in change sets": "values are those of the whole top-level property",
    "NAT gateways": "are described without their address",
    "ECS tasks, instances, targets": "count as running and healthy without an image",
    "HostedRotationLambda": "rotation is switched on, no function is made",
    "ROLLBACK_FAILED": "what could not be deleted is forgotten; AWS keeps it in the stack",
    "FilterLogEvents": "at most 10,000 lines and no token for more",
    "CreateStack over ROLLBACK_COMPLETE": "taken; AWS asks for a deletion first",
}
_SERVER = Path(__file__).parent / "ministack_parts" / "server.py"


@dataclass(frozen=True)
class MiniStack:
    """A running emulator. An access key of 12 digits is the account that it works in."""

    port: int
    pid: int
    folder: Path
    certificate: Path | None = None

    @property
    def url(self) -> str:
        """The endpoint of every service."""
        if self.certificate is not None:
            return f"https://localhost:{self.port}"
        return f"http://127.0.0.1:{self.port}"

    def environment(self, account: str = ACCOUNT, region: str = REGION) -> dict[str, str]:
        """The variables with which any AWS client works in an account of the emulator."""
        return {
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(self.folder / "no-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "no-credentials"),
        }

    def client(self, service: str, region: str = REGION, account: str = ACCOUNT) -> Any:
        """A boto3 client of a service, as the root user of an account."""
        boto3 = parts.module("boto3", package="boto3")
        return boto3.session.Session().client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=account,
            aws_secret_access_key=SECRET,
            verify=None if self.certificate is None else str(self.certificate),
        )

    def reset(self) -> None:
        """Forget everything, in all accounts and regions."""
        asked = urllib.request.Request(f"{self.url}/_ministack/reset", method="POST")
        with urllib.request.urlopen(asked, timeout=30) as answer:
            answer.read()


@contextlib.contextmanager
def ministack_server(
    folder: Path,
    *,
    auth: bool = False,
    port: int | None = None,
    jobs: Path | None = None,
    tls: tuple[Path, Path] | None = None,
) -> Iterator[MiniStack]:
    """Run the emulator for the time of the block; it keeps nothing.

    With `auth`, signatures, IAM policies and the CAPABILITY_IAM acknowledgement are checked; a
    bucket that takes nothing without TLS then needs `tls`, a certificate and its key. With
    `jobs`, Batch runs its jobs, and that program is what they call ``python``.
    """
    port = free_port() if port is None else port
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "AUTH": str(auth).lower(),
        "LOG_LEVEL": "WARNING",
        **({} if jobs is None else {"MINISTACK_JOBS": str(jobs)}),
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if tls is not None:
        env |= {"USE_SSL": "1", "MINISTACK_SSL_CERT": str(tls[0]), "MINISTACK_SSL_KEY": str(tls[1])}
    command = [venv(PINNED) / "python", _SERVER]
    with running(command, log=folder / "ministack.log", env=env) as process:
        wait_for_port(port)
        yield MiniStack(port, process.pid, folder, None if tls is None else tls[0])
