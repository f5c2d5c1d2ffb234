"""`python -m benchmarks.aws`: a plan that changes nothing, beside `terraform plan`; to RESULTS.md.

One deployment of more than a hundred resources runs in an emulator of AWS, and the same deployment
as it is exported to Terraform is applied with the real terraform. Then both are asked, in turn and
each time in a new process, what there is to do. Terraform's provider is the one of the test bed: it
is written in Python and knows the schema only, so its start is another than the real one's, and
its refresh costs nothing, where the real one reads every resource from AWS. What a plan with that
provider and without any resource costs is measured beside, so that it can be taken off.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import tabular
from benchmarks.pairs import Asked, Took, in_turn, spread, table
from benchmarks.synth.__main__ import _append, _processor
from tabular.deploy.aws.export import FORMATS
from tabular.deploy.spec import Deployment, Overrides, load
from tests.cli.command import COMMAND
from tests.deploy.aws.export.bed import initialized
from tests.deploy.aws.harness import provider_at
from tests.testbed.ministack import ACCOUNT, REGION, MiniStack, ministack_server
from tests.testbed.terraform import Terraform, terraform_mirror

# Production over three zones. No firewall: the schema of the test bed lacks it.
SPEC = {
    "apiVersion": "synthdata.inferloop.io/v1",
    "kind": "Deployment",
    "metadata": {"name": "bench"},
    "spec": {
        "provider": "aws",
        "region": REGION,
        "environment": "production",
        "ha": True,
        "image": {"repository": "registry.example.com/tabular", "tag": "1.0.0"},
        "compute": {
            "type": "ecs-fargate",
            "min_instances": 3,
            "max_instances": 10,
            "availability_zones": 3,
            "autoscaling": {"cpu_target": 60},
        },
        "storage": {
            "versioning": True,
            "lifecycle": {"transition_to_ia": 30, "transition_to_glacier": 90},
        },
        "database": {"type": "postgresql", "version": "16", "ha": True, "read_replicas": 1},
        "cache": {"type": "valkey"},
        "monitoring": {
            "enabled": True, "detailed": True, "log_retention": 90, "notify": ["ops@example.com"],
        },
        "backup": {"enabled": True},
    },
}  # fmt: skip
LEAST = 100  # resources
BUSY = 1.0  # load above which a run is not recorded


def main() -> None:
    """Measures, shows a table, and appends it where the machine did nothing else."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.aws", description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--show", action="store_true", help="do not append to RESULTS.md")
    asked = parser.parse_args()
    load_at_start = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="tabular-aws-") as name:
        lines = _measured(Path(name), asked.rounds, load_at_start)
    print("\n".join(lines))
    if asked.show:
        return
    if load_at_start > BUSY:
        print(f"not appended: load {load_at_start:.1f} at the start", file=sys.stderr)
        raise SystemExit(1)
    _append("\n".join(lines) + "\n")


def _measured(folder: Path, rounds: int, load_at_start: float) -> list[str]:
    file = folder / "deployment.json"
    file.write_text(json.dumps(SPEC))
    deployment = load(file, Overrides()).deployment
    with _deployed(deployment, folder) as (emulator, count):
        terraform, configured, bare = _applied(deployment, folder)
        pairs = {
            "a plan that changes nothing": (
                _ours(emulator, folder, "Nothing to change.", "plan", "--config", str(file)),
                _theirs(terraform, "No changes.", configured, "plan"),
            ),
            "the program alone, asked for its version": (
                _ours(emulator, folder, tabular.__version__, "--version"),
                _theirs(terraform, "Terraform v", configured, "version"),
            ),
        }
        alone = (_theirs(terraform, "No changes.", bare, "plan"),)
        times = in_turn({**pairs, "alone": alone}, rounds)
    empty = [took for (took,) in times.pop("alone")]
    heading = _heading(count, terraform, rounds, load_at_start)
    return [heading, *table(times, "terraform"), _of_provider(empty), _compiling(deployment, count)]


@contextlib.contextmanager
def _deployed(deployment: Deployment, folder: Path) -> Iterator[tuple[MiniStack, int]]:
    """The deployment in an emulator, and how many resources it has."""
    home = folder / "emulator"
    home.mkdir()
    with ministack_server(home) as emulator:
        provider = provider_at(emulator.url)
        stack = provider.compile(deployment)
        for _ in provider.engine.apply(provider.engine.preview(stack)):
            pass
        if len(stack.resources) < LEAST:
            raise SystemExit(f"only {len(stack.resources)} resources: too few for this benchmark")
        yield emulator, len(stack.resources)


def _applied(deployment: Deployment, folder: Path) -> tuple[Terraform, Path, Path]:
    """Terraform, a folder with the deployment applied, and one with the provider alone."""
    terraform = terraform_mirror(folder / "terraform")
    stack = provider_at("http://127.0.0.1:9").compile(deployment)
    files = FORMATS["terraform"](stack)
    configured, bare = folder / "configured", folder / "bare"
    configured.mkdir()
    initialized(terraform, configured, files)
    done = terraform.run(configured, "apply", "-input=false", "-auto-approve")
    if done.returncode:
        raise SystemExit(done.stdout)
    bare.mkdir()
    initialized(terraform, bare, {name: files[name] for name in ("versions.tf", "variables.tf")})
    return terraform, configured, bare


def _ours(emulator: MiniStack, folder: Path, says: str, *arguments: str) -> Asked:
    environment = {
        "HOME": str(folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8",
        **emulator.environment(ACCOUNT),
    }  # fmt: skip

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(COMMAND), *arguments], env=environment, capture_output=True, text=True, check=False
        )

    return Asked(says, run)


def _theirs(terraform: Terraform, says: str, folder: Path, *arguments: str) -> Asked:
    return Asked(says, lambda: terraform.run(folder, *arguments))


def _heading(count: int, terraform: Terraform, rounds: int, load_at_start: float) -> str:
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"\n## {now}: plans of AWS, inferloop-tabular {tabular.__version__}\n\n"
        f"{_processor()}, {os.cpu_count()} cores, load {load_at_start:.1f} at the start; "
        f"Python {platform.python_version()}, {_version(terraform)}, "
        f"schema of its provider {terraform.versions['aws']}. {count} resources, {rounds} rounds, "
        "each command a new process; seconds.\n\n"
        "Ours asks an emulator of AWS over HTTP, on the same machine, for everything that runs. "
        "Terraform's provider is the one of the test bed: in Python, with the real schema and "
        "without AWS, so its refresh asks nobody. Seconds on a processor are of the "
        "command and what it starts, without the emulator.\n"
    )


def _version(terraform: Terraform) -> str:
    return terraform.run(terraform.config.parent, "version").stdout.splitlines()[0]


def _of_provider(empty: list[Took]) -> str:
    wall, processor = [one.wall for one in empty], [one.processor for one in empty]
    return (
        f"\nOf terraform's, a plan with that provider and no resource takes {spread(wall)}, "
        f"on a processor {spread(processor)}."
    )


def _compiling(deployment: Deployment, count: int) -> str:
    """Spec to template within a process that has all its modules."""
    provider = provider_at("http://127.0.0.1:9")
    took = []
    for _ in range(30):
        start = time.perf_counter()
        provider.compile(deployment).to_bytes()
        took.append(1000 * (time.perf_counter() - start))
    return (
        f"\nCompiling the spec to a template of {count} resources, in a process: median "
        f"{statistics.median(took):.1f} ms ({min(took):.1f}-{max(took):.1f})."
    )


if __name__ == "__main__":
    main()
