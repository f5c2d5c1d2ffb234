"""The rows that a generation gave, as one file, whether it was split or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabular.infra.storage import ObjectInfo
from tabular.infra.storage.pieces import Piece, StoredFile


def file_of(result: Mapping[str, Any]) -> StoredFile:
    """The file of a job's result."""
    if "pieces" not in result:
        return file_of_object(ObjectInfo(result["key"], result["size"], result["sha256"]))
    pieces = [Piece(*piece) for piece in result["pieces"]]
    return StoredFile(pieces, result["size"], result["sha256"])


def file_of_object(info: ObjectInfo) -> StoredFile:
    """An object as a file."""
    return StoredFile([Piece(info.key, 0, info.size)], info.size, info.sha256)
