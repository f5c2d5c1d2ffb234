"""`python -m benchmarks.onprem`: plans of a cluster beside Helm's own dry run; to RESULTS.md.

One deployment with every part runs in a Kubernetes of the test bed, whose API server is real and
whose nodes pretend. Then ours and the program `helm` are asked, in turn and each time in a new
process, what there is to do: a plan of ours, and a deploy that has nothing to do, each beside
``helm upgrade --dry-run=server`` of the same chart with the same values. The two do not do the
same: ours asks the server what each object would become and shows what differs, Helm's dry run
renders, asks for the release and for what templates look up, and shows the objects.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from pathlib import Path

import tabular
from benchmarks import pairs
from benchmarks.pairs import Asked, command, in_turn, ours, table
from benchmarks.results import heading
from tabular.deploy.onprem.names import CHART
from tabular.deploy.onprem.provider import OnPremKubernetesProvider
from tabular.deploy.spec import Deployment
from tests.deploy.onprem.harness import provider_at
from tests.testbed.helm import helm_program
from tests.testbed.kube.cluster import Kube, own_cluster

NAME, NAMESPACE = "bench", "bench"
SPEC = {
    "apiVersion": "synthdata.inferloop.io/v1",
    "kind": "Deployment",
    "metadata": {"name": NAME},
    "spec": {
        "provider": "onprem",
        "environment": "production",
        "ha": True,
        "image": {"repository": "registry.example.com/tabular", "tag": "1.0.0"},
        "onprem": {"namespace": NAMESPACE},
        "compute": {"min_instances": 2, "max_instances": 5, "workers": 2},
        "storage": {"type": "minio", "minio": {"mode": "distributed", "replicas": 4}},
        "database": {"type": "postgresql", "size": "100Gi", "read_replicas": 2},
        "cache": {"type": "redis"},
        "queue": {"type": "rabbitmq"},
        "monitoring": {"enabled": True},
    },
}
LEAST = 40  # objects
OURS_ALONE = 11  # rounds of a plan within a process


def _measured(folder: Path, rounds: int, load_at_start: float) -> list[str]:
    home = folder / "cluster"
    home.mkdir()
    with own_cluster(home) as kube:
        return _beside_helm(folder, kube, rounds, load_at_start)


def _beside_helm(folder: Path, kube: Kube, rounds: int, load_at_start: float) -> list[str]:
    file, deployment = pairs.described(SPEC, folder)
    provider = provider_at(kube.kubeconfig, NAMESPACE)
    stack = pairs.deployed(provider, deployment, LEAST)
    values = folder / "values.json"
    values.write_text(json.dumps(stack.template["values"]))
    where = ("--config", str(file), "--kubeconfig", str(kube.kubeconfig))
    dry_run = _theirs(
        folder,
        "STATUS: pending-upgrade",
        *("upgrade", NAME, str(CHART), "--namespace", NAMESPACE, "--values", str(values)),
        *("--kubeconfig", str(kube.kubeconfig), "--dry-run=server"),
    )
    times = in_turn(
        {
            "a plan that changes nothing": (
                ours(folder, "Nothing to change.", "plan", *where),
                dry_run,
            ),
            "a deploy that has nothing to do": (
                ours(folder, "Nothing to change.", "deploy", "--yes", *where),
                dry_run,
            ),
            "the program alone, asked for its version": (
                ours(folder, tabular.__version__, "--version"),
                _theirs(folder, "v", "version", "--short"),
            ),
        },
        rounds,
    )
    head = _heading(len(stack.resources), kube, rounds, load_at_start)
    return [head, *table(times, "helm"), _within(provider, deployment)]


def _theirs(folder: Path, says: str, *arguments: str) -> Asked:
    return command(says, str(helm_program()), *arguments, environment={"HOME": str(folder)})


def _heading(count: int, kube: Kube, rounds: int, load_at_start: float) -> str:
    server = kube.api("GET", "/version")["gitVersion"]
    helm = subprocess.run(
        [helm_program(), "version", "--short"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return heading(
        "plans of a cluster",
        load_at_start,
        f"helm {helm}, Kubernetes {server} of the test bed",
        f"{count} objects, {rounds} rounds, each command a new process; seconds."
        f"{pairs.others(load_at_start)}\n\n"
        "Theirs is `helm upgrade --dry-run=server` of the same chart and values, for the plan and "
        "for the deploy alike: it renders and compares with nothing. Ours compiles the spec, looks "
        "at the cluster before it, and has the server say of each object what would become of it. "
        "Seconds on a processor are of the command, without the server.",
    )


def _within(provider: OnPremKubernetesProvider, deployment: Deployment) -> str:
    """From spec to plan in a process that has all its modules and knows the cluster."""
    took = []
    for _ in range(OURS_ALONE + 1):
        start = time.perf_counter()
        plan = provider.engine.preview(provider.compile(deployment))
        took.append(time.perf_counter() - start)
        if not plan.is_empty:
            raise SystemExit("the plan is not empty")
    found = took[1:]
    return (
        "\nFrom the spec to such a plan within a process: median "
        f"{statistics.median(found):.2f} s ({min(found):.2f}-{max(found):.2f})."
    )


if __name__ == "__main__":
    pairs.main("benchmarks.onprem", __doc__, _measured)
