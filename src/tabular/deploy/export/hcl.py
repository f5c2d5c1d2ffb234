"""The little of HCL that is written here, in the one form that ``terraform fmt`` leaves alone.

Values are plain Python, and a few classes for what Python has no value for. Equals signs stand in
one column over attributes that follow each other on one line each; what takes several lines stands
alone.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Value: TypeAlias = Any  # str, bool, int, float, list, mapping, or one of the classes below
WIDTH, LIST_WIDTH = 100, 70  # of lines, and of those that are lists
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Expression:
    """What is computed, as it is written: ``aws_vpc.vpc.id``."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A text in which some pieces are computed."""

    pieces: tuple[str | Expression, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments, such as ``jsonencode``; all but the last take one line."""

    function: str
    arguments: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """A text of several lines, written as such; it ends with a line break."""

    text: Text


@dataclass(frozen=True, slots=True)
class Attribute:
    """One setting."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Block:
    """A block with its labels; ``words`` stand before it."""

    kind: str
    labels: tuple[str, ...] = ()
    items: tuple[Attribute | Block, ...] = ()
    words: tuple[str, ...] = field(default=())


def document(blocks: Iterable[Block]) -> bytes:
    """A whole file."""
    return "\n".join("\n".join([*_block(one, 0), ""]) for one in blocks).encode()


def identifier(name: str) -> str:
    """A logical id as Terraform's own names are written: ``PublicSubnet1``, ``public_subnet_1``."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    return re.sub(r"^([a-z_]+[a-z])([0-9]+)$", r"\1_\2", words)


def quoted(text: str) -> str:
    """A text in quotes, in which nothing is computed."""
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    return f'"{_literal(escaped)}"'


def joined(pieces: Iterable[Value]) -> Value:
    """One text of several; plain if nothing in it is computed."""
    found: list[str | Expression] = []
    for piece in pieces:
        for one in piece.pieces if isinstance(piece, Text) else (piece,):
            if isinstance(one, str) and found and isinstance(found[-1], str):
                found[-1] += one
            elif one != "":
                found.append(one if isinstance(one, str | Expression) else str(one))
    if not any(isinstance(one, Expression) for one in found):
        return "".join(str(one) for one in found)
    return found[0] if len(found) == 1 else Text(tuple(found))


def _literal(text: str) -> str:
    return text.replace("${", "$${").replace("%{", "%%{")


def _block(block: Block, depth: int) -> Iterator[str]:
    pad = "  " * depth
    yield from (f"{pad}# {line}" for line in block.words)
    head = " ".join([block.kind, *(f'"{label}"' for label in block.labels)])
    if not block.items:
        yield f"{pad}{head} {{}}"
        return
    yield f"{pad}{head} {{"
    yield from _body(block.items, depth + 1)
    yield f"{pad}}}"


def _body(items: Sequence[Attribute | Block], depth: int) -> Iterator[str]:
    """Paragraphs with an empty line between them."""
    for number, lines in enumerate(_paragraphs(items, depth)):
        if number:
            yield ""
        yield from lines


def _paragraphs(items: Sequence[Attribute | Block], depth: int) -> Iterator[list[str]]:
    """Attributes of one line together, then each of the longer ones; each block."""
    for is_block, group in itertools.groupby(items, lambda one: isinstance(one, Block)):
        if is_block:
            yield from (list(_block(one, depth)) for one in group if isinstance(one, Block))
        else:
            yield from _settings([one for one in group if isinstance(one, Attribute)], depth)


def _settings(items: Sequence[Attribute], depth: int) -> Iterator[list[str]]:
    pad = "  " * depth
    values = [(one.name, _value(one.value, depth)) for one in items]
    short = [(name, lines[0]) for name, lines in values if len(lines) == 1]
    if short:
        yield [*_aligned(short, pad)]
    for name, lines in values:
        if len(lines) > 1:
            yield [f"{pad}{name} = {lines[0]}", *lines[1:]]


def _aligned(pairs: Sequence[tuple[str, str]], pad: str) -> Iterator[str]:
    widest = max((len(name) for name, _ in pairs), default=0)
    return (f"{pad}{name:<{widest}} = {value}" for name, value in pairs)


def _value(value: Value, depth: int) -> list[str]:
    """Lines of a value at a depth; the first is without indentation."""
    match value:
        case Call(function, arguments):
            *first, last = (_value(one, depth) for one in arguments)
            before = "".join(f"{one}, " for (one,) in first)
            return _wrapped(f"{function}({before}", last, ")", depth)
        case Script(text):
            return _script(text)
        case Mapping():
            return _mapping(value, depth)
        case list() | tuple():
            return _sequence(value, depth)
    return [_word(value)]


def _word(value: Value) -> str:
    """A value of one line."""
    match value:
        case Expression(text):
            return text
        case Text():
            return _text(value)
        case str():
            return quoted(value)
        case bool():
            return str(value).lower()
        case int() | float():
            return f"{value:.15g}"
    raise AssertionError(f"HCL has no {value!r}")


def _wrapped(before: str, lines: list[str], after: str, depth: int) -> list[str]:
    if len(lines) == 1:
        return [f"{before}{lines[0]}{after}"]
    if lines[0].startswith("<<"):  # the mark that ends a script stands alone on its line
        return [f"{before}{lines[0]}", *lines[1:], f"{'  ' * depth}{after}"]
    return [f"{before}{lines[0]}", *lines[1:-1], f"{lines[-1]}{after}"]


def _text(value: Text) -> str:
    inner = (
        f"${{{one.text}}}" if isinstance(one, Expression) else quoted(one)[1:-1]
        for one in value.pieces
    )
    return f'"{"".join(inner)}"'


def _script(value: Text) -> list[str]:
    text = "".join(
        f"${{{one.text}}}" if isinstance(one, Expression) else _literal(one) for one in value.pieces
    )
    mark = "EOT"
    while f"\n{mark}\n" in text:
        mark += "T"
    return [f"<<{mark}", *text.removesuffix("\n").split("\n"), mark]


def _mapping(value: Mapping[str, Value], depth: int) -> list[str]:
    if not value:
        return ["{}"]
    pad = "  " * (depth + 1)
    lines = ["{"]
    short: list[tuple[str, str]] = []
    for name, one in value.items():
        key = _key(name)
        inner = _value(one, depth + 1)
        if len(inner) == 1:
            short.append((key, inner[0]))
            continue
        lines += [*_aligned(short, pad), f"{pad}{key} = {inner[0]}", *inner[1:]]
        short = []
    return [*lines, *_aligned(short, pad), f"{'  ' * depth}}}"]


def _sequence(value: Sequence[Value], depth: int) -> list[str]:
    inner = [_entry(one, depth + 1) for one in value]
    flat = all(len(one) == 1 for one in inner)
    line = f"[{', '.join(one[0] for one in inner)}]"
    if flat and (len(inner) <= 1 or len(line) + 2 * depth <= LIST_WIDTH):
        return [line]
    if len(inner) == 1:  # one thing that takes several lines is hugged by its brackets
        only = _value(value[0], depth)
        return [f"[{only[0]}", *only[1:-1], f"{only[-1]}]"]
    pad = "  " * (depth + 1)
    lines = ["["]
    for *before, last in inner:
        first, *rest = [*before, f"{last},"]
        lines += [f"{pad}{first}", *rest]
    return [*lines, f"{'  ' * depth}]"]


def _entry(value: Value, depth: int) -> list[str]:
    """An entry of a list: a small mapping on one line."""
    lines = _value(value, depth)
    if not isinstance(value, Mapping) or any(isinstance(one, Mapping) for one in value.values()):
        return lines
    pairs = [f"{_key(name)} = {' '.join(_value(one, depth))}" for name, one in value.items()]
    line = f"{{ {', '.join(pairs)} }}"
    fits = len(line) + 2 * depth <= WIDTH and len(lines) == len(value) + 2
    return [line] if fits else lines


def _key(name: str) -> str:
    return name if _NAME.fullmatch(name) else quoted(name)
