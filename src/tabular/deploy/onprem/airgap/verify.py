"""A bundle read from end to end: everything that is wrong with it, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tabular.errors import IntegrityError, TabularError
from tabular.transfer.copying import in_parallel

from . import signing
from .archive import printable
from .contents import (
    CONTENTS,
    LOCK,
    PUBLIC_KEY,
    SIGNATURE,
    SUMS,
    UNLISTED,
    Contents,
    digest_of,
)
from .opened import Opened
from .wheels import locked

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found.

    Attributes:
        digest: of the bundle; "" where it has none that can be read.
        problems: what is wrong, by the name of a file.
        signer: SHA-256 of the public key that it is signed with; "" if it is not signed.
        trusted: whether that is the key that was named.
    """

    digest: str
    problems: Mapping[str, str]
    signer: str = ""
    trusted: bool = False


def verify(
    bundle: Opened, key: Path | None = None, each: Callable[[str], None] = lambda name: None
) -> Verdict:
    """Read all of a bundle.

    Args:
        bundle: which.
        key: public key that it has to be signed with; any or none will do if None.
        each: called after each file.

    Raises:
        ConfigError: the key cannot be used.
    """
    expected = None if key is None else signing.to_pem(signing.public_key(key))
    problems = {bundle.path.name: bundle.damage} if bundle.damage else {}
    try:
        raw = bundle.read(SUMS)
        sums = bundle.sums()
    except TabularError as error:
        return Verdict("", {**problems, SUMS: error.message})
    problems |= dict.fromkeys(sums.keys() - bundle.files.keys(), "it is missing")
    strangers = bundle.files.keys() - sums.keys() - UNLISTED
    problems |= dict.fromkeys(map(printable, strangers), "it does not belong to the bundle")
    problems |= dict.fromkeys(map(printable, bundle.strange), "it is neither a file nor a folder")

    def look(name: str) -> tuple[str, str]:
        try:
            return name, "" if bundle.sha256(name) == sums[name] else "its checksum is another"
        except (TabularError, OSError) as error:
            return name, str(error)

    for name, problem in in_parallel(look, sorted(sums.keys() & bundle.files.keys()), workers=2):
        each(name)
        if problem:
            problems[name] = problem
    if not problems:
        problems |= _lacking(bundle, sums)
    signer, trusted, wrong = _signed(bundle, raw, expected)
    if wrong:
        problems[SIGNATURE] = wrong
    return Verdict(digest_of(raw), dict(sorted(problems.items())), signer, trusted)


def require_whole(
    bundle: Opened, key: Path | None, each: Callable[[str], None] = lambda name: None
) -> Verdict:
    """The verdict on a bundle with which nothing is wrong.

    Raises:
        IntegrityError: something is; names it.
        ConfigError: the key cannot be used.
    """
    verdict = verify(bundle, key, each)
    if verdict.problems:
        raise IntegrityError(
            f"the bundle is damaged: {in_words(verdict.problems)}",
            where=str(bundle.path),
            hint="carry it over again; `inferloop-tabular bundle verify` lists everything",
        )
    return verdict


def in_words(problems: Mapping[str, str]) -> str:
    """The first problems as one line."""
    shown = [f"{name}: {what}" for name, what in list(problems.items())[:_SHOWN]]
    more = len(problems) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def _lacking(bundle: Opened, sums: Mapping[str, str]) -> dict[str, str]:
    """What the checksums cannot tell: files that the contents promise, and nobody listed."""
    try:
        contents = bundle.contents()
    except TabularError as error:
        return {CONTENTS: error.message}
    known = contents.has(sums)
    lacking = dict.fromkeys(set(promised(contents)) - known.keys(), "no bundle has it")
    if LOCK in sums and not locked(bundle.read(LOCK).decode()) <= set(known.values()):
        lacking[LOCK] = "no bundle has a wheel that it names"
    return lacking


def promised(contents: Contents) -> tuple[str, ...]:
    """Files that a bundle must have, or the one that it was made after."""
    blobs = (blob for image in contents.images for blob in (image.manifest, *image.blobs))
    return (contents.chart, *(blob.path for blob in blobs))


def _signed(bundle: Opened, raw: bytes, expected: bytes | None) -> tuple[str, bool, str]:
    """Who signed it, whether that is who was expected, and what is wrong with it."""
    if SIGNATURE not in bundle.files and PUBLIC_KEY not in bundle.files:
        return "", False, "" if expected is None else "the bundle is not signed"
    try:
        pem = bundle.read(PUBLIC_KEY)
        signing.check(pem, bundle.read(SIGNATURE), raw, str(bundle.path))
    except IntegrityError as error:
        return "", False, error.message
    if expected is not None and pem != expected:
        return digest_of(pem), False, "it is signed with another key"
    return digest_of(pem), expected is not None, ""
