"""The chart as one file, as `helm package` lays it out, and the same bytes each time."""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from pathlib import Path

from tabular.deploy.image.code import files_in
from tabular.deploy.onprem.names import CHART, CHART_NAME
from tabular.version import __version__

from .archive import TIME

FILE = f"{CHART_NAME}-{__version__}.tgz"
# RFC 1952, 2.3: deflate, no flags, no time, no extra flags, an unknown system.
_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_LONGEST = 0xFFFF  # bytes of a block of RFC 1951 that is stored as it is


def packed(chart: Path = CHART) -> bytes:
    """A chart's folder as Helm takes it: `helm install NAME FILE.tgz`."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in files_in(chart):
            info = tarfile.TarInfo(f"{CHART_NAME}/{name}")
            info.size, info.mode, info.mtime = len(content), 0o644, TIME
            archive.addfile(info, io.BytesIO(content))
    return _gzipped(plain.getvalue())


def _gzipped(content: bytes) -> bytes:
    """A file of gzip with nothing deflated: what that gives differs from one zlib to the next."""
    found = bytearray(_HEADER)
    for at in range(0, len(content), _LONGEST):
        block = content[at : at + _LONGEST]
        last = at + _LONGEST >= len(content)
        found += struct.pack("<BHH", last, len(block), len(block) ^ _LONGEST) + block
    return bytes(found) + struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
