"""A bucket as others see it: blobs under the names that they gave them.

The service's own objects have records and checksums of ours beside them (see `store`). What
somebody puts into the bucket with the vendor's tools has none, and what they are to take out with
these tools must be a single blob under its plain name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tabular.errors import NotFoundError
from tabular.infra.storage.backend import Backend
from tabular.infra.storage.keys import check_key
from tabular.infra.urls import split

# A folder of a host is not among them: its driver writes a name once and never again.
SCHEMES = ("s3", "gs", "az", "memory")


def open_plain(url: str, *, credentials: Mapping[str, str] | None = None) -> Backend:
    """The blobs at a storage URL; nothing is contacted before the first call.

    Args:
        url: ``s3://bucket/prefix`` and so on; see `tabular.infra.storage.open_store`.
        credentials: as there.

    Raises:
        ConfigError: no bucket, or an option that no driver reads.
    """
    from tabular.infra.storage.clients import open_backend

    return open_backend(split(url, SCHEMES, what="storage"), credentials or {})


def existing(blobs: Backend, name: str) -> Iterator[bytes]:
    """A blob in chunks.

    Raises:
        InputError: an illegal name.
        NotFoundError: there is none.
    """
    found = blobs.stream(check_key(name))
    if found is None:
        raise NotFoundError(f"there is no {name}", where=blobs.where)
    return found


def fetched(blobs: Backend, name: str, folder: Path) -> Path:
    """A blob as a file of its own name.

    Args:
        blobs: where it is.
        name: its name.
        folder: where the file goes.

    Raises:
        InputError, NotFoundError: as `existing`.
    """
    path = folder / name.rpartition("/")[2]
    with path.open("wb") as file:
        for chunk in existing(blobs, name):
            file.write(chunk)
    return path
