"""The model file: data only, never code.

A pickle runs whatever its author liked; a model file is passed between people, so it holds JSON,
plain arrays and Arrow buffers, each checked before use. Layout::

    magic (18 bytes) | format (u32) | header length (u64) | header, JSON | payload | SHA-256

The header lists each array with type, shape, place and both sizes, so that nothing is inflated
before the declared size is known to be sane.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tabular.errors import ModelFileError
from tabular.synth.landing import landing

MAGIC = b"INFERLOOP-TABULAR\n"
FORMAT = 2
LARGEST_RATIO = 1000
"""Most bytes a stored byte may inflate to, beyond a first 16 MiB."""

_PREFIX = struct.Struct("<18sIQ")
_FREE = 16 << 20
_TYPES = frozenset(
    {"uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float64"}
)

Arrays = Mapping[str, npt.NDArray[Any]]


def write_model(target: str | Path | BinaryIO, header: Mapping[str, Any], arrays: Arrays) -> None:
    """Writes a model, atomically when `target` is a path.

    Args:
        target: path or binary file.
        header: JSON-able metadata.
        arrays: numbers by name.
    """
    entries, parts, offset = [], [], 0
    for name, array in arrays.items():
        raw = np.ascontiguousarray(array)
        packed = pa.compress(raw.tobytes(), codec="zstd", asbytes=True)
        entries.append(
            {
                "name": name,
                "type": raw.dtype.name,
                "shape": list(raw.shape),
                "offset": offset,
                "stored": len(packed),
            }
        )
        parts.append(packed)
        offset += len(packed)
    head = json.dumps({**header, "arrays": entries}, ensure_ascii=False, allow_nan=False).encode()
    pieces = [_PREFIX.pack(MAGIC, FORMAT, len(head)), head, *parts]
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    pieces.append(digest.digest())
    if isinstance(target, str | Path):
        _write_atomically(Path(target), pieces)
    else:
        for piece in pieces:
            target.write(piece)


def _write_atomically(path: Path, pieces: list[bytes]) -> None:
    try:
        _replace(path, pieces)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelFileError(f"the model cannot be written: {reason}", where=str(path)) from error


def _replace(path: Path, pieces: list[bytes]) -> None:
    target = landing(path)
    if target is None:
        with path.open("wb") as file:
            file.writelines(pieces)
        return
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_model(source: str | Path | BinaryIO) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Reads and verifies a model.

    Returns:
        The header without its list of arrays, and the arrays by name.

    Raises:
        ModelFileError: not a model, damaged, of a newer format, or inflating beyond reason.
    """
    where = str(source) if isinstance(source, str | Path) else None
    try:
        data = Path(source).read_bytes() if isinstance(source, str | Path) else source.read()
    except OSError as error:
        raise ModelFileError(f"the model cannot be read: {error.strerror}", where=where) from error
    try:
        return _decode(data)
    except ModelFileError as error:
        error.where = error.where or where
        raise


def _decode(data: bytes) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    if len(data) < _PREFIX.size or not data.startswith(MAGIC):
        raise ModelFileError(
            "not a model file of inferloop-tabular", hint="make one with: inferloop-tabular fit"
        )
    _, version, length = _PREFIX.unpack_from(data)
    if version != FORMAT:
        raise ModelFileError(
            f"the model has format {version}; this version reads format {FORMAT}",
            hint="upgrade inferloop-tabular, or fit the model again",
        )
    body = memoryview(data)[:-32]
    if hashlib.sha256(body).digest() != data[-32:]:
        raise ModelFileError(
            "the model file is damaged: its checksum does not match", hint="copy it again"
        )
    start = _PREFIX.size + length
    try:
        header = json.loads(bytes(body[_PREFIX.size : start]))
        entries = header.pop("arrays")
        arrays = {str(entry["name"]): _array(entry, body[start:]) for entry in entries}
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise ModelFileError(f"the model file is damaged: {error}") from error
    return header, arrays


def _array(entry: Mapping[str, Any], payload: memoryview) -> npt.NDArray[Any]:
    offset, stored = int(entry["offset"]), int(entry["stored"])
    shape = tuple(int(side) for side in entry["shape"])
    if entry["type"] not in _TYPES or min((offset, stored, *shape), default=0) < 0:
        raise ModelFileError(f"array {entry['name']!r} is of an unknown type or shape")
    kind = np.dtype(entry["type"])
    size = math.prod(shape) * kind.itemsize
    if offset + stored > len(payload):
        raise ModelFileError(f"array {entry['name']!r} lies outside the file")
    if size > _FREE + stored * LARGEST_RATIO:
        raise ModelFileError(f"array {entry['name']!r} would inflate to {size} bytes; refused")
    packed = pa.py_buffer(payload[offset : offset + stored])
    raw = pa.decompress(packed, decompressed_size=size, codec="zstd", asbytes=True)
    if len(raw) != size:
        raise ModelFileError(f"array {entry['name']!r} is shorter than declared")
    return np.frombuffer(raw, kind).reshape(shape)


def pack_values(values: pa.Array) -> npt.NDArray[np.uint8]:
    """An Arrow array as the bytes of an IPC stream."""
    sink = io.BytesIO()
    batch = pa.record_batch([values], names=["values"])
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return np.frombuffer(sink.getvalue(), np.uint8)


def unpack_values(packed: npt.NDArray[np.uint8]) -> pa.Array:
    """The inverse of `pack_values`.

    Raises:
        ModelFileError: the bytes are no valid IPC stream of one array.
    """
    try:
        with pa.ipc.open_stream(pa.py_buffer(packed.tobytes())) as reader:
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowException, OSError) as error:
        raise ModelFileError(f"the values of a column are damaged: {error}") from error
    if table.num_columns != 1:
        raise ModelFileError("the values of a column are damaged")
    column = table.column(0).combine_chunks()
    return column.chunk(0) if isinstance(column, pa.ChunkedArray) else column


def pack_schema(schema: pa.Schema) -> npt.NDArray[np.uint8]:
    """An Arrow schema as bytes."""
    return np.frombuffer(schema.remove_metadata().serialize().to_pybytes(), np.uint8)


def unpack_schema(packed: npt.NDArray[np.uint8]) -> pa.Schema:
    """The inverse of `pack_schema`.

    Raises:
        ModelFileError: the bytes are no schema.
    """
    try:
        return pa.ipc.read_schema(pa.py_buffer(packed.tobytes()))
    except (pa.ArrowInvalid, pa.ArrowException, OSError) as error:
        raise ModelFileError(f"the schema is damaged: {error}") from error
