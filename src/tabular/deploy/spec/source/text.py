"""Bytes of a file to text, with a limit: what is no deployment file is told apart early.

The YAML scanner is neither fast nor frugal, so nothing large or binary may reach it.
"""

from __future__ import annotations

import codecs
import re
import stat
from pathlib import Path

from tabular.errors import SpecError

MAX_BYTES = 256 * 1024
STDIN = "stdin"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
CONTROL = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_HINT_UTF8 = "save the file as UTF-8"


def read_text(path: Path) -> str:
    """The text of a deployment file.

    Raises:
        SpecError: missing, no ordinary file, unreadable, larger than 256 KiB, not UTF-8 text.
    """
    name = str(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            what = "a folder" if path.is_dir() else "not an ordinary file"
            raise SpecError(f"this is {what}", where=name, hint="name a YAML file")
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SpecError(
            "there is no such file",
            where=name,
            hint="`inferloop-tabular init` writes one to start from",
            code="spec.missing",
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file name"
        raise SpecError(f"cannot be read: {reason}", where=repr(name).strip("'")) from None
    return decode(raw, name)


def read_stdin() -> str:
    """The text of a deployment file that is piped in.

    Raises:
        SpecError: stdin is closed, unreadable, larger than 256 KiB, not UTF-8 text.
    """
    try:
        with open(0, "rb", closefd=False) as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror}", where=STDIN) from None
    return decode(raw, STDIN)


def decode(raw: bytes, name: str) -> str:
    """UTF-8 bytes to text, without a byte-order mark.

    Raises:
        SpecError: too large, another encoding, or characters that no text file has.
    """
    if len(raw) > MAX_BYTES:
        raise SpecError(
            "larger than 256 KiB",
            where=name,
            hint="a deployment file is a few hundred lines; data belongs elsewhere",
        )
    if raw.startswith(_UTF16):
        raise SpecError("this is UTF-16 or UTF-32 text", where=name, hint=_HINT_UTF8)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        raise SpecError(
            f"byte 0x{raw[error.start]:02x} is not UTF-8",
            where=f"{name}:{line}:{column}",
            hint=_HINT_UTF8,
        ) from None
    return check_characters(text, name)


def check_characters(text: str, name: str) -> str:
    """The text itself if all its characters may stand in YAML.

    Raises:
        SpecError: a NUL or another control character, or too many characters.
    """
    if len(text) > MAX_BYTES:
        raise SpecError("larger than 256 KiB", where=name)
    found = CONTROL.search(text)
    if found is not None:
        before = text[: found.start()]
        line, column = before.count("\n") + 1, found.start() - before.rfind("\n")
        raise SpecError(
            f"character U+{ord(found.group()):04X} may not stand in a YAML file",
            where=f"{name}:{line}:{column}",
            hint="is this a text file? remove the character",
        )
    return text
