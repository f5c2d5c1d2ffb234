"""`ObjectStore`: atomic, verified objects over any driver.

An object ``KEY`` is a data blob ``KEY@VERSION`` and a record ``KEY@ref`` that names it (see
`record`). That one layout gives, on every store alike:

* atomic puts: until the record is committed the object does not exist, or is the old one;
  a process killed in the middle leaves at most an unnamed blob, which `sweep` removes;
* conditional puts of any size, since only the small record needs the store's condition;
* checksums that are ours: a CRC-32 for each 4 MiB block, checked by every read, and a SHA-256
  over the whole, which names the bytes to others and which backups and clients check.
"""

from __future__ import annotations

import io
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from tabular.errors import ConflictError, IntegrityError, NotFoundError, UnavailableError
from tabular.infra.storage.backend import Backend, BlobExistsError
from tabular.infra.storage.digest import BlockDigest, checked
from tabular.infra.storage.keys import check_key, check_prefix
from tabular.infra.storage.reader import ObjectReader, read_blocks
from tabular.infra.storage.record import ObjectInfo, Record
from tabular.infra.tracing import subspan

_REF = "ref"
_REREADS = 10  # an overwrite deletes the old data; a reader caught between looks again


class ObjectStore:
    """Objects under keys in one place. Safe to use from several threads and processes.

    Args:
        backend: the driver.
        check_place: raises UnavailableError where the whole place is gone, which a driver cannot
            tell from one missing object; asked only when an object is missing.
    """

    def __init__(self, backend: Backend, *, check_place: Callable[[], None] = lambda: None) -> None:
        self._backend = backend
        self._check_place = check_place

    @property
    def where(self) -> str:
        """The place, without credentials."""
        return self._backend.where

    def put(
        self, key: str, chunks: bytes | Iterable[bytes], *, if_absent: bool = False
    ) -> ObjectInfo:
        """Store an object, replacing what is there.

        Args:
            key: its key; see `check_key`.
            chunks: its bytes, in pieces of any size; consumed once, in bounded memory.
            if_absent: refuse to replace.

        Raises:
            InputError: an illegal key.
            ConflictError: `if_absent`, and the object exists.
            UnavailableError: the store is full, unreachable or refuses.
        """
        with subspan("storage.put"):
            return self._put(key, chunks, if_absent=if_absent)

    def _put(self, key: str, chunks: bytes | Iterable[bytes], *, if_absent: bool) -> ObjectInfo:
        check_key(key)
        old = self._record(key)
        if if_absent and old is not None:
            raise self._exists(key)
        digest = BlockDigest()
        version = secrets.token_hex(8)
        data = _data_name(key, version)
        pieces = [chunks] if isinstance(chunks, bytes) else chunks
        self._backend.write(data, digest.blocks(pieces))
        record = digest.record(version)
        try:
            self._backend.commit(_ref_name(key), record.to_bytes(), create=if_absent)
        except BlobExistsError:
            # Our own record, when the store's answer was lost and the driver asked again.
            there = self._record(key)
            if there is None or there.version != version:
                self._backend.delete(data)
                raise self._exists(key) from None
        if old is not None:
            self._backend.delete(_data_name(key, old.version))
        return _info(key, record)

    def get(self, key: str) -> Iterator[bytes]:
        """The bytes of an object in chunks, verified.

        The last chunk is held back until every block has been checked, so a damaged object is
        never delivered whole.

        Raises:
            NotFoundError: no such object (raised by the call, not by the first iteration).
            IntegrityError: the bytes are not those that were written.
            UnavailableError: the store does not answer, or the object was replaced meanwhile.
        """
        with subspan("storage.get"):
            return self._found(key)

    def _found(self, key: str) -> Iterator[bytes]:
        for _ in range(_REREADS):
            record = self._existing(key)
            chunks = self._backend.stream(_data_name(key, record.version))
            if chunks is not None:
                return self._verified(key, record, chunks)
        raise self._broken(key, record, "its data is gone")

    def get_range(self, key: str, start: int, length: int | None = None) -> Iterator[bytes]:
        """Part of an object, verified block by block.

        Args:
            key: its key.
            start: first byte, from 0.
            length: bytes; up to the end when None or too long.

        Raises:
            NotFoundError: no such object.
            ValueError: a negative `start` or `length`.
            IntegrityError: a block that covers the range is damaged.
        """
        if start < 0 or (length is not None and length < 0):
            raise ValueError("start and length must not be negative")
        record = self._existing(key)
        stop = record.size if length is None else min(record.size, start + length)
        return read_blocks(self._block_source(key, record), record, start, stop)

    def reader(self, key: str) -> io.BufferedReader:
        """A seekable binary file over an object, verified block by block.

        Raises:
            NotFoundError: no such object. Reads raise IntegrityError and UnavailableError.
        """
        with subspan("storage.open"):
            record = self._existing(key)
        return io.BufferedReader(ObjectReader(self._block_source(key, record), record))

    def head(self, key: str) -> ObjectInfo:
        """Size and checksum of an object.

        Raises:
            NotFoundError: no such object.
        """
        return _info(key, self._existing(key))

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        return self._record(check_key(key)) is not None

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object below a folder of keys, in the order of their keys.

        Args:
            prefix: a folder such as ``datasets/7`` (with or without a last slash); whole
                segments, so ``datasets/7`` does not match ``datasets/70``. Empty for all.
        """
        for key in self.keys_below(prefix):
            record = self._record(key)
            if record is not None:
                yield _info(key, record)

    def keys_below(self, prefix: str = "") -> Sequence[str]:
        """The keys that `list` goes through, without a look at what they name.

        Args:
            prefix: as for `list`.
        """
        folder = check_prefix(prefix)
        suffix = f"@{_REF}"
        names = (name for name, _ in self._backend.names(folder))
        return sorted(name.removesuffix(suffix) for name in names if name.endswith(suffix))

    def delete(self, key: str) -> None:
        """Remove an object; no error when there is none."""
        check_key(key)
        try:
            record = self._record(key)
        except IntegrityError:
            record = None  # a damaged record must not keep the object from being removed
        self._backend.delete(_ref_name(key))
        if record is not None:
            self._backend.delete(_data_name(key, record.version))

    def sweep(
        self, *, older_than: float = 86_400.0, each: Callable[[], None] = lambda: None
    ) -> int:
        """Remove blobs that interrupted puts left behind and no record names.

        Args:
            older_than: seconds; younger blobs may belong to a put that still runs.
            each: called for every blob; there may be very many.

        Returns:
            How many blobs were removed.
        """
        removed, found = 0, []
        for blob in self._backend.names(""):
            each()
            found.append(blob)
        for name, age in found:
            each()
            key, _, version = name.rpartition("@")
            if version == _REF or age < older_than:
                continue
            try:
                record = self._record(key) if key else None
            except IntegrityError:
                continue  # whoever mends the record may need its data
            if record is None or record.version != version:
                self._backend.delete(name)
                removed += 1
        return removed

    def ping(self) -> None:
        """Return when the store answers.

        Raises:
            UnavailableError: it does not, or refuses.
        """
        self._backend.ping()

    def _record(self, key: str) -> Record | None:
        raw = self._backend.read(_ref_name(key))
        return None if raw is None else Record.from_bytes(raw, key=key)

    def _existing(self, key: str) -> Record:
        record = self._record(check_key(key))
        if record is None:
            self._check_place()
            raise NotFoundError(f"no object {key}", where=self.where)
        return record

    def _verified(self, key: str, record: Record, chunks: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from checked(chunks, record)
        except ValueError as error:
            raise self._broken(key, record, str(error)) from None

    def _block_source(self, key: str, record: Record) -> _BlockSource:
        return _BlockSource(self, key, record)

    def _read_block(self, key: str, record: Record, index: int) -> bytes:
        start = index * record.block
        length = min(record.block, record.size - start)
        block = self._backend.read_range(_data_name(key, record.version), start, length)
        if block is None:
            raise self._broken(key, record, "its data is gone")
        if len(block) != length or f"{zlib.crc32(block):08x}" != record.crc32[index]:
            how = f"bytes {start} to {start + length} are not as written"
            raise self._broken(key, record, how)
        return block

    def _exists(self, key: str) -> ConflictError:
        return ConflictError(f"the object {key} exists already", where=self.where)

    def _broken(self, key: str, read: Record, how: str) -> UnavailableError:
        """What to say of data that does not fit: damaged, or replaced while it was read."""
        now = self._record(key)
        if now is None or now.version != read.version:
            return UnavailableError(
                f"the object {key} was replaced or deleted while it was read",
                where=self.where,
                hint="read it again",
                code="unavailable.replaced",
            )
        return IntegrityError(
            f"the object {key} is damaged: {how}",
            where=self.where,
            hint="restore it from a backup, or make it again",
        )


class _BlockSource:
    """Reads the numbered, verified blocks of one version of one object."""

    def __init__(self, store: ObjectStore, key: str, record: Record) -> None:
        self._store = store
        self._key = key
        self._record = record

    def __call__(self, index: int) -> bytes:
        return self._store._read_block(self._key, self._record, index)


def _data_name(key: str, version: str) -> str:
    return f"{key}@{version}"


def _ref_name(key: str) -> str:
    return f"{key}@{_REF}"


def _info(key: str, record: Record) -> ObjectInfo:
    return ObjectInfo(key=key, size=record.size, sha256=record.sha256)
