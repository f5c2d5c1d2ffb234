"""When certificates end, read from their files: one that nobody looked at ends at night."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tabular.errors import ConfigError
from tabular.infra.optional import require

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def ends(file: Path) -> list[datetime]:
    """The last moment (UTC) at which each certificate of a file is valid.

    Raises:
        ConfigError: the file cannot be read, or has no certificate or one that is none.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the certificates cannot be read: {error.strerror}", where=str(file)
        ) from error
    return [one.not_valid_after_utc for one in read(content, where=str(file))]


def read(content: bytes, *, where: str) -> list[Certificate]:
    """The certificates of a PEM text.

    Raises:
        ConfigError: there is none, or one cannot be read.
    """
    x509 = require("cryptography.x509", extra="onprem", needed_by="certificates")
    try:
        found: list[Certificate] = x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise ConfigError(
            "there is no certificate, or one that cannot be read",
            where=where,
            hint="give PEM text: -----BEGIN CERTIFICATE----- …",
        ) from error
    return found
