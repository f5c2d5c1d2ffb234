"""S3, Google Cloud Storage, Azure Blob and memory through obstore: one driver for all of them.

Obstore (Rust `object_store`) finds credentials the way each vendor's own tools do: environment
variables, profiles of the machine or pod, metadata servers. What is added here are bounds on
time and memory, and errors that say what to do.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult

import obstore
from obstore import exceptions

from tabular.errors import ConfigError, InputError, UnavailableError
from tabular.infra.storage.backend import BlobExistsError
from tabular.infra.storage.keys import check_prefix
from tabular.infra.urls import options, public

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store

    Store = AzureStore | GCSStore | MemoryStore | S3Store

_PART = 8 * 1024 * 1024  # 10,000 parts of it make 80 GB, the largest object
_PARALLEL_PARTS = 3  # with the block in hand, at most 32 MiB in memory
_CHUNK = 1024 * 1024

_CLIENT = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=120)}
_RETRY = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=30),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=2),
        "base": 2,
    },
}

_OPTIONS = {
    "s3": ("endpoint", "region", "virtual_host"),
    "gs": ("endpoint",),
    "az": ("account", "endpoint"),
    "memory": (),
}

_REFUSALS = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
_STATUS = re.compile(r"status code: (\d{3} [A-Z][A-Za-z ]+)")
_CODE = re.compile(r"<Code>(\w+)</Code>")

_memories: dict[str, MemoryStore] = {}


def open_backend(parts: SplitResult, credentials: Mapping[str, str]) -> CloudBackend:
    """The driver for a parsed ``s3``, ``gs``, ``az`` or ``memory`` URL.

    Raises:
        ConfigError: no bucket, an unknown option, or credentials of an unknown name.
    """
    given = options(parts, _OPTIONS[parts.scheme], what="storage")
    where = public(parts._replace(query="").geturl())
    if parts.username is not None:
        raise ConfigError(
            "the storage URL carries credentials",
            where=where,
            hint="set the store's own variables, such as AWS_ACCESS_KEY_ID, instead",
        )
    if not parts.netloc and parts.scheme != "memory":
        raise ConfigError("the storage URL names no bucket", where=where)
    try:
        prefix = check_prefix(parts.path.removeprefix("/"))
        store = _OPENERS[parts.scheme](parts.netloc, prefix, given, dict(credentials))
    except InputError as error:
        raise ConfigError("the storage URL has an illegal prefix", where=where) from error
    except (exceptions.BaseError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the storage cannot be set up: {_reason(error)}",
            where=where,
            hint="see TABULAR_STORAGE_URL in docs/settings.md",
        ) from error
    return CloudBackend(store, where, folder="" if parts.scheme != "memory" else prefix)


class CloudBackend:
    """Blobs in one bucket below one prefix."""

    def __init__(self, store: Store, where: str, *, folder: str = "") -> None:
        self._store = store
        self._where = where
        self._folder = f"{folder}/" if folder else ""

    @property
    def where(self) -> str:
        """The bucket and prefix as a URL."""
        return self._where

    def write(self, name: str, blocks: Iterator[bytes]) -> None:
        """Small blobs in one request, larger ones as a multipart upload."""
        head = list(itertools.islice(blocks, 2))
        if len(head) < 2:
            data = head[0] if head else b""
            with self._explained("write"):
                obstore.put(self._store, self._path(name), data, use_multipart=False)
            return
        source = _Remembering(itertools.chain(head, blocks))
        try:
            with self._explained("write"):
                obstore.put(
                    self._store,
                    self._path(name),
                    source,
                    use_multipart=True,
                    chunk_size=_PART,
                    max_concurrency=_PARALLEL_PARTS,
                )
        except UnavailableError:
            if source.error is not None:
                raise source.error from None
            raise

    def commit(self, name: str, data: bytes, *, create: bool) -> None:
        """One conditional or plain put."""
        mode: Any = "create" if create else "overwrite"
        with self._explained("write"):
            try:
                obstore.put(self._store, self._path(name), data, mode=mode, use_multipart=False)
            except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
                raise BlobExistsError(name) from None

    def read(self, name: str) -> bytes | None:
        """One get."""
        with self._explained("read"):
            try:
                return bytes(obstore.get(self._store, self._path(name)).bytes())
            except (exceptions.NotFoundError, FileNotFoundError):
                return None

    def stream(self, name: str) -> Iterator[bytes] | None:
        """One get, read in chunks of at least 1 MiB."""
        with self._explained("read"):
            try:
                result = obstore.get(self._store, self._path(name))
            except (exceptions.NotFoundError, FileNotFoundError):
                return None
            chunks = iter(result.stream(min_chunk_size=_CHUNK))
        return self._chunks(chunks)

    def _chunks(self, chunks: Iterator[Any]) -> Iterator[bytes]:
        while True:
            with self._explained("read"):
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield bytes(chunk)

    def read_range(self, name: str, start: int, length: int) -> bytes | None:
        """One ranged get; empty when the blob is shorter than `start`."""
        with self._explained("read"):
            try:
                got = obstore.get_range(self._store, self._path(name), start=start, length=length)
            except (exceptions.NotFoundError, FileNotFoundError):
                return None
            except exceptions.BaseError as error:
                if _status(error).startswith("416") or "InvalidRange" in str(error):
                    return b""
                raise
            return bytes(got)

    def names(self, folder: str) -> Iterator[tuple[str, float]]:
        """Every blob below the folder, page by page."""
        prefix = f"{self._folder}{folder}".rstrip("/") or None
        now = datetime.now(UTC)
        pages = iter(obstore.list(self._store, prefix=prefix))
        while True:
            with self._explained("list"):
                page = next(pages, None)
            if page is None:
                return
            for meta in page:
                age = (now - meta["last_modified"]).total_seconds()
                yield meta["path"].removeprefix(self._folder), age

    def delete(self, name: str) -> None:
        """One delete; a missing blob is no error."""
        with (
            self._explained("delete"),
            contextlib.suppress(exceptions.NotFoundError, FileNotFoundError),
        ):
            obstore.delete(self._store, self._path(name))

    def ping(self) -> None:
        """List one page of a folder that does not exist: needs bucket and credentials."""
        with self._explained("list"):
            next(iter(obstore.list(self._store, prefix=f"{self._folder}.ping")), None)

    def _path(self, name: str) -> str:
        return self._folder + name

    @contextlib.contextmanager
    def _explained(self, action: str) -> Iterator[None]:
        try:
            yield
        except BlobExistsError:
            raise
        except (exceptions.BaseError, OSError) as error:
            refused = isinstance(error, _REFUSALS) or _status(error).startswith(("401", "403"))
            raise UnavailableError(
                f"the store {'refuses to' if refused else 'cannot'} {action}: {_reason(error)}",
                where=self._where,
                hint="check the credentials and their rights on the bucket"
                if refused
                else "check TABULAR_STORAGE_URL, the bucket's name and the network",
            ) from error


class _Remembering:
    """An iterator that keeps the error its source raised, which obstore would wrap."""

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self.error: BaseException | None = None

    def __iter__(self) -> _Remembering:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._source)
        except StopIteration:
            raise
        except BaseException as error:
            self.error = error
            raise


def _open_s3(bucket: str, prefix: str, given: dict[str, str], credentials: dict[str, str]) -> Store:
    from obstore.store import S3Store

    config: dict[str, Any] = dict(credentials)
    endpoint = given.get("endpoint")
    if endpoint:
        config["endpoint"] = endpoint
        config["region"] = given.get("region", "us-east-1")
    elif "region" in given:
        config["region"] = given["region"]
    config["virtual_hosted_style_request"] = given.get("virtual_host", "false") == "true"
    return S3Store(bucket, prefix=prefix or None, **config, **_bounds(endpoint))


def _open_gcs(
    bucket: str, prefix: str, given: dict[str, str], credentials: dict[str, str]
) -> Store:
    from obstore.store import GCSStore

    config: dict[str, Any] = dict(credentials)
    endpoint = given.get("endpoint")
    if endpoint:
        config["base_url"] = endpoint
    return GCSStore(bucket, prefix=prefix or None, **config, **_bounds(endpoint))


def _open_azure(
    container: str, prefix: str, given: dict[str, str], credentials: dict[str, str]
) -> Store:
    from obstore.store import AzureStore

    config: dict[str, Any] = dict(credentials)
    endpoint = given.get("endpoint")
    if "account" in given:
        config["account_name"] = given["account"]
    if endpoint:
        config["endpoint"] = endpoint
    return AzureStore(container, prefix=prefix or None, **config, **_bounds(endpoint))


def _open_memory(
    name: str, prefix: str, given: dict[str, str], credentials: dict[str, str]
) -> Store:
    from obstore.store import MemoryStore

    return _memories.setdefault(name, MemoryStore()) if name else MemoryStore()


_OPENERS = {"s3": _open_s3, "gs": _open_gcs, "az": _open_azure, "memory": _open_memory}


def _bounds(endpoint: str | None) -> dict[str, Any]:
    plain = endpoint is not None and endpoint.startswith("http://")
    return {"client_options": {**_CLIENT, "allow_http": plain}, "retry_config": _RETRY}


def _status(error: BaseException) -> str:
    """The HTTP status in an error of obstore, such as ``403 Forbidden``, or nothing."""
    found = _STATUS.search(str(error))
    return found.group(1) if found else ""


def _reason(error: BaseException) -> str:
    """The part of an error that says why: status and code, or its first line."""
    status, code = _status(error), _CODE.search(str(error))
    if status:
        return status + (f" ({code.group(1)})" if code else "")
    return public(str(error).strip().partition("\n")[0])[:300] or type(error).__name__
