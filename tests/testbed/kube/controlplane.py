"""A real Kubernetes control plane on 127.0.0.1: etcd, API server, controllers and scheduler."""

from __future__ import annotations

import base64
import contextlib
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.kube.api import Api, Refused
from tests.testbed.kube.kubeconfig import certificate_user, read_kubeconfig, write_kubeconfig
from tests.testbed.kube.pki import LOCAL, Authority, make_authority, make_key
from tests.testbed.ports import free_port
from tests.testbed.process import running

START_SECONDS = 120
ADMIN = "admin"
# A client that asks for the server by this name is shown a certificate that has expired.
EXPIRED_NAME = "expired.kube.test"
NODE_GRACE = 40
SERVICES = "198.18.0.0/16"


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane."""

    server: str
    authority: Authority
    token: str
    folder: Path
    pids: dict[str, int]
    certificate: Path | None = None

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "kubeconfig"

    def api(self) -> Api:
        """A client with the administrator's rights."""
        authority = self.authority.certificate
        return Api(self.server, authority, self.token, certificate=self.certificate)

    def user(self) -> dict[str, str]:
        """What the administrator shows, as a kubeconfig has it."""
        if self.certificate is None:
            return {"token": self.token}
        return certificate_user(self.certificate)


@contextlib.contextmanager
def control_plane(
    programs: Path,
    folder: Path,
    *,
    node_grace: int = NODE_GRACE,
    address: str = LOCAL,
    more: Sequence[str] = (),
) -> Iterator[ControlPlane]:
    """Run a control plane for the time of the block; it keeps nothing.

    Args:
        programs: folder of its executables.
        folder: an empty one, for its files and logs.
        node_grace: seconds without a heartbeat after which a node counts as gone; pods of such a
            node are evicted as many seconds later.
        address: of the API server.
        more: flags of the API server.
    """
    authority = make_authority(folder)
    make_key(folder / "accounts.key")
    clients, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    port = free_port()
    server, token = f"https://{address}:{port}", secrets.token_hex(16)
    tokens = folder / "tokens.csv"
    tokens.touch(mode=0o600)
    tokens.write_text(f"{token},{ADMIN},{ADMIN},system:masters\n")
    write_kubeconfig(folder / "kubeconfig", server, authority, {"token": token})
    with contextlib.ExitStack() as stack:
        pids = {}

        def start(name: str, *flags: str) -> subprocess.Popen[bytes]:
            command = [programs / name, *flags]
            process = stack.enter_context(running(command, log=folder / f"{name}.log"))
            pids[name] = process.pid
            return process

        start("etcd", *_etcd_flags(folder, clients, peer))
        flags = _server_flags(folder, authority, clients, port, node_grace, address)
        process = start("kube-apiserver", *flags, *more)
        plane = ControlPlane(server, authority, token, folder, pids)
        _wait(plane, process)
        start("kube-controller-manager", *_controller_flags(programs, folder, node_grace))
        start("kube-scheduler", *_client_flags(programs / "kube-scheduler", folder))
        yield plane
    shutil.rmtree(folder / "etcd", ignore_errors=True)


def given_plane(kubeconfig: Path, folder: Path) -> ControlPlane:
    """The control plane that a kubeconfig leads to; its credentials are copied into `folder`."""
    cluster, user = read_kubeconfig(kubeconfig)
    for name, source in (
        ("ca.crt", cluster["certificate-authority-data"]),
        ("user.crt", user.get("client-certificate-data", "")),
        ("user.key", user.get("client-key-data", "")),
    ):
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(base64.b64decode(source))
    authority, token = Authority(folder), str(user.get("token", ""))
    certificate = None if token else folder / "user.crt"
    plane = ControlPlane(cluster["server"], authority, token, folder, {}, certificate)
    write_kubeconfig(plane.kubeconfig, plane.server, authority, plane.user())
    return plane


def _etcd_flags(folder: Path, clients: str, peer: str) -> list[str]:
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
    ]


def _server_flags(
    folder: Path, authority: Authority, etcd: str, port: int, node_grace: int, address: str
) -> list[str]:
    served = authority.server("apiserver", address=address)
    caller = authority.client("kube-apiserver", groups=("system:masters",))
    expired = authority.server("expired", hosts=(EXPIRED_NAME,), days=-1)
    return [
        f"--etcd-servers={etcd}",
        f"--bind-address={address}",
        f"--advertise-address={address}",
        f"--secure-port={port}",
        f"--cert-dir={folder}",
        f"--client-ca-file={authority.certificate}",
        f"--tls-cert-file={served}",
        f"--tls-private-key-file={served.with_suffix('.key')}",
        f"--tls-sni-cert-key={expired},{expired.with_suffix('.key')}:{EXPIRED_NAME}",
        f"--kubelet-client-certificate={caller}",
        f"--kubelet-client-key={caller.with_suffix('.key')}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'accounts.key'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
        f"--service-cluster-ip-range={SERVICES}",
        "--endpoint-reconciler-type=none",
        "--allow-privileged=true",
        "--kubelet-preferred-address-types=InternalIP",
        f"--default-not-ready-toleration-seconds={node_grace}",
        f"--default-unreachable-toleration-seconds={node_grace}",
    ]


def _controller_flags(programs: Path, folder: Path, node_grace: int) -> list[str]:
    return [
        *_client_flags(programs / "kube-controller-manager", folder),
        "--use-service-account-credentials=false",
        f"--service-account-private-key-file={folder / 'accounts.key'}",
        f"--root-ca-file={folder / 'ca.crt'}",
        "--pvclaimbinder-sync-period=1s",
        f"--node-monitor-grace-period={node_grace}s",
        f"--node-monitor-period={max(1, node_grace // 8)}s",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    ]


def _client_flags(program: Path, folder: Path) -> list[str]:
    flags = [
        f"--kubeconfig={folder / 'kubeconfig'}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={free_port()}",
        f"--cert-dir={folder / program.name}",
    ]
    # The insecure port is there, and open, up to 1.23; later versions do not know the flag.
    return flags if version(program) >= (1, 24) else [*flags, "--port=0"]


def version(program: Path) -> tuple[int, int]:
    """The version of a program of Kubernetes."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"v(\d+)\.(\d+)", said.stdout)
    assert found, said.stdout
    return int(found[1]), int(found[2])


def _wait(plane: ControlPlane, process: subprocess.Popen[bytes]) -> None:
    api, deadline = plane.api(), time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError, Refused):
            if api.text("GET", "/readyz") == "ok":
                return
        log = plane.folder / "kube-apiserver.log"
        assert process.poll() is None, f"the API server ended: {log.read_text()[-3000:]}"
        assert time.monotonic() < deadline, f"no API server after {START_SECONDS} s: {log}"
        time.sleep(0.1)
