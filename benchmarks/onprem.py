"""`python -m benchmarks.onprem`: plans of a cluster beside Helm's own dry run; to RESULTS.md.

One deployment with every part runs in a Kubernetes of the test bed, whose API server is real and
whose nodes pretend. Then ours and the program `helm` are asked, in turn and each time in a new
process, what there is to do: a plan of ours, and a deploy that has nothing to do, each beside
``helm upgrade --dry-run=server`` of the same chart with the same values. The two do not do the
same: ours asks the server what each object would become and shows what differs, Helm's dry run
renders, asks for the release and for what templates look up, and shows the objects.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import tabular
from benchmarks.pairs import Asked, in_turn, table
from benchmarks.synth.__main__ import _append, _processor
from tabular.deploy.onprem.names import CHART
from tabular.deploy.onprem.provider import OnPremKubernetesProvider
from tabular.deploy.spec import Deployment, Overrides, load
from tabular.deploy.stack import Stack
from tests.cli.command import COMMAND
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
BUSY = 1.0  # load above which others used the machine as well
OURS_ALONE = 11  # rounds of a plan within a process


def main() -> None:
    """Measures, shows a table, and appends it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.onprem", description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--show", action="store_true", help="do not append to RESULTS.md")
    asked = parser.parse_args()
    load_at_start = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="tabular-onprem-") as name:
        folder, home = Path(name), Path(name) / "cluster"
        home.mkdir()
        with own_cluster(home) as kube:
            lines = _measured(folder, kube, asked.rounds, load_at_start)
    print("\n".join(lines))
    if not asked.show:
        _append("\n".join(lines) + "\n")


def _measured(folder: Path, kube: Kube, rounds: int, load_at_start: float) -> list[str]:
    file = folder / "deployment.json"
    file.write_text(json.dumps(SPEC))
    deployment = load(file, Overrides()).deployment
    provider = provider_at(kube.kubeconfig, NAMESPACE)
    stack = _deployed(provider, deployment)
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
                _ours(folder, "Nothing to change.", "plan", *where),
                dry_run,
            ),
            "a deploy that has nothing to do": (
                _ours(folder, "Nothing to change.", "deploy", "--yes", *where),
                dry_run,
            ),
            "the program alone, asked for its version": (
                _ours(folder, tabular.__version__, "--version"),
                _theirs(folder, "v", "version", "--short"),
            ),
        },
        rounds,
    )
    heading = _heading(len(stack.resources), kube, rounds, load_at_start)
    return [heading, *table(times, "helm"), _within(provider, deployment)]


def _deployed(provider: OnPremKubernetesProvider, deployment: Deployment) -> Stack:
    stack = provider.compile(deployment)
    for _ in provider.engine.apply(provider.engine.preview(stack)):
        pass
    if len(stack.resources) < LEAST:
        raise SystemExit(f"only {len(stack.resources)} objects: too few for this benchmark")
    return stack


def _ours(folder: Path, says: str, *arguments: str) -> Asked:
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    return Asked(says, lambda: _run([str(COMMAND), *arguments], environment))


def _theirs(folder: Path, says: str, *arguments: str) -> Asked:
    program, environment = str(helm_program()), {"HOME": str(folder)}
    return Asked(says, lambda: _run([program, *arguments], environment))


def _run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _heading(count: int, kube: Kube, rounds: int, load_at_start: float) -> str:
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    server = kube.api("GET", "/version")["gitVersion"]
    helm = subprocess.run(
        [helm_program(), "version", "--short"], capture_output=True, text=True, check=True
    ).stdout.strip()
    busy = (
        " Others used the machine as well: what counts are the ratios, since each pair met the "
        "same machine, and the seconds on a processor."
        if load_at_start > BUSY
        else ""
    )
    return (
        f"\n## {now}: plans of a cluster, inferloop-tabular {tabular.__version__}\n\n"
        f"{_processor()}, {os.cpu_count()} cores, load {load_at_start:.1f} at the start; "
        f"Python {platform.python_version()}, helm {helm}, Kubernetes {server} of the test bed. "
        f"{count} objects, {rounds} rounds, each command a new process; seconds.{busy}\n\n"
        "Theirs is `helm upgrade --dry-run=server` of the same chart and values, for the plan and "
        "for the deploy alike: it renders and compares with nothing. Ours compiles the spec, looks "
        "at the cluster before it, and has the server say of each object what would become of it. "
        "Seconds on a processor are of the command, without the server.\n"
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
    main()
