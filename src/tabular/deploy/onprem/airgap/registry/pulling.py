"""Manifests and blobs out of a registry, each believed only once its SHA-256 is the one asked for.

The media types and the choice among platforms are those of the OCI image specification 1.1;
Docker's older ones are the same documents under other names.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tabular.deploy.onprem.airgap.contents import Blob
from tabular.errors import (
    EngineError,
    IntegrityError,
    NotFoundError,
    TabularError,
    UnauthenticatedError,
    UnsupportedError,
)

from .connection import Shelf
from .signin import BUSY

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = frozenset({OCI_INDEX, _DOCKER_LIST})
MANIFESTS = frozenset({OCI_MANIFEST, _DOCKER_MANIFEST})
_ACCEPT = ", ".join((OCI_INDEX, _DOCKER_LIST, OCI_MANIFEST, _DOCKER_MANIFEST))
_MAX_MANIFEST = 4 * 1024 * 1024  # bytes that a registry must take at least, by the specification
_OTHERS = "an image of this machine: --image NAME=podman:LOCAL; another registry: --mirror"
_PARTIAL, _WHOLE, _NO_RANGE = 206, 200, 416


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest of one platform's image, as it lies in a registry or an archive.

    Attributes:
        media_type: of the document.
        raw: its bytes, which its digest is made of.
    """

    media_type: str
    raw: bytes

    @property
    def digest(self) -> str:
        """Such as ``sha256:…``."""
        return f"sha256:{hashlib.sha256(self.raw).hexdigest()}"

    def blobs(self, where: str) -> tuple[Blob, ...]:
        """Its configuration and its layers.

        Raises:
            UnsupportedError: it is no manifest of an image.
        """
        try:
            said = json.loads(self.raw)
            found = (said["config"], *said["layers"])
            return tuple(Blob(digest=one["digest"], size=one["size"]) for one in found)
        except (ValueError, KeyError, TypeError) as error:
            raise UnsupportedError("its manifest is not understood", where=where) from error


def manifest(shelf: Shelf, wanted: str, platform: str) -> Manifest:
    """The manifest of an image for one platform.

    Args:
        shelf: the repository.
        wanted: a tag or a digest, of a list of platforms or of one.
        platform: such as ``linux/amd64``.

    Raises:
        NotFoundError: there is none.
        UnsupportedError: there is none for this platform, or it is of a kind that is not known.
        IntegrityError: what came is not what has this digest.
    """
    where = f"{shelf.where}{'@' if ':' in wanted else ':'}{wanted}"
    found = _document(shelf, wanted, where)
    if found.media_type in INDEXES:
        found = _document(shelf, choose(found.raw, platform, where), where)
    if found.media_type not in MANIFESTS:
        raise UnsupportedError(
            f"an image of the kind {found.media_type or 'unknown'} cannot be bundled",
            where=where,
            hint="push it again with a current podman or docker",
        )
    return found


def choose(index: bytes, platform: str, where: str) -> str:
    """Digest of the image for a platform in a list of them.

    Raises:
        UnsupportedError: it is not among them.
    """
    try:
        entries = {_platform(one): str(one["digest"]) for one in json.loads(index)["manifests"]}
    except (ValueError, KeyError, TypeError) as error:
        raise UnsupportedError("its list of platforms is not understood", where=where) from error
    # arm64 has but one variant, and lists name it or not.
    for name in (platform, f"{platform}/v8"):
        if name in entries:
            return entries[name]
    there = sorted(name for name in entries if not name.startswith("unknown"))
    raise UnsupportedError(
        f"there is no image for {platform}, only for {', '.join(there) or 'none'}",
        where=where,
        hint="--platform names another",
    )


def _platform(entry: Mapping[str, Any]) -> str:
    said = entry.get("platform") or {}
    parts = (said.get("os", "unknown"), said.get("architecture", ""), said.get("variant"))
    return "/".join(str(part) for part in parts if part)


def _document(shelf: Shelf, wanted: str, where: str) -> Manifest:
    try:
        answer = shelf.ask("GET", f"manifests/{wanted}", (200,), headers={"Accept": _ACCEPT})
    except NotFoundError as error:
        raise NotFoundError("the registry has no such image", where=where, hint=_OTHERS) from error
    except UnauthenticatedError as error:
        # Docker Hub says the same of what it does not have.
        raise UnauthenticatedError(
            "the registry has no such image, or wants a sign-in for it",
            where=where,
            hint=f"{error.hint}; {_OTHERS}",
        ) from error
    raw = answer.content
    if len(raw) > _MAX_MANIFEST:
        raise UnsupportedError(f"its manifest has {len(raw)} bytes", where=where)
    said = wanted if ":" in wanted else answer.headers.get("Docker-Content-Digest")
    found = Manifest(answer.headers.get("Content-Type", "").partition(";")[0].strip(), raw)
    if said is not None and said != found.digest:
        raise IntegrityError(
            f"the registry gives a manifest with the digest {found.digest} for {said}",
            where=where,
        )
    return found


def fetch(shelf: Shelf, blob: Blob, part: Path) -> None:
    """Bring a blob into a file; what is there of it is not asked for again.

    Args:
        shelf: the repository.
        blob: which.
        part: the file; of the right length when this returns, and not looked at.

    Raises:
        NotFoundError: there is none.
        UnavailableError: the registry does not answer.
        OSError: the disk does not take it.
    """
    have = _length(part)
    tries = shelf.tries()
    while have != blob.size:
        problem, pause = _get_on(shelf, blob, part, have)
        now = _length(part)
        if problem is not None and now <= have:
            next(tries)(problem, pause)
        elif now > have:
            tries = shelf.tries()
        have = now


def _get_on(
    shelf: Shelf, blob: Blob, part: Path, have: int
) -> tuple[TabularError | None, str | None]:
    """Ask for what is missing.

    Returns:
        What went wrong, if that is worth another try, and the pause that the registry asks for.
    """
    if have > blob.size:
        part.unlink()
        have = 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        with shelf.stream(f"blobs/{blob.digest}", headers) as answer:
            if answer.status_code == _NO_RANGE or (
                answer.status_code == _PARTIAL and not _begins_at(answer, have)
            ):
                part.unlink(missing_ok=True)
                return EngineError("the registry gives another range", where=shelf.where), None
            if answer.status_code not in (_WHOLE, _PARTIAL):
                answer.read()
                refusal = shelf.refusal(answer)
                if answer.status_code not in BUSY:
                    raise refusal
                return refusal, answer.headers.get("Retry-After")
            with part.open("ab" if answer.status_code == _PARTIAL else "wb") as file:
                _write(answer, file, blob.size)
    except httpx.TransportError as error:
        return shelf.unanswered(error), None
    if _length(part) == blob.size:
        return None, None
    return EngineError("it ended early", where=shelf.where), None


def _write(answer: httpx.Response, file: Any, most: int) -> None:
    """Write what comes; a registry that sends without an end does not fill the disk."""
    for piece in answer.iter_raw():
        file.write(piece)
        if file.tell() > most:
            return


def _begins_at(answer: httpx.Response, start: int) -> bool:
    return bool(answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"))


def _length(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0
