"""A stored file as a download: streamed, verified on the way, whole or one range of it."""

from __future__ import annotations

import base64
import re

from fastapi.responses import Response, StreamingResponse
from starlette.exceptions import HTTPException

from tabular.infra.storage import ObjectInfo, ObjectStore
from tabular.infra.storage.pieces import StoredFile
from tabular.worker.results import file_of_object

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "jsonl": "application/x-ndjson",
}
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z")


def digest_header(sha256: str) -> str:
    """``Repr-Digest`` (RFC 9530) of a hex SHA-256."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def headers_of(sha256: str, filename: str) -> dict[str, str]:
    """What lets a client name and check the file."""
    return {
        "Repr-Digest": digest_header(sha256),
        "ETag": f'"{sha256}"',
        "Content-Disposition": f'attachment; filename="{filename}"',
    }


def download(
    store: ObjectStore,
    info: ObjectInfo | StoredFile,
    *,
    media_type: str,
    filename: str,
    wanted: str | None,
) -> Response:
    """The answer with a file's bytes.

    A damaged file is never delivered whole: the connection breaks before its end.

    Args:
        store: where it is.
        info: an object, or a file in pieces.
        media_type: of the whole.
        filename: suggested to the client.
        wanted: the ``Range`` header.

    Raises:
        NotFoundError, UnavailableError: of the store, before anything is sent.
        HTTPException: 416, a range outside of the object.
    """
    file = info if isinstance(info, StoredFile) else file_of_object(info)
    headers = {**headers_of(info.sha256, filename), "Accept-Ranges": "bytes"}
    span = _span(wanted, info.size)
    if span is None:
        headers["Content-Length"] = str(info.size)
        return StreamingResponse(file.read(store), 200, headers, media_type)
    start, stop = span
    headers["Content-Length"] = str(stop - start)
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{info.size}"
    chunks = file.read_range(store, start, stop - start)
    return StreamingResponse(chunks, 206, headers, media_type)


def _span(wanted: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last; None for the whole object.

    A form that is not understood is ignored, as RFC 9110 asks.
    """
    form = _RANGE.match(wanted or "")
    if form is None or form.groups() == ("", ""):
        return None
    first, last = form.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
    if start >= stop:
        raise HTTPException(416, headers={"Content-Range": f"bytes */{size}"})
    return start, stop
