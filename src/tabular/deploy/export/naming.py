"""Names of what belongs to a deployment, where a tool takes only short ones."""

from __future__ import annotations

import hashlib

_DIGITS = 8  # of a digest, which tells apart what begins alike


def shortened(name: str, longest: int) -> str:
    """A name as it is, or, if it is too long, its beginning and a digest of all of it.

    Args:
        name: of letters, digits and dashes.
        longest: characters that it may have, more than the digest's.
    """
    if len(name) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]
    return f"{name[: longest - _DIGITS - 1].rstrip('-')}-{digest}"
