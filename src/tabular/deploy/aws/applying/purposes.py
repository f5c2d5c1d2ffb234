"""Why an operation runs, said in the token that CloudFormation repeats in each of its events.

So a client that finds a stack busy knows whether it is an apply, which it may see through, or a
destroy, after which nothing must be carried on; and a call that was answered into a broken
connection is known to have been heard.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

_PREFIX = "inferloop"


class Purpose(StrEnum):
    """What an operation is a part of; ``foreign``: somebody else's, past us."""

    APPLY = "apply"
    CLEAR = "clear"  # an apply that first removes what a failed one left
    ROLLBACK = "rollback"
    IMPORT = "import"
    DESTROY = "destroy"
    FOREIGN = "foreign"


def new_token(purpose: Purpose) -> str:
    """A ``ClientRequestToken`` for one operation."""
    return f"{_PREFIX}-{purpose.value}-{secrets.token_hex(8)}"


def purpose_of(event: Mapping[str, Any]) -> Purpose:
    """The purpose of the operation that an event belongs to."""
    prefix, _, rest = str(event.get("ClientRequestToken", "")).partition("-")
    word = rest.partition("-")[0]
    if prefix == _PREFIX and word in tuple(Purpose):
        return Purpose(word)
    deleting = str(event.get("ResourceStatus")).startswith("DELETE")
    return Purpose.DESTROY if deleting else Purpose.FOREIGN
