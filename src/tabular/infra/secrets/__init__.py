"""Secrets are named, never written down: this is where a name becomes the value.

A spec, a template or a plan holds only a reference such as ``env:DB_PASSWORD`` or
``file:/run/secrets/db``. The value is read at the moment of use, so it exists in the memory
of the process that needs it and nowhere else. Errors name the reference, never the value.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from tabular.errors import ConfigError

MAX_SECRET_BYTES = 64 * 1024

Resolver = Callable[[str, Mapping[str, str]], str]


def _from_env(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name)
    if value is None:
        raise ConfigError(
            f"the environment variable {name} is not set",
            where=f"env:{name}",
            hint=f"export {name}=…, or point the reference at another source",
        )
    return value


def read_secret_file(path: str | Path, *, where: str | None = None) -> str:
    """The text of a secret file without its last line break.

    Args:
        path: an absolute path, as Docker, systemd and Kubernetes mount secrets.
        where: how to name the place in an error; the path when not given.

    Raises:
        ConfigError: relative, missing, unreadable, larger than 64 KiB, empty or not UTF-8.
    """
    place = where or f"file:{path}"
    file = Path(path)
    if not file.is_absolute():
        raise ConfigError(
            "the path of a secret file must be absolute", where=place, hint="write file:/full/path"
        )
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"the secret file {file} cannot be read: {error.strerror}", where=place
        ) from error
    if len(raw) > MAX_SECRET_BYTES:
        raise ConfigError(f"the secret file {file} is larger than 64 KiB", where=place)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"the secret file {file} is not UTF-8 text", where=place) from error
    return text.removesuffix("\n").removesuffix("\r")


def _from_file(path: str, environ: Mapping[str, str]) -> str:
    return read_secret_file(path)


RESOLVERS: dict[str, Resolver] = {"env": _from_env, "file": _from_file}


def is_reference(text: str) -> bool:
    """Whether `text` has the shape of a reference, ``env:NAME`` or ``file:/path``."""
    scheme, colon, rest = text.partition(":")
    return bool(colon and rest) and scheme in RESOLVERS and not rest.startswith("//")


def resolve(reference: str, *, environ: Mapping[str, str] | None = None) -> str:
    """The secret that `reference` names.

    Args:
        reference: ``env:NAME`` or ``file:/absolute/path``.
        environ: where ``env:`` looks; the process environment by default.

    Raises:
        ConfigError: not a reference, or it leads to nothing or to an empty value. The message
            never repeats what was given when it is no reference, since it may be the secret.
    """
    scheme, _, rest = reference.partition(":")
    if not is_reference(reference):
        raise ConfigError(
            "this is not a reference to a secret",
            hint="write " + " or ".join(f"{name}:…" for name in sorted(RESOLVERS)),
        )
    value = RESOLVERS[scheme](rest, os.environ if environ is None else environ)
    if not value:
        raise ConfigError("the secret is empty", where=reference)
    return value
