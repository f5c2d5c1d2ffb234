"""Images in an archive, as `podman save --format oci-archive` and `docker save` write it.

Both are a tar of an OCI image layout (image specification 1.1): `index.json` names manifests, and
everything lies in `blobs/` by its digest.
"""

from __future__ import annotations

import contextlib
import json
import lzma
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tabular.deploy.onprem.airgap.registry.pulling import (
    INDEXES,
    MANIFESTS,
    OCI_INDEX,
    Manifest,
    choose,
)
from tabular.errors import InputError, IntegrityError, UnsupportedError

from .contents import Blob, Image

MARKER = b'{"imageLayoutVersion":"1.0.0"}'
_NAME = "org.opencontainers.image.ref.name"
_PIECE = 1024 * 1024


class ImageArchive:
    """One image in a file.

    Args:
        path: of the file.

    Raises:
        InputError: it is none that can be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._reading():
            self._tar = tarfile.open(path, "r:*")  # noqa: SIM115 - closed by `close`
            self._members = {one.name.removeprefix("./"): one for one in self._tar if one.isfile()}

    def close(self) -> None:
        """Let go of the file."""
        self._tar.close()

    def manifest(self, platform: str) -> Manifest:
        """The one image that is in it.

        Raises:
            UnsupportedError: there are others or none, or none for this platform.
            InputError: the archive is of an older kind, or damaged.
            IntegrityError: a part of it is missing or damaged.
        """
        try:
            return self._manifest(platform, str(self._path))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                "its list of images is not understood", where=str(self._path)
            ) from error

    def _manifest(self, platform: str, where: str) -> Manifest:
        if "index.json" not in self._members:
            raise InputError(
                "the archive has no OCI layout",
                where=where,
                hint="podman save --format oci-archive; docker save needs Docker 25 or later",
            )
        said = json.loads(self._read("index.json"))
        entries: Sequence[dict[str, Any]] = said.get("manifests", ())
        if len(entries) == 1:
            found = self._document(entries[0])
        else:
            chosen = choose(json.dumps(said).encode(), platform, where)
            found = self._document(next(one for one in entries if one["digest"] == chosen))
        if found.media_type in INDEXES:
            inner = json.loads(found.raw)["manifests"]
            chosen = choose(found.raw, platform, where)
            found = self._document(next(one for one in inner if one["digest"] == chosen))
        if found.media_type not in MANIFESTS:
            raise UnsupportedError(f"an image of the kind {found.media_type}", where=where)
        return found

    def copy(self, blob: Blob, part: Path) -> None:
        """Write a file of the image out.

        Raises:
            IntegrityError: it is not there.
            InputError: it cannot be read.
            OSError: the disk does not take it.
        """
        with part.open("wb") as file:
            for piece in self._pieces(f"blobs/sha256/{blob.sha256}"):
                file.write(piece)

    def _document(self, entry: dict[str, Any]) -> Manifest:
        digest = str(entry["digest"])
        found = Manifest(
            str(entry.get("mediaType", "")),
            self._read(f"blobs/{digest.replace(':', '/')}"),
        )
        if found.digest != digest:
            raise IntegrityError("the image is damaged: its manifest", where=str(self._path))
        return found

    def _read(self, name: str) -> bytes:
        return b"".join(self._pieces(name))

    def _pieces(self, name: str) -> Iterator[bytes]:
        source = self._tar.extractfile(self._member(name))
        piece = b"some"
        while source is not None and piece:
            with self._reading():
                piece = source.read(_PIECE)
            yield piece

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (OSError, EOFError, tarfile.TarError, zlib.error, lzma.LZMAError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise InputError(f"the image cannot be read: {why}", where=str(self._path)) from error

    def _member(self, name: str) -> tarfile.TarInfo:
        if name not in self._members:
            raise IntegrityError(
                f"the image is not whole: {name} is missing", where=str(self._path)
            )
        return self._members[name]


def index(images: Iterable[Image], platform: str) -> bytes:
    """The `index.json` of a layout with these images, by their names."""
    system, _, processor = platform.partition("/")
    entries = [
        {
            "mediaType": image.media_type,
            "digest": image.manifest.digest,
            "size": image.manifest.size,
            "platform": {"os": system, "architecture": processor.partition("/")[0]},
            "annotations": {_NAME: image.name},
        }
        for image in images
    ]
    said = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
