"""Object storage by URL: one contract over files, S3, Google Cloud Storage and Azure Blob.

`open_store` chooses the driver; `ObjectStore` is what the rest of the service sees. Checksums,
atomic commits and key rules live in `store`, once, so that every driver keeps the same layout
and an object copied raw from one store to another still verifies there.
"""

from __future__ import annotations

from collections.abc import Mapping

from tabular.infra.storage.keys import check_key, check_prefix
from tabular.infra.storage.record import ObjectInfo
from tabular.infra.storage.store import ObjectStore
from tabular.infra.urls import local_path, options, split

__all__ = ["SCHEMES", "ObjectInfo", "ObjectStore", "check_key", "check_prefix", "open_store"]

SCHEMES = ("file", "memory", "s3", "gs", "az")


def open_store(url: str, *, credentials: Mapping[str, str] | None = None) -> ObjectStore:
    """The object store at `url`; nothing is contacted before the first call.

    Args:
        url: ``file:///folder``, ``memory://name`` (one process), ``s3://bucket/prefix``,
            ``gs://bucket/prefix`` or ``az://container/prefix``; options as in docs/settings.md.
        credentials: explicit credentials by obstore's names (``access_key_id`` …), for
            ``gs://`` ``bearer_token`` or ``service_account`` (a file). Without them the
            store's own environment variables or the machine's role are used.

    Raises:
        ConfigError: no driver for the URL, or an option that no driver reads.
    """
    parts = split(url, SCHEMES, what="storage")
    if parts.scheme == "file":
        from tabular.infra.storage.files import FileBackend

        options(parts, (), what="storage")
        files = FileBackend(local_path(parts, what="storage"))
        return ObjectStore(files, check_place=files.check_place)
    from tabular.infra.storage.clients import open_backend

    return ObjectStore(open_backend(parts, credentials or {}))
