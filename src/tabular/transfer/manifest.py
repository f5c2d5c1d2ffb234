"""What a backup consists of: the one file that makes it exist, written last.

It names each chunk of rows and each object with size and SHA-256, and is itself sealed with a key
made from the secret key of the service (HMAC). In an encrypted backup that secret travels inside,
so that a restored platform accepts the API keys of its users; nobody who lacks it can have
written the manifest. In an unencrypted one it never is, and whoever restores must give it.
"""

from __future__ import annotations

import hmac
import json
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from tabular.errors import ConfigError, IntegrityError, RefusedError
from tabular.infra.storage import ObjectInfo
from tabular.transfer.tables import Kind, Shape

FORMAT = 1
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Blob(_Strict):
    """A stored file: its name, and size and checksum of what is in it."""

    blob: Sha256
    size: Size
    sha256: Sha256

    def info(self, key: str) -> ObjectInfo:
        """The same, as a store knows objects."""
        return ObjectInfo(key, self.size, self.sha256)


class TableChunk(Blob):
    """Rows of a table."""

    rows: Size


class Table(_Strict):
    """A table, whole; its rows have their values in the order of its columns."""

    name: Name
    columns: tuple[tuple[Name, Kind], ...] = Field(min_length=1)
    chunks: tuple[TableChunk, ...]

    @property
    def shape(self) -> Shape:
        """Its columns."""
        return Shape(self.name, dict(self.columns))

    @property
    def rows(self) -> int:
        """Of all chunks."""
        return sum(chunk.rows for chunk in self.chunks)


class Entry(Blob):
    """An object of the platform."""

    key: str


class Summary(_Strict):
    """What may be known of a backup without its key.

    Attributes:
        started, finished: UTC.
        release: of the platform.
        revision: of its database schema.
        size: bytes of rows and objects before encryption.
        added: bytes of them that no earlier backup of the place had.
    """

    id: str = Field(pattern=r"^\d{8}T\d{6}Z-[0-9a-f]{6}$")
    started: datetime
    finished: datetime
    release: str
    revision: str = Field(pattern=r"^\d{4}$")
    encryption: str
    tables: Size
    rows: Size
    objects: Size
    size: Size
    added: Size


class Manifest(_Strict):
    """Everything of a backup.

    Attributes:
        secret_key: of the service; None where the backup is not encrypted.
    """

    format: Literal[1] = 1
    summary: Summary
    tables: tuple[Table, ...]
    objects: tuple[Entry, ...]
    secret_key: SecretStr | None = None

    def known_secret(self, given: str | None = None) -> str | None:
        """The secret key of the service: the one inside, or the one given from elsewhere."""
        return self.secret_key.get_secret_value() if self.secret_key else given

    def blobs(self) -> dict[str, Blob]:
        """Every stored file it needs, by name."""
        chunks = [chunk for table in self.tables for chunk in table.chunks]
        return {blob.blob: blob for blob in (*chunks, *self.objects)}


class _Envelope(_Strict):
    manifest: str
    seal: Sha256


def to_bytes(manifest: Manifest, secret: str) -> bytes:
    """The manifest and its seal.

    Args:
        manifest: without or with the secret key.
        secret: the secret key of the service.
    """
    data = manifest.model_dump(mode="json")
    if manifest.secret_key is not None:
        data["secret_key"] = manifest.secret_key.get_secret_value()
    text = json.dumps(data, sort_keys=True)
    return json.dumps({"manifest": text, "seal": _seal(text, secret)}).encode()


def from_bytes(raw: bytes, *, secret: str | None, where: str) -> tuple[Manifest, bool]:
    """Read a manifest back.

    Args:
        raw: what `to_bytes` gave.
        secret: the secret key of the service, where it is known from elsewhere.
        where: its place, for errors.

    Returns:
        The manifest, and whether its seal was checked.

    Raises:
        RefusedError: of a newer format.
        IntegrityError: it is damaged, or somebody else wrote it.
        ConfigError: the secret key given is not the one of the platform that was backed up.
    """
    try:
        envelope = _Envelope.model_validate_json(raw)
        data = json.loads(envelope.manifest)
        if isinstance(data, dict) and isinstance(data.get("format"), int):
            _refuse_newer(data["format"], where)
        manifest = Manifest.model_validate(data)
    except ValueError as error:
        # Pydantic's own text would carry the values, and one of them is a secret.
        wrong = (
            ", ".join(".".join(map(str, item["loc"])) for item in error.errors())
            if isinstance(error, ValidationError)
            else "no JSON"
        )
        raise IntegrityError(f"the manifest is damaged: {wrong}"[:300], where=where) from None
    inside = manifest.secret_key.get_secret_value() if manifest.secret_key else None
    if inside is not None and secret is not None and not hmac.compare_digest(inside, secret):
        raise _foreign(where)
    known = manifest.known_secret(secret)
    if known is None:
        return manifest, False
    if not hmac.compare_digest(envelope.seal, _seal(envelope.manifest, known)):
        if inside is None:
            raise _foreign(where)
        raise IntegrityError("the manifest is not as it was written", where=where)
    return manifest, True


def _seal(text: str, secret: str) -> str:
    key = hmac.digest(secret.encode(), b"tabular backup manifest", "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def _foreign(where: str) -> ConfigError:
    return ConfigError(
        "the backup was not made with this secret key, or was changed",
        where=where,
        hint="give the secret key of the platform that was backed up: `inferloop-tabular backup "
        "secret-key` takes it out of an encrypted backup",
        code="config.wrong-secret-key",
    )


def _refuse_newer(found: int, where: str) -> None:
    if found > FORMAT:
        raise RefusedError(
            f"the backup has format {found}; this release reads up to {FORMAT}",
            where=where,
            hint="restore it with the release that made it, or a later one",
            code="refused.newer-backup",
        )
