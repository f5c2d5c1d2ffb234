"""A file that is kept in several objects: read as one, each byte verified as ever."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import TYPE_CHECKING

from tabular.infra.storage.seeking import Seeking
from tabular.infra.storage.store import ObjectStore

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


@dataclass(frozen=True)
class Piece:
    """Bytes of an object.

    Attributes:
        key: the object's.
        start, stop: the first byte, and the one after the last.
    """

    key: str
    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many bytes."""
        return self.stop - self.start


@dataclass(frozen=True)
class StoredFile:
    """A file in a store, whole or in pieces.

    Attributes:
        pieces: in order.
        size: bytes of all.
        sha256: hex digest of all bytes in order.
    """

    pieces: Sequence[Piece]
    size: int
    sha256: str

    def read(self, store: ObjectStore) -> Iterator[bytes]:
        """All bytes. What is damaged breaks off before its end.

        Raises:
            NotFoundError: an object is gone; the first one is looked for at once.
            IntegrityError, UnavailableError: while reading; see `ObjectStore.get`.
        """
        first, *others = self.pieces
        begun = _within(store.get(first.key), first)
        return chain(begun, *(_later(store, piece) for piece in others))

    def read_range(self, store: ObjectStore, start: int, length: int) -> Iterator[bytes]:
        """Some bytes, verified block by block.

        Args:
            store: where they are.
            start: first byte, from 0.
            length: bytes; no more than there are.

        Raises:
            NotFoundError, IntegrityError: see `ObjectStore.get_range`.
        """
        stop = start + length
        wanted = []
        for begin, piece in zip(self._begins(), self.pieces, strict=True):
            low, high = max(start, begin), min(stop, begin + piece.size)
            if low < high:
                wanted.append((piece.key, piece.start + low - begin, high - low))
        chunks = (store.get_range(*one) for one in wanted[1:])
        return chain(*(store.get_range(*one) for one in wanted[:1]), chain.from_iterable(chunks))

    def open(self, store: ObjectStore) -> io.BufferedReader:
        """A seekable binary file; one that is a single object is that object's reader."""
        if len(self.pieces) == 1:
            return store.reader(self.pieces[0].key)
        return io.BufferedReader(_PiecesReader(self, store))

    def _begins(self) -> list[int]:
        return list(accumulate((piece.size for piece in self.pieces[:-1]), initial=0))


class _PiecesReader(Seeking):
    """Random access over the pieces; the reader of the last one used is kept."""

    def __init__(self, file: StoredFile, store: ObjectStore) -> None:
        super().__init__(file.size)
        self._file, self._store = file, store
        self._begins = file._begins()
        self._opened: tuple[int, io.BufferedReader] | None = None

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill `buffer` from the position, up to the end of a piece; 0 at the end of all."""
        if self._position >= self._size:
            return 0
        number = bisect_right(self._begins, self._position) - 1
        piece = self._file.pieces[number]
        within = self._position - self._begins[number]
        stream = self._reader(number)
        stream.seek(piece.start + within)
        view = memoryview(buffer).cast("B")[: piece.size - within]
        count = stream.readinto(view)
        self._position += count
        return count

    def _reader(self, number: int) -> io.BufferedReader:
        if self._opened is None or self._opened[0] != number:
            self._opened = (number, self._store.reader(self._file.pieces[number].key))
        return self._opened[1]


def _later(store: ObjectStore, piece: Piece) -> Iterator[bytes]:
    yield from _within(store.get(piece.key), piece)


def _within(chunks: Iterator[bytes], piece: Piece) -> Iterator[bytes]:
    """What lies in the piece; the object is read to its end, since there it is verified."""
    position = 0
    for chunk in chunks:
        low, high = max(0, piece.start - position), piece.stop - position
        position += len(chunk)
        if low < min(high, len(chunk)):
            yield chunk[low:high] if low or high < len(chunk) else chunk
