"""Who made a bundle: an Ed25519 signature over its checksums.

Keys are PEM files as `openssl genpkey -algorithm ed25519` makes them, and `openssl pkeyutl -verify
-rawin` checks a signature without us. The public key goes along, so that the signature can always
be held against the checksums; that the key is the right one only `--key` can tell.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabular.errors import ConfigError, IntegrityError
from tabular.infra.optional import require

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )


def private_key(path: Path) -> Ed25519PrivateKey:
    """A key to sign with.

    Raises:
        ConfigError: the file has none, or one with a passphrase.
    """
    key = _loaded(path, "load_pem_private_key", password=None)
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path, "no private Ed25519 key")
    return key


def public_key(path: Path) -> Ed25519PublicKey:
    """A key to check with.

    Raises:
        ConfigError: the file has none.
    """
    key = _loaded(path, "load_pem_public_key")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if not isinstance(key, Ed25519PublicKey):
        raise _no_key(path, "no public Ed25519 key")
    return key


def to_pem(key: Ed25519PublicKey) -> bytes:
    """A public key as a file."""
    forms = _serialization()
    pem: bytes = key.public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    return pem


def check(pem: bytes, signature: bytes, signed: bytes, where: str) -> None:
    """Hold a signature against a key and what was signed.

    Raises:
        IntegrityError: they do not fit.
    """
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = _serialization().load_pem_public_key(pem)
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("another kind of key")
        key.verify(signature, signed)
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise IntegrityError("the signature does not fit the checksums", where=where) from error


def _loaded(path: Path, how: str, **more: Any) -> Any:
    forms = _serialization()
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return getattr(forms, how)(path.read_bytes(), **more)
    except OSError as error:
        raise _no_key(path, error.strerror or str(error)) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        why = "it has a passphrase" if isinstance(error, TypeError) else "no key in PEM form"
        raise _no_key(path, why) from error


def _no_key(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"the key cannot be used: {why}",
        where=str(path),
        hint="openssl genpkey -algorithm ed25519 -out key.pem; "
        "openssl pkey -in key.pem -pubout -out key.pub",
    )


def _serialization() -> Any:
    return require(
        "cryptography.hazmat.primitives.serialization",
        extra="onprem",
        needed_by="signatures of bundles",
    )
