"""What images are called, and where each of them lies once another registry has it.

The chart's helper `tabular.image` moves names in the same way; `load` compares the two.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self

from tabular.errors import InputError

DOCKER_HUB = "docker.io"
HUB_API = "registry-1.docker.io"
_LATEST = "latest"
# github.com/opencontainers/distribution-spec, "Pulling manifests"
_PATH = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"({_LABEL}(\.{_LABEL})*|\[[0-9a-fA-F:]+\])(:[0-9]{{1,5}})?")


@dataclass(frozen=True, slots=True)
class Reference:
    """A name of an image.

    Attributes:
        host: of the registry, with its port; "" where the name has none.
        path: of the repository there.
        tag: "" if a digest is all that is said.
        digest: such as ``sha256:…``; "" if none is said.
    """

    host: str
    path: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name.

        Raises:
            InputError: it is none.
        """
        name, _, digest = text.partition("@")
        first, slash, rest = name.partition("/")
        host = first if slash and _is_host(first) else ""
        path, colon, tag = (rest if host else name).partition(":")
        fits = (
            _PATH.fullmatch(path)
            and (not host or _HOST.fullmatch(host))
            and (not colon or _TAG.fullmatch(tag))
            and ("@" not in text or _DIGEST.fullmatch(digest))
        )
        if not fits:
            raise _no_name(text)
        return cls(host, path, tag if tag or digest else _LATEST, digest)

    def __str__(self) -> str:
        return self.repository + (f":{self.tag}" if self.tag else "") + self._at()

    def _at(self) -> str:
        return f"@{self.digest}" if self.digest else ""

    @property
    def repository(self) -> str:
        """Name without tag and digest."""
        return f"{self.host}/{self.path}" if self.host else self.path

    @property
    def wanted(self) -> str:
        """What a registry is asked for: the digest, or else the tag."""
        return self.digest or self.tag

    @property
    def registry(self) -> str:
        """Host whose API has it: Docker Hub's, where the name has none."""
        return HUB_API if self.host in ("", DOCKER_HUB) else self.host

    @property
    def shelf(self) -> str:
        """Path of the repository in that API: Docker Hub keeps the official images in library/."""
        hub = self.registry == HUB_API
        return f"library/{self.path}" if hub and "/" not in self.path else self.path

    def under(self, root: str) -> Self:
        """The same name in another registry.

        Args:
            root: host of it, with or without a path: ``registry.corp:5000/platform``.
        """
        host, _, prefix = root.partition("/")
        return replace(self, host=host, path=f"{prefix}/{self.path}" if prefix else self.path)


def root_of(text: str) -> str:
    """A registry as a flag names it, without a slash at the end.

    Raises:
        InputError: it is none.
    """
    root = text.removesuffix("/")
    host, slash, prefix = root.partition("/")
    if not _HOST.fullmatch(host) or (slash and not _PATH.fullmatch(prefix)):
        raise InputError(
            f"{text!r} is no registry",
            hint="host, port and path without https://, such as registry.corp:5000/platform",
        )
    return root


def _is_host(first: str) -> bool:
    return "." in first or ":" in first or first == "localhost"


def _no_name(text: str) -> InputError:
    return InputError(
        f"{text!r} is no name of an image",
        hint="such as docker.io/library/postgres:17 or registry.corp/team/app@sha256:…",
    )
