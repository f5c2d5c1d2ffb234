"""Runs a node and its control plane within the namespaces that `machine` made for it.

usage: python -m tests.testbed.kube.real.inside FOLDER, where FOLDER holds ``machine.json``.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.testbed.kube import volumes
from tests.testbed.kube.controlplane import ControlPlane, control_plane
from tests.testbed.kube.events import Teller
from tests.testbed.kube.real.names import serve_names
from tests.testbed.process import running

NODE = "node-1"
PODS = "198.19.0.0/17"
GROUP = "k8s.io"  # containerd's name for the processes of pods, in each of the kernel's trees
SECONDS = 60
_WRITTEN = ("/run", "/var/lib", "/var/log")
_STATE = Path("/run/node")
_CONTAINERD = """
version = 2
root = "{folder}/containerd"
state = "{state}/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper"]
[grpc]
address = "{state}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
restrict_oom_score_adj = true
disable_hugetlb_controller = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{folder}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""


def main(folder: Path) -> None:
    """Be the node until told to stop."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    given = json.loads((folder / "machine.json").read_text())
    address, programs = given["address"], Path(given["programs"])
    for written in _WRITTEN:  # what nobody can be told to put elsewhere goes with the namespace
        _run("mount", "-t", "tmpfs", "-o", "mode=0755", "node", written)
    _network(address)
    plane_folder = folder / "plane"
    plane_folder.mkdir()
    with contextlib.ExitStack() as stack:
        _start_containerd(stack, folder, given)
        flags = ["--endpoint-reconciler-type=lease"]
        plane = stack.enter_context(
            control_plane(programs, plane_folder, address=address, more=flags)
        )
        serve_names(plane.api(), address)
        _start_kubelet(stack, folder, plane, given)
        volumes.make_classes(plane.api())
        (folder / "ready.part").write_text(
            json.dumps({"server": plane.server, "token": plane.token})
        )
        (folder / "ready.part").rename(folder / "ready.json")
        _provision(plane, folder / "volumes")


def _network(address: str) -> None:
    _run("ip", "link", "set", "lo", "up")
    while subprocess.run(
        ["ip", "link", "show", "uplink"], capture_output=True, check=False
    ).returncode:
        time.sleep(0.05)  # `machine` moves it here when it knows this process
    _run("ip", "address", "add", f"{address}/30", "dev", "uplink")
    _run("ip", "link", "set", "uplink", "up")
    # So that answers to the host leave, and questions to elsewhere are refused at once.
    _run("ip", "route", "add", "unreachable", "default")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _start_containerd(stack: contextlib.ExitStack, folder: Path, given: dict[str, Any]) -> None:
    (folder / "cni").mkdir()
    network = {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": PODS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": str(folder / "addresses"),
                },
            }
        ],
    }
    (folder / "cni" / "10-pods.conflist").write_text(json.dumps(network))
    text = _CONTAINERD.format(folder=folder, state=_STATE, pause=given["pause"])
    (folder / "containerd.toml").write_text(text)
    command = ["containerd", "--config", str(folder / "containerd.toml")]
    stack.enter_context(running(command, log=folder / "containerd.log"))
    control = ["ctr", "--address", str(_STATE / "containerd.sock"), "--namespace", "k8s.io"]
    deadline = time.monotonic() + SECONDS
    while subprocess.run([*control, "version"], capture_output=True, check=False).returncode:
        assert time.monotonic() < deadline, (folder / "containerd.log").read_text()[-3000:]
        time.sleep(0.1)
    for archive in given["archives"]:
        _run(*control, "images", "import", archive)


def _start_kubelet(
    stack: contextlib.ExitStack,
    folder: Path,
    plane: ControlPlane,
    given: dict[str, Any],
) -> None:
    home = folder / "kubelet"
    home.mkdir()
    (home / "resolv.conf").touch()
    configuration = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": given["address"],
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(plane.authority.certificate)},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "clusterDNS": [given["address"]],
        "clusterDomain": "cluster.local",
        "resolvConf": str(home / "resolv.conf"),
        "failSwapOn": False,
        "evictionHard": {"memory.available": "100Mi"},
        "imageGCHighThresholdPercent": 100,
        "readOnlyPort": 0,
        "healthzPort": 0,
        "syncFrequency": "5s",
        "fileCheckFrequency": "5s",
        "nodeStatusUpdateFrequency": "2s",
    }
    (home / "config.json").write_text(json.dumps(configuration))
    programs = Path(given["programs"])
    socket = f"unix://{_STATE / 'containerd.sock'}"
    command = [
        programs / "kubelet",
        f"--config={home / 'config.json'}",
        f"--kubeconfig={plane.kubeconfig}",
        f"--root-dir={home / 'root'}",
        f"--cert-dir={home / 'pki'}",
        "--container-runtime=remote",
        f"--container-runtime-endpoint={socket}",
        f"--hostname-override={NODE}",
        f"--node-ip={given['address']}",
        "--node-labels=topology.kubernetes.io/zone=zone-1",
    ]
    kubelet = stack.enter_context(running(command, log=folder / "kubelet.log"))
    proxy = [
        programs / "kube-proxy",
        f"--kubeconfig={plane.kubeconfig}",
        f"--hostname-override={NODE}",
        "--proxy-mode=iptables",
        "--masquerade-all",
        f"--cluster-cidr={PODS}",
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
        "--healthz-bind-address=",
    ]
    stack.enter_context(running(proxy, log=folder / "kube-proxy.log"))
    _wait_for_node(plane, folder, kubelet)


def _wait_for_node(plane: ControlPlane, folder: Path, kubelet: subprocess.Popen[bytes]) -> None:
    """Return once the node takes pods and Services have their ways."""
    api, deadline = plane.api(), time.monotonic() + SECONDS
    while True:
        node = api.get(f"/api/v1/nodes/{NODE}") or {"status": {}}
        found = {one["type"]: one["status"] for one in node["status"].get("conditions", ())}
        rules = subprocess.check_output(["iptables", "-t", "nat", "-S"], text=True)
        if found.get("Ready") == "True" and "KUBE-SERVICES" in rules:
            return
        late = kubelet.poll() is not None or time.monotonic() > deadline
        logs = "".join((folder / f"{n}.log").read_text()[-2000:] for n in ("kubelet", "kube-proxy"))
        assert not late, f"the node is not ready: {logs}"
        time.sleep(0.2)


def _provision(plane: ControlPlane, folder: Path) -> None:
    """Make folders for claims until this process is told to stop."""
    api = plane.api()

    def source(name: str) -> dict[str, Any]:
        (folder / name).mkdir(parents=True)
        wanted = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
        return {
            "local": {"path": str(folder / name)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [wanted]}]}},
        }

    volumes.run(api, Teller(api), source)


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
