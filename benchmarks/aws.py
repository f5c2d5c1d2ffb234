"""`python -m benchmarks.aws`: a plan that changes nothing, beside `terraform plan`; to RESULTS.md.

One deployment of more than a hundred resources runs in an emulator of AWS, and the same deployment
as it is exported to Terraform is applied with the real terraform. Then both are asked, in turn and
each time in a new process, what there is to do. Terraform's provider is the one of the test bed: it
is written in Python and knows the schema only, so its start is another than the real one's, and
its refresh costs nothing, where the real one reads every resource from AWS. What a plan with that
provider and without any resource costs is measured beside, so that it can be taken off.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import tabular
from benchmarks import pairs
from benchmarks.pairs import Asked, Took, in_turn, ours, spread, table
from benchmarks.results import heading
from tabular.deploy.aws.export import FORMATS
from tabular.deploy.spec import Deployment
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


def _measured(folder: Path, rounds: int, load_at_start: float) -> list[str]:
    file, deployment = pairs.described(SPEC, folder)
    with _deployed(deployment, folder) as (emulator, count):
        terraform, configured, bare = _applied(deployment, folder)
        account = emulator.environment(ACCOUNT)
        rows = {
            "a plan that changes nothing": (
                ours(folder, "Nothing to change.", "plan", "--config", str(file), extra=account),
                _theirs(terraform, "No changes.", configured, "plan"),
            ),
            "the program alone, asked for its version": (
                ours(folder, tabular.__version__, "--version", extra=account),
                _theirs(terraform, "Terraform v", configured, "version"),
            ),
        }
        alone = (_theirs(terraform, "No changes.", bare, "plan"),)
        times = in_turn({**rows, "alone": alone}, rounds)
    empty = [took for (took,) in times.pop("alone")]
    head = _heading(count, terraform, rounds, load_at_start)
    return [head, *table(times, "terraform"), _of_provider(empty), _compiling(deployment, count)]


@contextlib.contextmanager
def _deployed(deployment: Deployment, folder: Path) -> Iterator[tuple[MiniStack, int]]:
    """The deployment in an emulator, and how many resources it has."""
    home = folder / "emulator"
    home.mkdir()
    with ministack_server(home) as emulator:
        stack = pairs.deployed(provider_at(emulator.url), deployment, LEAST)
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


def _theirs(terraform: Terraform, says: str, folder: Path, *arguments: str) -> Asked:
    return Asked(says, lambda: terraform.run(folder, *arguments))


def _heading(count: int, terraform: Terraform, rounds: int, load_at_start: float) -> str:
    return heading(
        "plans of AWS",
        load_at_start,
        f"{_version(terraform)}, schema of its provider {terraform.versions['aws']}",
        f"{count} resources, {rounds} rounds, each command a new process; seconds."
        f"{pairs.others(load_at_start)}\n\n"
        "Ours asks an emulator of AWS over HTTP, on the same machine, for everything that runs. "
        "Terraform's provider is the one of the test bed: in Python, with the real schema and "
        "without AWS, so its refresh asks nobody. Seconds on a processor are of the "
        "command and what it starts, without the emulator.",
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
    pairs.main("benchmarks.aws", __doc__, _measured)
