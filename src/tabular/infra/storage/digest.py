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
    """The chunks, the last one only once size and SHA-256 are those of the record.

    Raises:
        ValueError: they are not; the message says which.
    """
    sha256, size, held = StreamHash(), 0, b""
    try:
        for chunk in chunks:
            sha256.update(chunk)
            size += len(chunk)
            if held:
                yield held
            held = chunk
        if size != record.size:
            raise ValueError(f"it has {size} bytes, and {record.size} were written")
        if sha256.hexdigest() != record.sha256:
            raise ValueError("its SHA-256 is not the one that was written")
        if held:
            yield held
    finally:
        sha256.close()
