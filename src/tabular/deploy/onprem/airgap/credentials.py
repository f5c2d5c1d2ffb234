"""Who signs in to a registry: what `podman login` and `docker login` left behind.

The files' format is that of containers-auth.json(5). Nothing is written, and a password is in no
message.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabular.deploy.programs import run
from tabular.errors import PreflightError

from .reference import HUB_API

_HUB_KEYS = ("docker.io", "index.docker.io", "https://index.docker.io/v1/")
_HELPER_TIMEOUT = 30.0  # seconds
_NO_USER = "<token>"  # of a credential helper: the secret is an identity token


@dataclass(frozen=True, slots=True)
class Credential:
    """A user's name and password, or an identity token alone."""

    user: str
    secret: str

    def __repr__(self) -> str:
        return f"Credential({self.user!r})"

    @property
    def is_token(self) -> bool:
        """Whether the secret is an identity token, which buys access tokens (OAuth 2)."""
        return not self.user

    def basic(self) -> str:
        """Value of an ``Authorization`` header."""
        pair = base64.b64encode(f"{self.user}:{self.secret}".encode()).decode()
        return f"Basic {pair}"


def files(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """The usual files, first the one that counts most."""
    home = Path(environ.get("HOME") or Path.home())
    if named := environ.get("REGISTRY_AUTH_FILE"):
        return (Path(named),)
    runtime = environ.get("XDG_RUNTIME_DIR")
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    docker = Path(environ.get("DOCKER_CONFIG") or home / ".docker")
    first = (Path(runtime) / "containers" / "auth.json",) if runtime else ()
    return (*first, config / "containers" / "auth.json", docker / "config.json")


def credential(host: str, path: str, environ: Mapping[str, str] = os.environ) -> Credential | None:
    """Who signs in for a repository; None where nobody did.

    Args:
        host: of the registry's API.
        path: of the repository.
        environ: says where the files are.

    Raises:
        PreflightError: a file cannot be read, or a credential helper fails.
    """
    for file in files(environ):
        said = _read(file)
        if said is None:
            continue
        for key in _keys(host, path):
            found = _stored(said, key, file) or _helped(said, key)
            if found is not None:
                return found
    return None


def _keys(host: str, path: str) -> Iterator[str]:
    """Names that an entry may have, the most exact one first."""
    hosts = _HUB_KEYS if host == HUB_API else (host,)
    parts = path.split("/")
    for name in hosts:
        for length in range(len(parts), 0, -1):
            yield "/".join((name, *parts[:length]))
    yield from (*hosts, *(f"https://{name}" for name in hosts))


def _read(file: Path) -> Mapping[str, Any] | None:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no JSON"
        raise PreflightError(f"the sign-ins cannot be read: {why}", where=str(file)) from None
    if not isinstance(said, dict):
        raise PreflightError("the sign-ins cannot be read: no object", where=str(file))
    return said


def _stored(said: Mapping[str, Any], key: str, file: Path) -> Credential | None:
    entry = (said.get("auths") or {}).get(key)
    if not entry:
        return None
    if token := entry.get("identitytoken"):
        return Credential("", str(token))
    if not entry.get("auth"):
        return None
    try:
        text = base64.b64decode(entry["auth"], validate=True).decode()
    except (binascii.Error, ValueError):
        raise PreflightError(f"the sign-in for {key} is damaged", where=str(file)) from None
    user, _, secret = text.partition(":")
    return Credential(user, secret.rstrip("\0"))


def _helped(said: Mapping[str, Any], key: str) -> Credential | None:
    """What a program keeps, such as the one that comes with Docker Desktop or with a cloud."""
    name = (said.get("credHelpers") or {}).get(key) or (
        said.get("credsStore") if key in (said.get("auths") or {}) else None
    )
    if not name:
        return None
    program = f"docker-credential-{name}"
    done = run([program, "get"], what=f"`{program} get`", timeout=_HELPER_TIMEOUT, text=key)
    if done.returncode != 0:
        return None
    try:
        answer = json.loads(done.stdout)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        raise PreflightError(f"{program} answers in words that are not understood") from None
    return Credential("" if user == _NO_USER else user, secret)
