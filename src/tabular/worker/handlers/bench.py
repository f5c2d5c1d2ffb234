"""What every handler has at hand: the store, a folder for files, and how to tell progress."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from tabular.errors import TableError, TooLargeError
from tabular.infra.storage import ObjectInfo, ObjectStore
from tabular.infra.storage.pieces import Piece, StoredFile
from tabular.synth.synthesizer import Synthesizer
from tabular.synth.tables import read_table

_CHUNK = 1024 * 1024


class Models:
    """The model that was used last, loaded: parts of one generation follow each other."""

    def __init__(self) -> None:
        self._last: tuple[str, str, Synthesizer] | None = None

    def load(self, bench: Workbench, key: str) -> Synthesizer:
        """See `Workbench.model`."""
        digest = bench.store.head(key).sha256
        if self._last is None or self._last[:2] != (key, digest):
            self._last = (key, digest, Synthesizer.load(bench.fetch(key)))
        return self._last[2]


@dataclass(frozen=True)
class Workbench:
    """The place of one task.

    Attributes:
        store: where objects are read and written.
        scratch: a folder that is removed with the task.
        report: tells the fraction done, 0 to 1, and the rows made since the last call.
        models: what this process has loaded for the tasks before.
    """

    store: ObjectStore
    scratch: Path
    report: Callable[[float, int], None]
    models: Models = field(default_factory=Models)

    def table(self, source: dict[str, Any]) -> pa.Table:
        """The table in an object, or in pieces of several.

        Args:
            source: its ``key`` or ``pieces``, ``format`` and ``name``.

        Raises:
            TableError: it cannot be read as one.
            NotFoundError, UnavailableError: of the store.
        """
        try:
            with self._opened(source) as stream:
                return read_table(stream, source["format"])
        except (TableError, TooLargeError) as error:
            # The reader knows a stream; the user knows a name.
            error.where = f"{source['name']}{(error.where or '').removeprefix('the table')}"
            raise

    def _opened(self, source: dict[str, Any]) -> BinaryIO:
        if "pieces" not in source:
            return self.store.reader(source["key"])
        pieces = [Piece(*piece) for piece in source["pieces"]]
        size = sum(piece.size for piece in pieces)
        return StoredFile(pieces, size, "").open(self.store)

    def model(self, key: str) -> Synthesizer:
        """The model in an object.

        Raises:
            ModelFileError: it is damaged or too new.
            NotFoundError, UnavailableError: of the store.
        """
        return self.models.load(self, key)

    def fetch(self, key: str) -> Path:
        """An object as a file in the scratch folder."""
        path = self.scratch / "fetched"
        with path.open("wb") as out:
            for chunk in self.store.get(key):
                out.write(chunk)
        return path

    def keep(self, key: str, path: Path) -> ObjectInfo:
        """A file as an object."""
        return self.store.put(key, file_chunks(path))

    def keep_json(self, key: str, document: Any) -> ObjectInfo:
        """JSON data as an object; the same data gives the same bytes."""
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return self.store.put(key, text.encode())


def file_chunks(path: Path) -> Iterator[bytes]:
    """A file in pieces of 1 MiB."""
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk
