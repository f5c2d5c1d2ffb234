"""The keys an object may have: the intersection of what every store and file system accepts.

A key that is legal in S3 may escape a folder, vanish in a shell or be folded by a proxy, and a
platform that moves between stores meets them all. Keys are made by the service, not by users, so
the rule can be strict: it is checked before any driver sees the key.
"""

from __future__ import annotations

import re

from tabular.errors import InputError

MAX_KEY = 512
MAX_SEGMENT = 200  # file systems allow 255 bytes; the suffix of a data blob needs the rest

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=-]*\Z")


def check_key(key: str) -> str:
    """The key itself when it is a legal object key.

    Legal is: segments of letters, digits, ``. _ = -`` that begin with a letter, digit or
    underscore, joined by ``/``; at most 512 characters, 200 a segment.

    Raises:
        InputError: anything else, such as ``../x``, ``/x``, an empty key or one with NUL.
    """
    problem = _problem(key)
    if problem:
        raise InputError(
            f"the object key {key[:80]!r} {problem}",
            hint="use segments of letters, digits and . _ = - joined by /",
            code="input.key",
        )
    return key


def check_prefix(prefix: str) -> str:
    """A folder of keys without its last slash; empty for everything.

    Raises:
        InputError: not the beginning of any legal key.
    """
    folder = prefix.removesuffix("/")
    return check_key(folder) if folder else ""


def _problem(key: str) -> str | None:
    if not key:
        return "is empty"
    if "\0" in key:
        return "contains NUL"
    if len(key) > MAX_KEY:
        return f"has {len(key)} characters; at most {MAX_KEY} are allowed"
    if key.startswith("/"):
        return "is absolute"
    return next(filter(None, map(_segment_problem, key.split("/"))), None)


def _segment_problem(segment: str) -> str | None:
    if not segment:
        return "has an empty segment"
    if segment in (".", ".."):
        return "leaves its folder"
    if len(segment) > MAX_SEGMENT:
        return f"has a segment of more than {MAX_SEGMENT} characters"
    if not _SEGMENT.match(segment):
        return f"has a segment {segment[:40]!r} with a character that some store cannot keep"
    return None
