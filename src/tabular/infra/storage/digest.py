"""Checksums of a stream, computed beside its reading and writing.

SHA-256 runs at about the speed of a disk, so hashing and writing in turn would halve the
throughput. hashlib releases the interpreter's lock, so one thread hashes a block while the
caller moves the next one.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from tabular.infra.storage.record import BLOCK, Record


class StreamHash:
    """A hash with one block in flight; short streams never start the thread."""

    def __init__(self, algorithm: str = "sha256") -> None:
        """
        Args:
            algorithm: one of hashlib; what it gives guards against accidents here, not attacks.
        """
        self._hash = hashlib.new(algorithm, usedforsecurity=False)
        self._started = False
        self._pool: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None

    def update(self, data: bytes) -> None:
        """Add bytes; returns as soon as the bytes before them are hashed."""
        if not self._started:
            self._started = True
            self._hash.update(data)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="hash")
        self._wait()
        self._pending = self._pool.submit(self._hash.update, data)

    def hexdigest(self) -> str:
        """The digest of everything so far."""
        self._wait()
        return self._hash.hexdigest()

    def digest(self) -> bytes:
        """The same in bytes."""
        self._wait()
        return self._hash.digest()

    def close(self) -> None:
        """End the thread."""
        if self._pool is not None:
            self._pool.shutdown()

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()


class BlockDigest:
    """Cuts a stream into blocks and adds up its checksums on the way."""

    def __init__(self) -> None:
        self._sha256 = StreamHash()
        self._crc32: list[str] = []
        self._size = 0

    def blocks(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same bytes in blocks of 4 MiB, the last one shorter."""
        buffer = bytearray()
        try:
            for chunk in chunks:
                if not buffer and len(chunk) == BLOCK:
                    yield self._seen(bytes(chunk))
                    continue
                buffer += chunk
                while len(buffer) >= BLOCK:
                    yield self._seen(bytes(memoryview(buffer)[:BLOCK]))
                    del buffer[:BLOCK]
            if buffer:
                yield self._seen(bytes(buffer))
        finally:
            self._sha256.close()

    def _seen(self, block: bytes) -> bytes:
        self._sha256.update(block)
        self._crc32.append(f"{zlib.crc32(block):08x}")
        self._size += len(block)
        return block

    def record(self, version: str) -> Record:
        """The record of what went through."""
        return Record(version, self._size, self._sha256.hexdigest(), BLOCK, tuple(self._crc32))


def checked(chunks: Iterator[bytes], record: Record) -> Iterator[bytes]:
    """The chunks, each held back until the next has come, the last until all is as written.

    By the CRC-32 of each block: what guards against accidents here, at a fifth of the time that
    SHA-256 takes, which was what a download waited for.

    Raises:
        ValueError: a block or the size is not as written; the message says which.
    """
    check, held = _BlockCheck(record), b""
    for chunk in chunks:
        check.update(chunk)
        if held:
            yield held
        held = chunk
    check.finish()
    if held:
        yield held


class _BlockCheck:
    """Compares a stream with a record, block by block."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._crc32, self._size = 0, 0

    def update(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        if self._size + len(rest) > self._record.size:
            size = self._record.size
            raise ValueError(f"it has over {size} bytes, and {size} were written")
        while rest:
            left = self._record.block - self._size % self._record.block
            part = rest[:left]
            self._crc32 = zlib.crc32(part, self._crc32)
            self._size += len(part)
            if len(part) == left:
                self._compare()
            rest = rest[left:]

    def finish(self) -> None:
        if self._size != self._record.size:
            raise ValueError(f"it has {self._size} bytes, and {self._record.size} were written")
        if self._size % self._record.block:
            self._compare()

    def _compare(self) -> None:
        block = self._record.block
        index = (self._size - 1) // block
        if f"{self._crc32:08x}" != self._record.crc32[index]:
            raise ValueError(f"bytes {index * block} to {self._size} are not as written")
        self._crc32 = 0
