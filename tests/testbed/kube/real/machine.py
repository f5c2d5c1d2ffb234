"""Starts a node whose pods really run, and leads the test to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.testbed import parts
from tests.testbed.kube.cluster import Kube
from tests.testbed.kube.controlplane import SERVICES, ControlPlane
from tests.testbed.kube.finding import NODE_PROGRAMS, PROGRAMS, programs
from tests.testbed.kube.keeper import ROOT
from tests.testbed.kube.pki import Authority
from tests.testbed.kube.real.inside import GROUP, PODS
from tests.testbed.process import running

START_SECONDS = 240
# The two ends of the cable between this machine and the node, of the range for tests of RFC 2544.
HERE, _THERE, _CABLE = "198.19.255.1", "198.19.255.2", "tabular-node"
_NEEDED = {
    "containerd": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "unshare": "util-linux",
}


@contextlib.contextmanager
def machine(folder: Path, *, archives: Sequence[Path], pause: str) -> Iterator[Kube]:
    """Run one node for the time of the block; its pods' and Services' addresses answer here.

    One can run at a time.

    Args:
        folder: an empty one.
        archives: of images that pods use; nothing is pulled.
        pause: image of the containers that hold a pod's namespaces.
    """
    if os.geteuid() != 0:
        parts.missing("pods that really run need root")
    for program, package in _NEEDED.items():
        parts.debian(program, package=package)
    if not Path("/usr/lib/cni/ptp").exists():
        parts.missing("needs the program ptp: apt-get install containernetworking-plugins")
    given = {
        "address": _THERE,
        "programs": str(programs((*PROGRAMS, *NODE_PROGRAMS))),
        "pause": pause,
        "archives": [str(archive) for archive in archives],
    }
    (folder / "machine.json").write_text(json.dumps(given))
    apart = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command = [*apart, sys.executable, "-m", "tests.testbed.kube.real.inside", str(folder)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    log, before = folder / "machine.log", _groups()
    try:
        # Its children end with it, however it ends; a container has nothing to say to that.
        with running(command, log=log, stop_signal=signal.SIGKILL, env=env) as process:
            _plug(process.pid)
            yield _wait(folder, process)
    finally:
        _sweep(before)


def _plug(pid: int) -> None:
    """Lay a cable into the network of a process, and the ways to pods and Services over it."""
    ours = Path("/proc/self/ns/net").readlink()
    while Path(f"/proc/{pid}/ns/net").readlink() == ours:
        time.sleep(0.02)
    peer = ["peer", "name", "uplink", "netns", str(pid)]
    _ip("link", "add", _CABLE, "type", "veth", *peer)
    _ip("address", "add", f"{HERE}/30", "dev", _CABLE)
    _ip("link", "set", _CABLE, "up")
    for range_ in (PODS, SERVICES):
        _ip("route", "add", range_, "via", _THERE, "onlink", "dev", _CABLE)


def _wait(folder: Path, process: subprocess.Popen[bytes]) -> Kube:
    ready, log = folder / "ready.json", folder / "machine.log"
    deadline = time.monotonic() + START_SECONDS
    while not ready.exists():
        assert process.poll() is None, f"the node ended: {log.read_text()[-4000:]}"
        assert time.monotonic() < deadline, f"no node after {START_SECONDS} s: {log.read_text()}"
        time.sleep(0.1)
    found = json.loads(ready.read_text())
    home = folder / "plane"
    return Kube(
        ControlPlane(found["server"], Authority(home), found["token"], home, {}), fake=False
    )


def _groups() -> set[Path]:
    return set(Path("/sys/fs/cgroup").glob(f"*/{GROUP}/"))


def _sweep(before: set[Path]) -> None:
    """Remove the groups of containers, the one thing that does not go with the namespaces."""
    for top in _groups() - before:
        deadline = time.monotonic() + 10
        while top.exists():
            assert time.monotonic() < deadline, f"processes of containers are left in {top}"
            for group in sorted((*top.glob("**/"), top), reverse=True):
                with contextlib.suppress(OSError):  # its last process is about to end
                    group.rmdir()


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {words}: {done.stderr}"
