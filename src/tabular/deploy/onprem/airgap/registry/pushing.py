"""Blobs and manifests into a registry, with the digests they have: what is there is not sent again.

By the OCI distribution specification 1.1: uploads go in pieces, and a connection that breaks is
followed by the question of how much has arrived.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import httpx

from tabular.deploy.onprem.airgap.contents import Blob
from tabular.errors import (
    AccessError,
    EngineError,
    IntegrityError,
    NotFoundError,
    UnavailableError,
)

from .connection import Shelf
from .pulling import INDEXES, MANIFESTS

PIECE = 8 * 1024 * 1024  # bytes of one request
_ASTRAY = (404, 416)  # the registry knows of no such upload, or of another length of it
_BYTES = {"Content-Type": "application/octet-stream"}
Read = Callable[[int], Iterator[bytes]]


def has(shelf: Shelf, blob: Blob) -> bool:
    """Whether a repository has a blob."""
    try:
        answer = shelf.ask("HEAD", f"blobs/{blob.digest}", (200,))
    except NotFoundError:
        return False
    length = answer.headers.get("Content-Length")
    return length is None or int(length) == blob.size


def take_over(shelf: Shelf, blob: Blob, source: str) -> bool:
    """Have a blob of another repository of the same registry; False where it does not do that."""
    asked = {"mount": blob.digest, "from": source}
    try:
        answer = shelf.ask("POST", "blobs/uploads/", (201, 202), params=asked)
    except (NotFoundError, AccessError, EngineError):
        return False  # what is wrong with the repository itself, the upload will tell
    if answer.status_code == 201:
        return True
    _give_up(shelf, shelf.location(answer))
    return False


def put(shelf: Shelf, blob: Blob, read: Read) -> None:
    """Upload a blob.

    Args:
        shelf: the repository.
        blob: which.
        read: its bytes from an offset on.

    Raises:
        IntegrityError: what arrived is something else.
        NotFoundError: there is no such repository, and none is made by a push.
        AccessError: who asks may not.
        UnavailableError: the registry does not answer.
        EngineError: it refuses.
    """
    at, least = _begin(shelf)
    offset, tries = 0, shelf.tries()
    while offset < blob.size:
        data = _take(read(offset), max(PIECE, least))
        if not data:
            raise IntegrityError(f"it has {offset} bytes, and {blob.size} were said", where=at.path)
        try:
            at = _send(shelf, at, offset, data)
        except UnavailableError as error:
            next(tries)(error, None)
            at, offset = _arrived(shelf, at)
            continue
        offset, tries = offset + len(data), shelf.tries()
    try:
        url = at.copy_merge_params({"digest": blob.digest})
        shelf.ask("PUT", url, (201,), headers=_BYTES)
    except (EngineError, NotFoundError) as error:
        # The answer may have been lost after it was done.
        if not has(shelf, blob):
            raise IntegrityError(
                f"the registry does not take the blob: {error.message}",
                where=f"{shelf.where}@{blob.digest}",
                hint="run the same command again",
            ) from error


def tagged(shelf: Shelf, wanted: str) -> str | None:
    """Digest of what lies under a tag or a digest; None where nothing does."""
    try:
        accept = ", ".join(sorted(MANIFESTS | INDEXES))
        answer = shelf.ask("HEAD", f"manifests/{wanted}", (200,), headers={"Accept": accept})
    except NotFoundError:
        return None
    return str(answer.headers.get("Docker-Content-Digest", "")) or None


def put_manifest(shelf: Shelf, tag: str, digest: str, media_type: str, raw: bytes) -> None:
    """Upload a manifest under a tag, and ask for it by its digest.

    Raises:
        IntegrityError: the registry has something else afterwards.
    """
    shelf.ask("PUT", f"manifests/{tag}", (201,), content=raw, headers={"Content-Type": media_type})
    there = tagged(shelf, digest)
    if there != digest or tagged(shelf, tag) != digest:
        raise IntegrityError(
            f"the registry has {there or 'nothing'} after the push of {digest}",
            where=f"{shelf.where}:{tag}",
        )


def _begin(shelf: Shelf) -> tuple[httpx.URL, int]:
    """A new upload: where to, and how long a piece must be at least."""
    try:
        answer = shelf.ask("POST", "blobs/uploads/", (202,))
    except NotFoundError as error:
        hint = "some registries want a project or a repository to be made before anything is pushed"
        raise NotFoundError(error.message, where=shelf.where, hint=hint) from error
    least = answer.headers.get("OCI-Chunk-Min-Length", "0")
    return shelf.location(answer), int(least) if least.isdigit() else 0


def _send(shelf: Shelf, at: httpx.URL, offset: int, data: bytes) -> httpx.URL:
    """Send one piece once; where the next one goes.

    Not repeated as it is: what arrived of it has to be asked first.

    Raises:
        UnavailableError: it may go well another time.
        TabularError: it is refused.
    """
    span = f"{offset}-{offset + len(data) - 1}"
    answer = shelf.once("PATCH", at, content=data, headers={**_BYTES, "Content-Range": span})
    if answer.status_code == 202:
        return shelf.location(answer)
    refusal = shelf.refusal(answer)
    if answer.status_code in _ASTRAY:
        raise UnavailableError(refusal.message, where=shelf.where)
    raise refusal


def _arrived(shelf: Shelf, at: httpx.URL) -> tuple[httpx.URL, int]:
    """Where an upload goes on; a new one, where the old one is forgotten."""
    try:
        answer = shelf.ask("GET", at, (204,))
    except (NotFoundError, EngineError):
        return _begin(shelf)[0], 0
    last = answer.headers.get("Range", "").removeprefix("bytes=").partition("-")[2]
    # A registry says 0-0 for nothing as well as for one byte, and pieces are never one byte.
    offset = int(last) + 1 if last.isdigit() and int(last) else 0
    return shelf.location(answer) if "Location" in answer.headers else at, offset


def _give_up(shelf: Shelf, at: httpx.URL) -> None:
    """End an upload that is not needed; registries forget those of which this fails."""
    with contextlib.suppress(UnavailableError):
        shelf.once("DELETE", at)


def _take(stream: Iterator[bytes], size: int) -> bytes:
    found = bytearray()
    for piece in stream:
        found += piece
        if len(found) >= size:
            break
    return bytes(found[:size])
