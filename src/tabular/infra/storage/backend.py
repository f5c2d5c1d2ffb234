"""What a driver must give: named blobs. Everything else is built once, in `store`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from tabular.errors import UnavailableError


class BlobExistsError(Exception):
    """A conditional write met an existing blob; `store` turns it into a ConflictError."""


def missing_bucket(where: str) -> UnavailableError:
    """The error for a bucket or container that is not there, which is not a missing object."""
    return UnavailableError(
        "the bucket or container does not exist",
        where=where,
        hint="create it, or correct its name in TABULAR_STORAGE_URL",
        code="unavailable.no-bucket",
    )


def refused(action: str, reason: str, where: str) -> UnavailableError:
    """The error for credentials that are wrong or have too few rights."""
    return UnavailableError(
        f"the store refuses to {action}: {reason}",
        where=where,
        hint="check the credentials and their rights on the bucket",
    )


class Backend(Protocol):
    """Named blobs in one place. Names are legal keys plus an ``@`` suffix.

    Every method raises UnavailableError when the place does not answer, is full or refuses.
    """

    @property
    def where(self) -> str:
        """The place for error messages, without credentials."""
        ...

    def write(self, name: str, blocks: Iterator[bytes]) -> None:
        """Store a blob from blocks of at most 4 MiB in bounded memory, durably.

        On any error, the caller's own included, nothing whole stays under `name`.
        """
        ...

    def commit(self, name: str, data: bytes, *, create: bool) -> None:
        """Store a small blob in one atomic step: readers see the old bytes or the new.

        Raises:
            BlobExistsError: `create` is set and the blob is there already.
        """
        ...

    def read(self, name: str) -> bytes | None:
        """A small blob whole, or None when there is none."""
        ...

    def stream(self, name: str) -> Iterator[bytes] | None:
        """A blob in chunks, opened at once, or None when there is none."""
        ...

    def read_range(self, name: str, start: int, length: int) -> bytes | None:
        """At most `length` bytes from `start`, or None when there is no blob."""
        ...

    def names(self, folder: str) -> Iterator[tuple[str, float]]:
        """Every blob below `folder` (all when empty) with its age in seconds."""
        ...

    def delete(self, name: str) -> None:
        """Remove a blob; no error when there is none."""
        ...

    def ping(self) -> None:
        """Return when the place answers and can be used."""
        ...
