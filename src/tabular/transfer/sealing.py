"""Encryption of what leaves the platform, in the format of age (age-encryption.org/v1).

A backup outlives the program that made it. Whoever has the key can open each of its files with
the `age` command alone. A passphrase is stretched once (scrypt): it opens `key.age`, which holds
the key pair of all other files of that place.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tabular.errors import ConfigError, IntegrityError, UnavailableError, UsageError
from tabular.infra.optional import require
from tabular.infra.pipe import streamed

PASSPHRASE, RECIPIENTS, NONE = "age-passphrase", "age-recipients", "none"
METHODS = (PASSPHRASE, RECIPIENTS, NONE)
SHORTEST = 12  # characters of a passphrase
# What the library says where it thinks that this machine takes too long for the passphrase. It
# measures for a moment, and is wrong where others are at work: it is asked again.
_SLOW = "Excessive work"
_TRIES, _PAUSE = 10, 1.0  # seconds
_KEYGEN = "age-keygen -o key.txt, or python -m tabular.transfer keygen"


@dataclass(frozen=True)
class Keys:
    """What the user gives to close and open backups.

    Attributes:
        passphrase: its value, from a reference.
        recipients: public keys of age.
        identity: text of a key file of age.
        unencrypted: said explicitly.
    """

    passphrase: str | None = None
    recipients: tuple[str, ...] = ()
    identity: str | None = None
    unencrypted: bool = False

    def __repr__(self) -> str:
        return "Keys(***)"

    @property
    def method(self) -> str | None:
        """The method they are for; None when nothing was given.

        Raises:
            ConfigError: they contradict each other.
        """
        said = {
            PASSPHRASE: self.passphrase is not None,
            RECIPIENTS: bool(self.recipients) or self.identity is not None,
            NONE: self.unencrypted,
        }
        found = [method for method, is_said in said.items() if is_said]
        if len(found) > 1:
            raise ConfigError(
                "a passphrase, keys and --unencrypted exclude each other", hint="give one of them"
            )
        return found[0] if found else None


class Sealing(Protocol):
    """How the files of a place are closed and opened."""

    @property
    def method(self) -> str:
        """`PASSPHRASE`, `RECIPIENTS` or `NONE`."""
        ...

    @property
    def readers(self) -> tuple[str, ...]:
        """Public keys of the recipients of what is written, in order; empty for other methods."""
        ...

    def close(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """What is stored for these bytes."""
        ...

    def open(self, chunks: Iterable[bytes], *, name: str) -> Iterator[bytes]:
        """The bytes again; `name` is for errors."""
        ...


@dataclass(frozen=True)
class Unsealed:
    """Files as they are, because somebody said so."""

    method: str = NONE
    readers: tuple[str, ...] = ()

    def close(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same bytes."""
        return iter(chunks)

    def open(self, chunks: Iterable[bytes], *, name: str) -> Iterator[bytes]:
        """The same bytes."""
        return iter(chunks)


