"""A table on its way from a client into the store: in bounded memory, and never half.

The folder of the new dataset is named in the garbage table first, so that whatever dies before
the dataset's row is committed, its objects are removed.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from typing import TYPE_CHECKING, Any

from anyio import from_thread, to_thread
from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from tabular.api.pacing import Pace, paced
from tabular.api.service import Service
from tabular.errors import InputError, TableError, TabularError
from tabular.infra.auth.principal import Principal
from tabular.infra.database.models import Dataset, new_id
from tabular.infra.storage import ObjectInfo
from tabular.worker import accounting
from tabular.worker.accounting import standing
from tabular.worker.objects import dataset_folder
from tabular.worker.quotas import check_storage, locked_standing

if TYPE_CHECKING:
    from tabular.synth.textfiles import Recoder

PIECE = 1024 * 1024  # bytes handed from the event loop to the storing thread at once
INSPECTION_LIMIT = 600.0  # seconds for reading an uploaded table

FORMATS = {
    "text/csv": "csv",
    "application/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
    "application/parquet": "parquet",
    "application/x-ndjson": "jsonl",
    "application/ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "application/x-jsonlines": "jsonl",
}
_BY_NAME = ("", "application/octet-stream", "text/plain")
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f/\\]")
_SHA256 = re.compile(r"\bsha-256=:([A-Za-z0-9+/]{43}=):")
_DOTS = re.compile(r"\.+\Z")


@dataclass(frozen=True)
class Incoming:
    """A table that a client sends.

    Attributes:
        name: what to call it.
        format: ``csv``, ``parquet`` or ``jsonl``.
        chunks: its bytes.
    """

    name: str
    format: str
    chunks: AsyncIterator[bytes]


async def incoming(request: Request, name: str | None, pace: Pace) -> Incoming:
    """Read a request's head; a multipart form is spooled to disk, a plain body is not read yet.

    Args:
        request: with the table as its body, or as ``file`` of a multipart form.
        name: the ``name`` parameter.
        pace: how slowly it may come.

    Raises:
        InputError: no name, an illegal one, a form without a file, or another digest than sent.
        TableError: the format cannot be told, or no such charset.
        HTTPException: 415, the body is compressed.
    """
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.strip().lower() != "identity":
        raise HTTPException(415, "a body with Content-Encoding cannot be read; send it plain")
    request = Request(request.scope, paced(request.receive, pace))
    kind = _media_type(request.headers.get("content-type"))
    if kind != "multipart/form-data":
        checked = check_name(name or f"table.{FORMATS.get(kind, '')}")
        body = _digested(request.stream(), request.headers.get("content-digest"))
        return _incoming(checked, request.headers.get("content-type"), body)
    with _interruptions():
        form = await request.form(max_files=1, max_fields=4)
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise InputError("the form has no file", hint="curl -F file=@table.csv …")
    given = form.get("name")
    checked = check_name(name or (given if isinstance(given, str) else None) or file.filename or "")
    return _incoming(checked, file.content_type, _read(file))


def _incoming(name: str, content_type: str | None, chunks: AsyncIterator[bytes]) -> Incoming:
    """A table in UTF-8, whatever its media type says that it comes in."""
    format = _format(_media_type(content_type), name)
    charset = _charset(content_type)
    if charset is None or format == "parquet":
        return Incoming(name, format, chunks)
    from tabular.synth.textfiles import Recoder, is_utf8

    if is_utf8(charset, name):
        return Incoming(name, format, chunks)
    return Incoming(name, format, _recoded(chunks, Recoder(charset, name)))


def _digested(chunks: AsyncIterator[bytes], digest: str | None) -> AsyncIterator[bytes]:
    """The chunks, compared with ``Content-Digest`` (RFC 9530) where it names a SHA-256."""
    said = _SHA256.search(digest or "")
    return chunks if said is None else _compared(chunks, said[1])


async def _compared(chunks: AsyncIterator[bytes], said: str) -> AsyncIterator[bytes]:
    found = hashlib.sha256()
    async for chunk in chunks:
        found.update(chunk)
        yield chunk
    if base64.b64encode(found.digest()).decode() != said:
        raise InputError(
            "the body is not the one of its Content-Digest",
            hint="bytes changed on their way, or the header is of another file: send it again",
            code="input.digest",
        )


async def _recoded(chunks: AsyncIterator[bytes], recoder: Recoder) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield recoder.feed(chunk)
    yield recoder.feed(b"", last=True)


async def store_dataset(service: Service, principal: Principal, table: Incoming) -> Dataset:
    """Store a table, read it once from end to end, and record it as a dataset.

    Raises:
        TableError, TooLargeError: it is not a table that can be used.
        UnavailableError: the store or the database does not answer.
    """
    await to_thread.run_sync(_require_space, service, principal)
    dataset_id = new_id("ds")
    folder = dataset_folder(dataset_id)
    await to_thread.run_sync(service.garbage.begin, folder)
    try:
        info = await _stored(service, f"{folder}/data.{table.format}", table.chunks)
        return await to_thread.run_sync(
            _recorded, service, principal, table, dataset_id, info, limiter=service.inspections
        )
    except BaseException:
        from anyio import CancelScope

        with CancelScope(shield=True):  # a client that goes away leaves nothing behind
            await to_thread.run_sync(service.garbage.discard, folder)
        raise


async def _stored(service: Service, key: str, chunks: AsyncIterator[bytes]) -> ObjectInfo:
    pieces = _pieces(chunks)

    def following() -> Iterator[bytes]:
        while piece := from_thread.run(_next, pieces):
            yield piece

    with _interruptions():
        return await to_thread.run_sync(
            lambda: service.store.put(key, following()), limiter=service.uploads
        )


@contextlib.contextmanager
def _interruptions() -> Iterator[None]:
    """A client that goes away is no failure of ours."""
    try:
        yield
    except ClientDisconnect as error:
        raise InputError("the upload ended before its end", code="input.interrupted") from error


def _recorded(
    service: Service, principal: Principal, table: Incoming, dataset_id: str, info: ObjectInfo
) -> Dataset:
    if info.size == 0:
        raise TableError("the file is empty", where=table.name, hint="send a table with a header")
    folder = dataset_folder(dataset_id)
    found = _inspected(service, table, folder, info)
    row = Dataset(
        id=dataset_id,
        name=table.name,
        format=table.format,
        size=info.size,
        sha256=info.sha256,
        rows=found["rows"],
        columns=found["columns"],
        object_key=info.key,
        preview_key=found["preview_key"],
        profile_key=found["profile_key"],
        created_at=datetime.now(UTC),
        created_by=principal.id,
    )
    plan = service.plans.of(principal)
    with service.database.transaction() as session:
        service.garbage.keep(session, folder)
        if plan.storage_bytes is not None:
            now = locked_standing(session, principal.id, row.created_at)
            check_storage(plan, now, info.size)
        session.add(row)
        session.flush()
        amounts = {"bytes_uploaded": info.size, "bytes_stored": info.size}
        accounting.used(session, principal.id, row.created_at, **amounts)
    return row


def _require_space(service: Service, principal: Principal) -> None:
    """Refuse an upload that cannot be kept before it is sent; its end looks again."""
    plan = service.plans.of(principal)
    if plan.storage_bytes is not None:
        with service.database.session() as session:
            check_storage(plan, standing(session, principal.id, datetime.now(UTC)), 0)


def _inspected(service: Service, table: Incoming, folder: str, info: ObjectInfo) -> dict[str, Any]:
    """What reading the table finds; done in the child, which a hostile file may take down."""
    task = {
        "kind": "inspect",
        "key": info.key,
        "format": table.format,
        "name": table.name,
        "folder": folder,
    }
    try:
        return service.inspector.run(task, limit=INSPECTION_LIMIT)
    except TabularError as error:
        if not error.code.startswith("job."):
            raise
        service.metrics.error(error.code)
        raise TableError(
            f"the table cannot be read: {error.message}", where=table.name, hint=error.hint
        ) from error


async def _pieces(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The bytes in pieces of at least 1 MiB: each costs a change of threads."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        if len(buffer) >= PIECE:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)


async def _next(pieces: AsyncIterator[bytes]) -> bytes:
    return await anext(pieces, b"")


async def _read(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(PIECE):
        yield chunk


def check_name(name: str) -> str:
    """A dataset's name: a label that is safe to show and to use as a file's name.

    Raises:
        InputError: empty, too long, or with slashes or control characters.
    """
    name = name.strip()
    if not 0 < len(name) <= 200 or _NOT_IN_NAMES.search(name) or _DOTS.match(name):
        raise InputError(
            "the name of a dataset is 1 to 200 characters, without slashes or control characters",
            where="name",
            hint="name it in the query: POST /v1/datasets?name=table.csv",
        )
    return name


def _media_type(header: str | None) -> str:
    return (header or "").partition(";")[0].strip().lower()


def _charset(header: str | None) -> str | None:
    """The ``charset`` of a media type, quoted or not."""
    message = Message()
    message["Content-Type"] = header or ""
    return message.get_content_charset()


def _format(media_type: str, name: str) -> str:
    if media_type in FORMATS:
        return FORMATS[media_type]
    if media_type in _BY_NAME:
        from tabular.synth.tables import detect_format  # brings Arrow, which starting needs not

        return detect_format(name)
    raise TableError(
        f"no table format has the media type {media_type[:60]!r}",
        where="Content-Type",
        hint="send one of " + ", ".join(FORMATS),
        code="input.media-type",
    )
