"""The small record that makes an object exist: its data blob, its size and its checksums.

No store lets a streamed upload carry a checksum that is known only at the end, and none checks
a later read of a multipart object against what was written. So an object is two blobs: its data
under a name of its own, and a record under the key that names the data. The record is
written last, in one small atomic (or conditional) put, which works the same on every store.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import asdict, dataclass
from typing import Any

from tabular.errors import IntegrityError

FORMAT = 1
BLOCK = 4 * 1024 * 1024

_HEX64 = re.compile(r"[0-9a-f]{64}\Z")
_VERSION = re.compile(r"[0-9a-f]{16}\Z")
_CRC = re.compile(r"[0-9a-f]{8}\Z")


@dataclass(frozen=True)
class ObjectInfo:
    """What is known of a whole object.

    Attributes:
        key: its key.
        size: bytes.
        sha256: hex digest of all its bytes.
    """

    key: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Record:
    """What the blob ``KEY@ref`` holds, as JSON.

    Attributes:
        version: 16 hex digits; the data blob is ``KEY@VERSION``.
        size: bytes of the data.
        sha256: hex digest of the data.
        block: bytes per block.
        crc32: CRC-32 of each block in 8 hex digits, so that a range can be verified without
            reading the rest.
    """

    version: str
    size: int
    sha256: str
    block: int
    crc32: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """The JSON text; the same record gives the same bytes."""
        return json.dumps(
            {"format": FORMAT, **asdict(self), "check": self._check()}, sort_keys=True
        ).encode()

    def _check(self) -> str:
        """A CRC-32 of the record itself: a changed digit of it would be a plausible record."""
        return f"{zlib.crc32(json.dumps(asdict(self), sort_keys=True).encode()):08x}"

    @classmethod
    def from_bytes(cls, raw: bytes, *, key: str) -> Record:
        """Read a record.

        Raises:
            IntegrityError: it is not one, or of a newer format.
        """
        try:
            document = json.loads(raw)
        except ValueError as error:
            raise _damaged(key, "is not JSON") from error
        if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
            raise _damaged(key, "is not of a known format")
        check = document.pop("check", None)
        record = _checked(document)
        if record is None or check not in (None, record._check()):
            raise _damaged(key, "does not add up")
        return record


def _checked(document: dict[str, Any]) -> Record | None:
    """The record when every field has its shape and the blocks cover the size."""
    if set(document) != {"version", "size", "sha256", "block", "crc32"}:
        return None
    size, block, crc32 = document["size"], document["block"], document["crc32"]
    shapes = (
        type(size) is int
        and type(block) is int
        and isinstance(crc32, list)
        and _VERSION.match(str(document["version"]))
        and _HEX64.match(str(document["sha256"]))
    )
    if not shapes or size < 0 or block < 1 or len(crc32) != -(-size // block):
        return None
    if not all(isinstance(crc, str) and _CRC.match(crc) for crc in crc32):
        return None
    return Record(document["version"], size, document["sha256"], block, tuple(crc32))


def _damaged(key: str, how: str) -> IntegrityError:
    return IntegrityError(
        f"the record of the object {how}",
        where=key,
        hint="restore the object from a backup, or make it again",
    )
