"""Plain data as YAML that every reader takes for the same data, and that is easy to compare.

Tools read YAML by two standards: what is a text in one (`on`, `012`, `1e3`) is none in the other.
So whatever could be taken for anything else is quoted here. Texts of several lines stand as they
are, which is what people look at in a difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_WIDTH = 2
# Nothing that starts like a number, and no sign that means something in YAML.
_PLAIN = re.compile(r"[A-Za-z/](?:[\w./@+,()-]|:(?=[\w./@+-])| (?=[\w./@+(-]))*", re.A)
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})
# What a reader may refuse or fold when it stands there by itself.
_ODD = re.compile(
    "[^\n\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def as_yaml(data: Any, *, words: str = "") -> bytes:
    """A document, in the order that the data has.

    Args:
        data: a mapping or a list; in them mappings with text keys, lists, texts, numbers, truths
            and None.
        words: for people, as comments at its head.

    Raises:
        TypeError: something else is in it.
        ValueError: a number that is none.
    """
    head = [f"# {line}".rstrip() for line in words.splitlines()]
    return "\n".join([*head, *_lines(data), ""]).encode()


def as_yaml_documents(documents: tuple[Any, ...], *, words: str = "") -> bytes:
    """Several documents in one file."""
    first, *rest = documents
    return b"---\n".join([as_yaml(first, words=words), *(as_yaml(one) for one in rest)])


def _lines(value: Any) -> list[str]:
    """Lines of a value that starts a line of its own."""
    if isinstance(value, Mapping) and value:
        return [line for key, one in value.items() for line in _entry(key, one)]
    if isinstance(value, list | tuple) and value:
        return [line for one in value for line in _item(one)]
    return _scalar(value)


def _entry(key: str, value: Any) -> Iterator[str]:
    if not isinstance(key, str):
        raise TypeError(f"a key is a text, not {key!r}")
    if isinstance(value, Mapping) and value:
        yield f"{_text(key)}:"
        yield from _indented(_lines(value))
    elif isinstance(value, list | tuple) and value:
        yield f"{_text(key)}:"
        yield from _lines(value)
    else:
        first, *rest = _scalar(value)
        yield f"{_text(key)}: {first}"
        yield from _indented(rest)


def _item(value: Any) -> Iterator[str]:
    first, *rest = _lines(value)
    yield f"- {first}"
    yield from _indented(rest)


def _indented(lines: list[str]) -> Iterator[str]:
    return (f"{' ' * _WIDTH}{line}" if line else "" for line in lines)


def _scalar(value: Any) -> list[str]:
    if isinstance(value, str):
        return _block(value) if _is_block(value) else [_text(value)]
    return [_word(value)]


def _word(value: Any) -> str:
    """What is no text, and what is empty."""
    match value:
        case None | bool() | int():
            return json.dumps(value)
        case float():
            return _number(value)
        case Mapping():
            return "{}"
        case list() | tuple():
            return "[]"
    raise TypeError(f"YAML has no {value!r}")


def _number(value: float) -> str:
    text = json.dumps(value, allow_nan=False)
    mantissa, mark, power = text.partition("e")
    return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}{mark}{power}"


def _text(value: str) -> str:
    """A text on one line."""
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return _ODD.sub(lambda found: _escaped(found[0]), quoted)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xD800 <= code <= 0xDFFF:
        raise ValueError(f"half a character is in a text: U+{code:04X}")
    return f"\\u{code:04x}"


def _is_block(value: str) -> bool:
    """Whether a text can stand as it is: any reader gives it back to the letter."""
    return (
        "\n" in value.rstrip("\n")
        and not value.endswith("\n\n")
        and not _ODD.search(value)
        and not any(line != line.strip(" \t") and not line.strip() for line in value.split("\n"))
        and value[0] not in " \n"
        and "\n\t" not in value
        and value[0] != "\t"
    )


def _block(value: str) -> list[str]:
    mark = "|" if value.endswith("\n") else "|-"
    return [mark, *value.removesuffix("\n").split("\n")]
