"""Text from strangers in any encoding: the parsers behind this module see UTF-8 alone.

Arrow can decode while it parses, in threads that call back into Python; an error there leaves
threads running when the process ends. What is not UTF-8 is therefore recoded beforehand.
"""

from __future__ import annotations

import codecs
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from tabular.errors import TableError

ENCODING = "table.encoding"
"""Code of an error that another encoding mends."""

_CHUNK = 1 << 20
_NO_FILES = ("idna", "punycode", "unicode_escape", "raw_unicode_escape")  # names and source code
# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@contextmanager
def opened(source: str | Path | BinaryIO) -> Iterator[BinaryIO]:
    """A file from its beginning; a path is closed again."""
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file:
            yield file
    else:
        source.seek(0)
        yield source


@contextmanager
def utf8(source: str | Path | BinaryIO, where: str, encoding: str) -> Iterator[BinaryIO]:
    """The file's text as UTF-8, without a byte order mark.

    Args:
        source: a path or a seekable binary file.
        where: the file, for messages.
        encoding: of `source`.

    Raises:
        TableError: no such encoding, bytes that are no text in it, or the mark of another one.
    """
    codec = _codec(encoding, where)
    with opened(source) as file:
        if codec.name == "utf-8":
            _refuse_marks(file, where)
            _skip_mark(file)
            yield file
            return
        with tempfile.TemporaryFile() as recoded:
            _recode(file, cast(BinaryIO, recoded), codec, where, encoding)
            recoded.seek(0)
            _skip_mark(cast(BinaryIO, recoded))
            yield cast(BinaryIO, recoded)


def is_utf8(encoding: str, where: str) -> bool:
    """Whether the encoding is UTF-8 by any of its names.

    Raises:
        TableError: no such encoding.
    """
    return _codec(encoding, where).name == "utf-8"


def _codec(encoding: str, where: str) -> codecs.CodecInfo:
    hint = "use one such as encoding='latin-1', cp1252 or utf-16"
    try:
        found = codecs.lookup(encoding)
        "a".encode(encoding)
        if found.name.replace("-", "_") in _NO_FILES:
            raise LookupError(f"{encoding!r} is not a text encoding")
    except (LookupError, ValueError) as error:
        known = "is not a text encoding" in str(error)
        raise TableError(
            f"{encoding!r} is no encoding of text" if known else f"unknown encoding {encoding!r}",
            where=where,
            hint=hint,
            code=ENCODING,
        ) from error
    return found


def _refuse_marks(file: BinaryIO, where: str) -> None:
    head = file.read(4)
    file.seek(0)
    for mark, name in _MARKS:
        if head.startswith(mark):
            raise TableError(
                f"the file begins with the byte order mark of {name.upper()}, it is not UTF-8",
                where=f"{where}:1",
                code=ENCODING,
                hint=f"use encoding={name!r}",
            )


def _skip_mark(file: BinaryIO) -> None:
    if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
        file.seek(0)


def _recode(
    file: BinaryIO, into: BinaryIO, codec: codecs.CodecInfo, where: str, encoding: str
) -> None:
    recoder = Recoder(encoding, where, codec)
    while chunk := file.read(_CHUNK):
        into.write(recoder.feed(chunk))
    into.write(recoder.feed(b"", last=True))


class Recoder:
    """Makes UTF-8 of text that comes in pieces.

    Args:
        encoding: of the text.
        where: the file, for messages.
        codec: of that encoding, if it was looked up already.

    Raises:
        TableError: no such encoding.
    """

    def __init__(self, encoding: str, where: str, codec: codecs.CodecInfo | None = None) -> None:
        found = codec or _codec(encoding, where)
        decoder: Any = found.incrementaldecoder
        if decoder is None:
            raise TableError(f"files in {encoding!r} cannot be read", where=where, code=ENCODING)
        self._decoding, self._encoding, self._where = decoder(), encoding, where

    def feed(self, piece: bytes, *, last: bool = False) -> bytes:
        """The UTF-8 of the next piece; characters that it cuts come with the following one.

        Raises:
            TableError: bytes that are no text in the encoding.
        """
        try:
            text: str = self._decoding.decode(piece, last)
            return text.encode()
        except UnicodeError as error:
            raise TableError(
                f"holds bytes that are no text in {self._encoding}",
                where=self._where,
                hint="name the encoding that the file was written in",
                code=ENCODING,
            ) from error


def encoding_error(source: str | Path | BinaryIO, where: str) -> TableError:
    """Names the first byte that is not UTF-8, and its line."""
    with opened(source) as file:
        offset, line, byte = _first_bad_byte(file)
    return TableError(
        f"byte 0x{byte:02x} at offset {offset} is not UTF-8",
        where=f"{where}:{line}",
        code=ENCODING,
        hint="if the file is Latin-1, use encoding='latin-1'",
    )


def _first_bad_byte(file: BinaryIO) -> tuple[int, int, int]:
    """Offset, line from 1, and the byte itself."""
    offset, line, carried = 0, 1, b""
    while True:
        chunk = file.read(_CHUNK)
        data = carried + chunk
        try:
            data.decode("utf-8")
            carried = b""
        except UnicodeDecodeError as error:
            if chunk and error.reason == "unexpected end of data":
                carried = data[error.start :]
            else:
                before = data[: error.start]
                return offset + error.start, line + before.count(b"\n"), data[error.start]
        used = len(data) - len(carried)
        line += data.count(b"\n", 0, used)
        offset += used
        if not chunk:
            return offset, line, 0
