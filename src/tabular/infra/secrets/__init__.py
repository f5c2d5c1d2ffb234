"""Secrets are named, never written down: this is where a name becomes the value.

A spec, a template or a plan holds only a reference such as ``env:DB_PASSWORD`` or
``file:/run/secrets/db``. The value is read at the moment of use, so it exists in the memory
of the process that needs it and nowhere else. Errors name the reference, never the value.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tabular.errors import ConfigError, UnavailableError

MAX_SECRET_BYTES = 64 * 1024

_LOG = logging.getLogger(__name__)

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


def _from(module: str) -> Resolver:
    """The resolver of a module that is imported with the first reference to it."""

    def resolver(reference: str, environ: Mapping[str, str]) -> str:
        found: Resolver = importlib.import_module(f"{__name__}.{module}").resolve
        return found(reference, environ)

    return resolver


RESOLVERS: dict[str, Resolver] = {
    "env": _from_env,
    "file": _from_file,
    "aws-sm": _from("aws"),
    "gcp-sm": _from("gcp"),
    "az-kv": _from("azure"),
    "k8s": _from("kubernetes"),
}


def is_reference(text: str) -> bool:
    """Whether `text` has the shape of a reference, ``env:NAME`` or ``file:/path``."""
    scheme, colon, rest = text.partition(":")
    return bool(colon and rest) and scheme in RESOLVERS and not rest.startswith("//")


class Rotating:
    """A secret that is read again from time to time, so that it may change while we run.

    Args:
        reference: as for `resolve`.
        ttl: seconds for which a value is believed.
        environ: as for `resolve`.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        reference: str,
        *,
        ttl: float = 300.0,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reference = reference
        self._ttl = ttl
        self._environ = environ
        self._clock = clock
        self._known: tuple[str, float] | None = None
        self._lock = threading.Lock()

    def value(self, *, again: bool = False) -> str:
        """The secret; the one before goes on while its store does not answer.

        Args:
            again: ask now, since the value known was refused.

        Raises:
            ConfigError: the reference leads to nothing.
            UnavailableError: its store does not answer, and no value is known.
        """
        with self._lock:
            known, now = self._known, self._clock()
            if known is not None and not again and now - known[1] < self._ttl:
                return known[0]
            try:
                self._known = (resolve(self._reference, environ=self._environ), now)
            except UnavailableError as error:
                if known is None:
                    raise
                _LOG.warning("a secret is not read again: %s", error)
                return known[0]
            return self._known[0]


def resolve(reference: str, *, environ: Mapping[str, str] | None = None) -> str:
    """The secret that `reference` names.

    Args:
        reference: ``env:NAME``, ``file:/absolute/path``, ``aws-sm:NAME[#KEY]``,
            ``gcp-sm:projects/P/secrets/S[/versions/V][#KEY]``, ``az-kv:VAULT/NAME[/VERSION]``
            or ``k8s:[NAMESPACE/]NAME/KEY``.
        environ: where ``env:`` looks; the process environment by default.

    Raises:
        ConfigError: not a reference, or it leads to nothing or to an empty value. The message
            never repeats what was given when it is no reference, since it may be the secret.
        UnavailableError: the store that has it does not answer.
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
