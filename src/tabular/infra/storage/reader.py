"""Random access to an object through its verified blocks, for Parquet and HTTP ranges."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tabular.infra.storage.record import Record
from tabular.infra.storage.seeking import Seeking

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_KEPT_BLOCKS = 4

BlockSource = Callable[[int], bytes]


def read_blocks(source: BlockSource, record: Record, start: int, stop: int) -> Iterator[bytes]:
    """The bytes from `start` up to `stop`, one chunk a block."""
    while start < stop:
        index, offset = divmod(start, record.block)
        chunk = source(index)[offset : offset + stop - start]
        yield chunk
        start += len(chunk)


class ObjectReader(Seeking):
    """A read-only seekable file that keeps the last few blocks in memory (16 MiB)."""

    def __init__(self, source: BlockSource, record: Record) -> None:
        super().__init__(record.size)
        self._source = source
        self._record = record
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill `buffer` from the position; 0 at the end."""
        view = memoryview(buffer).cast("B")
        if self._position >= self._size or not len(view):
            return 0
        index, offset = divmod(self._position, self._record.block)
        chunk = memoryview(self._block(index))[offset : offset + len(view)]
        view[: len(chunk)] = chunk
        self._position += len(chunk)
        return len(chunk)

    def _block(self, index: int) -> bytes:
        block = self._blocks.get(index)
        if block is None:
            block = self._source(index)
            self._blocks[index] = block
            if len(self._blocks) > _KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        else:
            self._blocks.move_to_end(index)
        return block
