"""Hints that name an option, told in the words of whoever asked.

The same reader serves Python, the command line and the API, where one option has three names.
Hints are therefore written as Python writes them, ``encoding='latin-1'``, and each edge puts its
own notation in their place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_OPTION = re.compile(r"\b(encoding|delimiter)='([^']*)'")

COMMAND_LINE = {"encoding": "--encoding {}", "delimiter": "--delimiter '{}'"}
API = {
    "encoding": "the header Content-Type: text/csv; charset={}",
    "delimiter": "a comma between the cells",
}


def told(hint: str | None, notation: Mapping[str, str]) -> str | None:
    """A hint in other words.

    Args:
        hint: as raised; None stays None.
        notation: for each option its form, with ``{}`` for the value.
    """
    if hint is None:
        return None
    return _OPTION.sub(lambda option: notation[option[1]].format(option[2]), hint)