class Age:
    """Files of age.

    Args:
        method: `PASSPHRASE` or `RECIPIENTS`.
        recipients: public keys that may open what is written.
        identities: secret keys to open what is read.
    """

    def __init__(self, method: str, recipients: Sequence[Any], identities: Sequence[Any]) -> None:
        self.method = method
        self._recipients = list(recipients)
        self._identities = list(identities)

    @property
    def readers(self) -> tuple[str, ...]:
        """Public keys of the recipients; those of a passphrase's own key pair do not vary."""
        return tuple(sorted({*map(str, self._recipients)})) if self.method == RECIPIENTS else ()

    def close(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """An age file.

        Raises:
            UsageError: no public key is known.
        """
        if not self._recipients:
            raise UsageError("to write there takes a public key", hint="--recipient age1…")
        age = _age()
        return _through(lambda r, w: age.encrypt_io(r, w, self._recipients), chunks, "")

    def open(self, chunks: Iterable[bytes], *, name: str) -> Iterator[bytes]:
        """What is in an age file.

        Raises:
            ConfigError: none of the keys fits.
            IntegrityError: it is damaged.
        """
        if not self._identities:
            raise UsageError(
                "the backup is encrypted, and opens with the secret key of one of its recipients",
                hint="--identity file:/path/key.txt",
            )
        age = _age()
        return _through(lambda r, w: age.decrypt_io(r, w, self._identities), chunks, name)


class _Reader(io.RawIOBase):
    """A file over chunks that keeps the error of its source, which age would wrap."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = memoryview(b"")
        self.error: Exception | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._left:
            try:
                chunk = next(self._chunks, None)
            except Exception as error:
                self.error = error
                raise
            if chunk is None:
                return b""
            self._left = memoryview(chunk)
        size = len(self._left) if size < 0 else size
        piece, self._left = bytes(self._left[:size]), self._left[size:]
        return piece


def _through(
    convert: Callable[[Any, Any], None], chunks: Iterable[bytes], name: str
) -> Iterator[bytes]:
    age = _age()
    reader = _Reader(chunks)
    try:
        yield from streamed(lambda file: convert(reader, file))
    except (age.DecryptError, age.EncryptError, OSError) as error:
        if reader.error is not None:
            raise reader.error from None
        if "No matching keys" in str(error):
            raise wrong_key(name) from None
        raise IntegrityError(
            f"{name or 'a file'} is damaged: {error}", where=name, hint="take another backup"
        ) from None


def wrong_key(where: str) -> ConfigError:
    """The error of a passphrase or key that does not fit."""
    return ConfigError(
        "the passphrase or key does not open this backup",
        where=where,
        hint="give the one that the backup was made with",
        code="config.wrong-key",
    )


def from_passphrase(
    passphrase: str, stored: bytes | None, *, sleep: Callable[[float], None] = time.sleep
) -> tuple[Age, bytes]:
    """The keys of a place that a passphrase protects, and the content of its `key.age`.

    Args:
        passphrase: of the user.
        stored: what the place has; None to make new keys.
        sleep: waits between two tries.

    Raises:
        ConfigError: the passphrase is another one.
        UsageError: it is too short for new keys.
        UnavailableError: this machine is too slow to try it.
    """
    age = _age()
    if stored is None:
        if len(passphrase) < SHORTEST:
            raise UsageError(
                f"the passphrase has fewer than {SHORTEST} characters", hint="take a longer one"
            )
        made = age.x25519.Identity.generate()
        stored = age.passphrase.encrypt(str(made).encode(), passphrase)
    text = _stretched(age, stored, passphrase, sleep)
    identity = age.x25519.Identity.from_str(text)
    return Age(PASSPHRASE, [identity.to_public()], [identity]), stored


def _stretched(age: Any, stored: bytes, passphrase: str, sleep: Callable[[float], None]) -> str:
    for tried in range(_TRIES):
        if tried:
            sleep(_PAUSE)
        try:
            found: bytes = age.passphrase.decrypt(stored, passphrase)
        except age.DecryptError as error:
            if _SLOW not in str(error):
                raise wrong_key("key.age") from None
        else:
            return found.decode()
    raise UnavailableError(
        "this machine is too slow, or too busy, to try the passphrase",
        where="key.age",
        hint="try again when it has less to do or more processor, or use --recipient and "
        "--identity, which take no such time; the `age` command opens key.age anywhere",
        code="unavailable.too-slow",
    )


def from_keys(recipients: Sequence[str], identity: str | None) -> Age:
    """Keys of the user's own.

    Args:
        recipients: ``age1…`` public keys; of the identity where there are none.
        identity: the text of a key file, ``AGE-SECRET-KEY-1…``; None to write only.

    Raises:
        UsageError: one of them is no key; the message repeats none.
    """
    age = _age()
    try:
        lines = [line.strip() for line in (identity or "").splitlines()]
        secret = [age.x25519.Identity.from_str(line) for line in lines if line and line[0] != "#"]
        public = [age.x25519.Recipient.from_str(text) for text in recipients]
    except (age.IdentityError, age.RecipientError):
        raise UsageError("that is no key of age", hint=f"make one: {_KEYGEN}") from None
    return Age(RECIPIENTS, public or [one.to_public() for one in secret], secret)


def keygen() -> tuple[str, str]:
    """A new key file's text, and its public key."""
    made = _age().x25519.Identity.generate()
    public = str(made.to_public())
    return f"# public key: {public}\n{made}\n", public


def _age() -> Any:
    return require("pyrage", extra="backup", needed_by="encrypted backups")
