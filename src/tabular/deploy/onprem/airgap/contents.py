"""What a bundle says of itself: `bundle.json`, and the checksums of all its files.

`SHA256SUMS` has the form that `sha256sum -c` reads, so that whoever has a bundle and none of our
programs yet can look at it before installing anything of it. Its own SHA-256 is the digest of the
bundle. Nothing tells when or where a bundle was made: the same contents give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tabular.deploy.stack import canonical_json
from tabular.errors import IntegrityError, RefusedError

FORMAT = 1
CONTENTS = "bundle.json"
SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.sig"
PUBLIC_KEY = "signed-by.pem"
SBOM = "sbom.cdx.json"
LAYOUT = "images/oci-layout"
INDEX = "images/index.json"
BLOBS = "images/blobs/sha256"
WHEELS = "wheels"
LOCK = f"{WHEELS}/requirements.txt"
# What no checksum covers: the list of them, and its signature.
UNLISTED = frozenset({SUMS, SIGNATURE})
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=0)]
# Printed where nobody has looked at a bundle yet.
Word = Annotated[str, Field(pattern=r"^[!-~]+$")]
_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._+@/-]+)\n")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Blob(_Strict):
    """A file of an image: digest and bytes."""

    digest: Digest
    size: Size

    @property
    def sha256(self) -> str:
        """The digest in hex alone."""
        return self.digest.removeprefix("sha256:")

    @property
    def path(self) -> str:
        """Where it lies in a bundle."""
        return f"{BLOBS}/{self.sha256}"


class Image(_Strict):
    """An image of one platform.

    Attributes:
        name: as the rendered objects say it.
        manifest: the document that its digest is of.
        blobs: its configuration and layers.
    """

    name: Word
    media_type: Word
    manifest: Blob
    blobs: tuple[Blob, ...]


class Release(_Strict):
    """What is installed, as `rendering.render` takes it."""

    name: Word
    namespace: Word
    kube_version: Word | None
    values: Mapping[str, Any]


class Base(_Strict):
    """What has to be at the other side already.

    Attributes:
        digest: of the bundle that this one was made after.
        files: SHA-256 of what it has, or its own base, by path; left out here.
        shelves: by digest of a blob, paths of repositories that have it once that is loaded.
    """

    digest: Sha256
    files: Mapping[str, Sha256]
    shelves: Mapping[Digest, tuple[str, ...]]


class Contents(_Strict):
    """A bundle.

    Attributes:
        version: of the platform.
        platform: of the images.
        chart: path of the packaged chart.
        base: None in a bundle that is whole by itself.
    """

    format: Literal[1] = 1
    version: Word
    platform: Word
    chart: Word
    release: Release
    images: tuple[Image, ...]
    base: Base | None = None

    def to_bytes(self) -> bytes:
        """The file."""
        return canonical_json(self.model_dump(mode="json")) + b"\n"

    @classmethod
    def from_bytes(cls, raw: bytes, where: str) -> Contents:
        """Read the file back.

        Raises:
            RefusedError: of a newer format.
            IntegrityError: it is damaged.
        """
        try:
            data = json.loads(raw)
            found = data.get("format") if isinstance(data, dict) else None
            if isinstance(found, int) and found > FORMAT:
                raise RefusedError(
                    f"the bundle has format {found}; this release reads up to {FORMAT}",
                    where=where,
                    hint="install the wheels that are in it",
                )
            return cls.model_validate(data)
        except ValidationError as error:
            wrong = ", ".join(".".join(map(str, one["loc"])) for one in error.errors())
            raise IntegrityError(f"{CONTENTS} is damaged: {wrong}"[:300], where=where) from None
        except (ValueError, RecursionError):
            raise IntegrityError(f"{CONTENTS} is damaged: no JSON", where=where) from None

    def has(self, sums: Mapping[str, str]) -> dict[str, str]:
        """SHA-256 by path of what is in it and in what it was made after."""
        return {**(self.base.files if self.base else {}), **sums}

    def shelves(self, path_of: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """Which repositories have each blob, once this bundle is loaded.

        Args:
            path_of: path of the repository of each image by its name.
        """
        found: dict[str, set[str]] = {}
        for digest, paths in (self.base.shelves if self.base else {}).items():
            found.setdefault(digest, set()).update(paths)
        for image in self.images:
            for blob in image.blobs:
                found.setdefault(blob.digest, set()).add(path_of[image.name])
        return {digest: tuple(sorted(paths)) for digest, paths in sorted(found.items())}


def sums_to_bytes(sums: Mapping[str, str]) -> bytes:
    """The file of checksums.

    Args:
        sums: SHA-256 in hex by path.
    """
    return "".join(f"{sums[path]}  {path}\n" for path in sorted(sums)).encode()


def sums_from_bytes(raw: bytes, where: str) -> dict[str, str]:
    """Read the file of checksums back.

    Raises:
        IntegrityError: it is not, byte for byte, as it is written.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(raw.decode("latin-1").splitlines(keepends=True), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise IntegrityError(f"{SUMS} is damaged in line {number}", where=where)
        found[match[2]] = match[1]
    if sums_to_bytes(found) != raw:
        raise IntegrityError(f"{SUMS} is damaged: its lines are not in order", where=where)
    return found


def digest_of(raw: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(raw).hexdigest()
