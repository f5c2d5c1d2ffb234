"""Credentials that the service makes itself: an id that finds a row, and 256 random bits.

Because the secret is random and not chosen by a person, there is nothing to guess: a slow
password hash would cost every request 100 ms and protect nothing. One HMAC-SHA256 under the
service's secret key is kept and compared in constant time, so a copied database can neither be
used nor be extended with credentials of the thief's own making. The prefix lets scanners
recognise a leaked one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

_NO_HASH = "0" * 64
GIVEN = re.compile(r"[A-Za-z0-9_-]{40,128}\Z")  # no dot, so it is no credential of another form
GIVEN_ID = "bootstrap-"


class Minter:
    """Makes and checks the credentials of one kind, ``PREFIX.ID.SECRET``.

    Args:
        prefix: of this kind.
        secret: the service's secret key; under another one no credential made before is right.
        purpose: keeps the hashes of different kinds apart.
    """

    def __init__(self, prefix: str, secret: str, purpose: bytes) -> None:
        self._prefix = prefix
        self._key = hmac.digest(secret.encode(), purpose, "sha256")
        self._form = re.compile(rf"{prefix}\.([0-9a-f]{{16}})\.([A-Za-z0-9_-]{{43}})\Z")

    def mint(self, given_id: str | None = None) -> tuple[str, str, str]:
        """A new credential: its id (or the given one), its text, and the hash to keep."""
        made_id, secret = given_id or secrets.token_hex(8), secrets.token_urlsafe(32)
        return made_id, f"{self._prefix}.{made_id}.{secret}", self._hash(made_id, secret)

    def parse(self, text: str) -> tuple[str, str] | None:
        """Id and secret, or None when the text has not the form."""
        form = self._form.match(text)
        return None if form is None else (form[1], form[2])

    def parse_given(self, text: str) -> tuple[str, str] | None:
        """Id and secret of a credential whose whole text was chosen by somebody else.

        It has no id to be found by, so one is made of it, which only the secret key can do again.
        """
        if GIVEN.match(text) is None:
            return None
        return GIVEN_ID + hmac.new(self._key, b"id." + text.encode(), "sha256").hexdigest()[
            :16
        ], text

    def keep(self, made_id: str, secret: str) -> str:
        """The hash to keep of a credential that was not minted here."""
        return self._hash(made_id, secret)

    def fits(self, made_id: str, secret: str, kept: str | None) -> bool:
        """Whether the secret is the one that was hashed; as slow when there is none."""
        return hmac.compare_digest(kept or _NO_HASH, self._hash(made_id, secret))

    def _hash(self, made_id: str, secret: str) -> str:
        return hmac.new(self._key, f"{made_id}.{secret}".encode(), hashlib.sha256).hexdigest()
