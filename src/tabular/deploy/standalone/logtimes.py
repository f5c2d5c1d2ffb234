"""When a line of a log was written, whoever wrote it: our processes, PostgreSQL or Valkey.

Each server has a notation of its own, and none of them can be told to use ours.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# The supervisor's `2026-01-31 12:00:00,123 INFO`, PostgreSQL's `2026-01-31 12:00:00.123 UTC [7]`.
_PLAIN = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)[.,](\d{3}) (UTC )?")
# Valkey's and Redis's `1234:M 31 Jan 2026 12:00:00.123 *`.
_VALKEY = re.compile(r"\d+:[XCSM] (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d:\d\d:\d\d\.\d{3}) ")


def time_of(text: str) -> datetime | None:
    """The time that a line says, with its zone; None where it says none.

    A line without a zone is of this machine's: whoever wrote it runs here.
    """
    try:
        return _of_json(text) if text.startswith("{") else _of_words(text)
    except ValueError:
        # Only looks like one; the line is shown as it is, without a time.
        return None


def _of_json(text: str) -> datetime | None:
    stamp = json.loads(text).get("time")
    return datetime.fromisoformat(stamp) if isinstance(stamp, str) else None


def _of_words(text: str) -> datetime | None:
    plain = _PLAIN.match(text)
    if plain:
        found = datetime.fromisoformat(f"{plain[1]}.{plain[2]}")
        return found.replace(tzinfo=UTC) if plain[3] else found.astimezone()
    valkey = _VALKEY.match(text)
    if valkey and valkey[2] in _MONTHS:
        month = _MONTHS.index(valkey[2]) + 1
        return datetime.fromisoformat(
            f"{valkey[3]}-{month:02}-{valkey[1]} {valkey[4]}"
        ).astimezone()
    return None
