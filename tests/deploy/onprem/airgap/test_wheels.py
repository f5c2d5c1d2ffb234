"""The command line that goes along: the same bytes each time, and it installs with no network."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tabular.deploy.onprem.airgap import wheels
from tabular.deploy.onprem.airgap.opened import Opened
from tabular.deploy.onprem.airgap.store import Store
from tabular.deploy.onprem.airgap.verify import verify
from tabular.errors import EngineError
from tabular.version import __version__
from tests.deploy.onprem.airgap.bed import described, make
from tests.testbed.parts import missing

NAME = f"inferloop_tabular-{__version__}-py3-none-any.whl"


def test_our_own_wheel_is_whole_and_the_same_each_time() -> None:
    name, content = wheels.own()
    assert name == NAME
    assert wheels.own() == (name, content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        # Each zlib deflates to other bytes.
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_STORED}
        names = set(archive.namelist())
        folder = f"inferloop_tabular-{__version__}.dist-info"
        assert {"tabular/cli/app.py", "tabular/deploy/onprem/chart/Chart.yaml"} <= names
        record = archive.read(f"{folder}/RECORD").decode().splitlines()
        assert {line.split(",")[0] for line in record} == names
        for line in record:
            file, said, _ = line.split(",")
            if said:
                found = hashlib.sha256(archive.read(file)).digest()
                assert said == f"sha256={base64.urlsafe_b64encode(found).decode().rstrip('=')}"
        assert b"inferloop-tabular" in archive.read(f"{folder}/entry_points.txt")


def test_the_lock_has_each_wheel_by_its_checksum() -> None:
    found = wheels.lock({"a_b-1.0-py3-none-any.whl": b"x", NAME: b"y"})
    assert found.splitlines() == [
        f"a-b==1.0 --hash=sha256:{hashlib.sha256(b'x').hexdigest()}",
        f"inferloop-tabular[onprem]=={__version__} "
        f"--hash=sha256:{hashlib.sha256(b'y').hexdigest()}",
    ]
    with pytest.raises(EngineError, match="is no name of a wheel"):
        wheels.named("a.tar.gz")


def alone(argv: Sequence[str | Path], **more: object) -> subprocess.CompletedProcess[str]:
    """Run a command where there is no network but loopback, which is down."""
    unshare = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    probe = subprocess.run([*unshare, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        missing(f"cannot make a network namespace here: {probe.stderr}")
    return subprocess.run(
        [*unshare, *map(str, argv)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        **more,
    )  # type: ignore[call-overload, no-any-return]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_it_installs_and_plans_where_there_is_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Path(sys.executable).with_name("inferloop-tabular")
    argv = [here, "export", described(tmp_path), "--format", "k8s", "--output", tmp_path / "here"]
    subprocess.run(argv, check=True, capture_output=True)
    _collect_with_a_power_cut(tmp_path / "bundle.tar.partial", monkeypatch)
    bundle = make(tmp_path, "bundle.tar", wheels=True)
    # Nothing of this machine but Python, tar and the bundle.
    home = tmp_path / "behind"
    home.mkdir()
    shutil.move(bundle.path, home / "bundle.tar")
    environ = {
        "HOME": str(home),
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PIP_CONFIG_FILE": "/dev/null",
    }

    def run(*argv: str | Path) -> str:
        done = alone(argv, cwd=home, env=environ)
        assert done.returncode == 0, f"{argv}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    connect = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    refused = alone([sys.executable, "-c", connect])
    assert "Network is unreachable" in refused.stderr
    run("tar", "-xf", "bundle.tar", "--one-top-level")
    run("sh", "-c", "cd bundle && sha256sum --check --strict --quiet SHA256SUMS")
    run(sys.executable, "-m", "venv", "venv")
    install = ("install", "--quiet", "--disable-pip-version-check", "--no-index")
    locked = ("--require-hashes", "--requirement", "bundle/wheels/requirements.txt")
    run("venv/bin/pip", *install, "--find-links", "bundle/wheels", *locked)
    command = home / "venv/bin/inferloop-tabular"
    assert __version__ in run(command, "--version")
    said = json.loads(run(command, "bundle", "verify", "bundle.tar", "--json"))
    assert said["whole"] and said["digest"] == bundle.digest
    config = described(home)
    assert "inferloop/tabular" in run(command, "bundle", "create", config, "--list")
    # Its own chart gives the very same objects there as here.
    exported = run(command, "export", config, "--format", "k8s", "--output", "out")
    assert exported
    assert _files(tmp_path / "here") == _files(home / "out") != {}
    assert verify(Opened.open(home / "bundle")).problems == {}


def _collect_with_a_power_cut(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wheels that are there are not asked for again, unless one lost its content."""
    told: list[str] = []
    with Store.at(root) as store:
        wheels.collect(store, told.append)
        wheels.collect(store, told.append)
        assert len(told) == 1
        cut = next((root / "wheels").glob("idna-*.whl"))
        content = cut.read_bytes()
        cut.write_bytes(b"")
        with monkeypatch.context() as nowhere:
            nowhere.setenv("PIP_NO_INDEX", "1")
            with pytest.raises(EngineError, match="pip cannot bring the wheels"):
                wheels.collect(store, told.append)
        cut.write_bytes(content)


def _files(folder: Path) -> dict[str, bytes]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
