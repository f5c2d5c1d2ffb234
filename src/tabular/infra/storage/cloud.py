"""S3, Azure Blob and memory through obstore: one driver for all of them.

Obstore (Rust `object_store`) finds credentials the way each vendor's own tools do: environment
variables, profiles of the machine or pod, metadata servers. What is added here are bounds on
time and memory, and errors that say what to do.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import obstore
from obstore import exceptions

from tabular.errors import UnavailableError
from tabular.infra.storage.backend import BlobExistsError, missing_bucket, refused
from tabular.infra.storage.retries import Retries
from tabular.infra.urls import public

if TYPE_CHECKING:
    from obstore.store import AzureStore, MemoryStore, S3Store

    Store = AzureStore | MemoryStore | S3Store

_PART = 8 * 1024 * 1024  # 10,000 parts of it make 80 GB, the largest object
_PARALLEL_PARTS = 3  # with the block in hand, at most 32 MiB in memory
_CHUNK = 1024 * 1024

_REFUSALS = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
_STATUS = re.compile(r"status code: (\d{3} [A-Z][A-Za-z ]+)")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_NO_BUCKET = ("<Code>NoSuchBucket</Code>", "<Code>ContainerNotFound</Code>")
_MISSING = (exceptions.NotFoundError, FileNotFoundError)


class CloudBackend:
    """Blobs in one bucket below one prefix."""

    def __init__(self, store: Store, where: str, *, folder: str = "") -> None:
        """
        Args:
            store: of obstore.
            where: the place as a URL for messages.
            folder: of all blobs, where the store has no prefix of its own.
        """
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
            except _MISSING as error:
                _must_be_the_blob(error)
                return None

    def stream(self, name: str) -> Iterator[bytes] | None:
        """One get in chunks of at least 1 MiB; continued where it broke or took too long."""
        chunks = self._opened(name, 0)
        return None if chunks is None else self._chunks(name, chunks)

    def _opened(self, name: str, start: int) -> Iterator[Any] | None:
        options: Any = {"range": {"offset": start}} if start else None
        with self._explained("read"):
            try:
                result = obstore.get(self._store, self._path(name), options=options)
            except _MISSING as error:
                _must_be_the_blob(error)
                return None
            return iter(result.stream(min_chunk_size=_CHUNK))

    def _chunks(self, name: str, chunks: Iterator[Any]) -> Iterator[bytes]:
        """The chunks of a stream and of those that continue it.

        The limit of obstore counts from the request to the last byte, so a large blob that goes
        to a slow reader meets it in good health. As long as chunks come, it is asked on.
        """
        position, retries = 0, Retries()
        while True:
            try:
                with self._explained("read"):
                    chunk = next(chunks, None)
            except UnavailableError:
                if not retries.wait():
                    raise
                chunks = self._opened(name, position) or iter(())
                continue
            if chunk is None:
                return
            position += len(chunk)
            retries = Retries()
            yield bytes(chunk)

    def read_range(self, name: str, start: int, length: int) -> bytes | None:
        """One ranged get; empty when the blob is shorter than `start`."""
        with self._explained("read"):
            try:
                got = obstore.get_range(self._store, self._path(name), start=start, length=length)
            except _MISSING as error:
                _must_be_the_blob(error)
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
            contextlib.suppress(*_MISSING),
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
            if _names_no_bucket(error):
                raise missing_bucket(self._where) from error
            if isinstance(error, _REFUSALS) or _status(error).startswith(("401", "403")):
                raise refused(action, reason_of(error), self._where) from error
            raise UnavailableError(
                f"the store cannot {action}: {reason_of(error)}",
                where=self._where,
                hint="check TABULAR_STORAGE_URL, the bucket's name and the network",
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


def _status(error: BaseException) -> str:
    """The HTTP status in an error of obstore, such as ``403 Forbidden``, or nothing."""
    found = _STATUS.search(str(error))
    return found.group(1) if found else ""


def reason_of(error: BaseException) -> str:
    """The part of an error that says why: status and code, or its first line."""
    status, code = _status(error), _CODE.search(str(error))
    if status:
        return status + (f" ({code.group(1)})" if code else "")
    return public(str(error).strip().partition("\n")[0])[:300] or type(error).__name__


def _names_no_bucket(error: BaseException) -> bool:
    return any(code in str(error) for code in _NO_BUCKET)


def _must_be_the_blob(error: BaseException) -> None:
    """Raise the error again when what is missing is the bucket, not only the blob."""
    if _names_no_bucket(error):
        raise error
