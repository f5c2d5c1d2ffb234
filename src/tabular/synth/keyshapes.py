"""What the keys of a column look like: separators, common words, and runs of characters.

A made key should pass where a real one does, so it keeps what all keys share (``CUST-``, ``@``, the
version of a UUID) and is free in the rest. Shapes are told apart by separators and by the length
of each run, so that keys of two shapes are never equal.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Self

from tabular.errors import ModelFileError

MOST_SHAPES = 32
"""Shapes that are kept, the most frequent ones."""

MOST_FORMS = 16
"""Divisions of keys by separators and kinds of runs, the most frequent ones."""

MOST_WORDS = 64
"""Words that may stand in one place of a key; where there are more, they are spelt afresh."""

SUPPORT = 50
"""Keys of a shape from which on the characters of each place are told from those of others."""

ROOM = 16
"""Keys that a shape has room for, for each real one of it, as far as its runs allow."""

_RUN = "\0"
"""Marks a piece as a run, of the kind that follows; else it is a separator."""

_COVERED = 0.9
_SOME = 0.5
_LONGEST = 100_000
_LOWER, _UPPER = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = "0123456789"
_HEX = "0123456789abcdef"

_FINE = re.compile(r"(?P<L>[^\W\d_]+)|(?P<D>\d+)|[\W_]+")
_COARSE = re.compile(r"(?P<A>[^\W_]+)|[\W_]+")
_WHOLE = re.compile(r"(?P<W>(?s:.+))")

_SCATTERED = 4
_TRIED = 2000
"""Keys, about, that it is tried on how to divide all."""

Cell = tuple[str, ...]
"""What may stand in one place of a key, all of one length; a single one always does."""


@dataclass(frozen=True)
class Shape:
    """One form of key.

    Args:
        cells: what may stand in each place, from left to right.
        count: real keys of this shape.
    """

    cells: tuple[Cell, ...]
    count: int

    @property
    def space(self) -> int:
        """Different keys of this shape."""
        return prod(len(cell) for cell in self.cells)

    def to_dict(self) -> dict[str, Any]:
        """The shape as JSON-able data; alphabets as one text each."""
        cells = [
            "".join(cell) if all(len(word) == 1 for word in cell) else list(cell)
            for cell in self.cells
        ]
        return {"count": self.count, "cells": cells}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            ModelFileError: cells are empty, repeat something, or have words of several lengths.
        """
        cells = tuple(tuple(str(word) for word in cell) for cell in data["cells"])
        for cell in cells:
            if not cell or len({len(w) for w in cell}) > 1 or len(set(cell)) < len(cell):
                raise ModelFileError("a key column is damaged: its cells")
        if int(data["count"]) < 1 or sum(len(cell[0]) for cell in cells) > _LONGEST:
            raise ModelFileError("a key column is damaged: its shapes")
        return cls(cells, int(data["count"]))


@dataclass(frozen=True)
class Spill:
    """The form of keys for which the shapes have no room: one run is longer than in any of them.

    Args:
        before: cells before that run.
        alphabet: characters of the run.
        width: its length, at least.
        leading: whether it may begin with the first character of the alphabet.
        after: cells after it.
    """

    before: tuple[Cell, ...]
    alphabet: str
    width: int
    leading: bool
    after: tuple[Cell, ...]

    def to_dict(self) -> dict[str, Any]:
        """The form as JSON-able data."""
        return {
            "before": Shape(self.before, 1).to_dict()["cells"],
            "alphabet": self.alphabet,
            "width": self.width,
            "leading": self.leading,
            "after": Shape(self.after, 1).to_dict()["cells"],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            ModelFileError: too few characters or too many places.
        """
        alphabet, width = str(data["alphabet"]), int(data["width"])
        if len(set(alphabet)) < max(2, len(alphabet)) or not 0 < width <= _LONGEST:
            raise ModelFileError("a key column is damaged: its alphabet")
        before, after = (
            Shape.from_dict({"cells": data[side], "count": 1}).cells for side in ("before", "after")
        )
        return cls(before, alphabet, width, bool(data["leading"]), after)


@dataclass(frozen=True)
class Shapes:
    """The shapes of a column's keys, the most frequent first, and what comes after them."""

    shapes: tuple[Shape, ...]
    spill: Spill

    @classmethod
    def learn(cls, keys: Sequence[str], floor: int) -> Self:
        """Learns from keys.

        Args:
            keys: as in the table.
            floor: keys that must share a separator or a word for it to be kept.
        """
        keys = [key for key in keys if key] or [_DIGITS[:8]]
        forms = _forms(keys, floor)
        found = [(form, shape) for form in forms for shape in form.shapes()]
        found.sort(key=lambda pair: -pair[1].count)
        return cls(tuple(shape for _, shape in found[:MOST_SHAPES]), found[0][0].spill())


class _Form:
    """Keys of the same separators.

    Args:
        pieces: separators, and for each run its kind.
        runs: of each key, its runs.
        floor: as for `Shapes.learn`.
    """

    def __init__(self, pieces: Sequence[str], runs: list[tuple[str, ...]], floor: int) -> None:
        self._kinds = [piece[1:] for piece in pieces if piece.startswith(_RUN)]
        self._pieces = pieces
        columns = list(zip(*runs, strict=True))
        self._words = [_common(column, floor) for column in columns]
        self._runs = [run for run in runs if self._made_of_words(run)]
        if not self._runs:
            self._words, self._runs = [() for _ in columns], runs
        self._alphabets = [
            _widened("".join(column), kind)
            for column, kind in zip(columns, self._kinds, strict=True)
        ]
        self._zero = [any(len(w) > 1 and w[0] == "0" for w in column) for column in columns]
        self._widest = [max(map(len, column)) for column in columns]

    def _made_of_words(self, run: tuple[str, ...]) -> bool:
        return all(not words or word in words for word, words in zip(run, self._words, strict=True))

    def shapes(self) -> list[Shape]:
        """The shapes of this form, by the lengths of the runs."""
        members: dict[tuple[int, ...], list[tuple[str, ...]]] = {}
        for run in self._runs:
            members.setdefault(tuple(map(len, run)), []).append(run)
        often = sorted(members.items(), key=lambda item: -len(item[1]))[:MOST_SHAPES]
        return [self._shape(lengths, runs) for lengths, runs in often]

    def _shape(self, lengths: tuple[int, ...], runs: list[tuple[str, ...]]) -> Shape:
        wide = _placed(
            self._pieces, [self._free(place, length) for place, length in enumerate(lengths)]
        )
        if len(runs) < SUPPORT:
            return Shape(wide, len(runs))
        columns = list(zip(*runs, strict=True))
        seen = [
            self._free(place, length)
            if self._words[place]
            else [tuple(sorted(set(characters))) for characters in zip(*column, strict=True)]
            for place, (length, column) in enumerate(zip(lengths, columns, strict=True))
        ]
        cells = list(_placed(self._pieces, seen))
        space = prod(map(len, cells))
        for back in range(len(cells) - 1, -1, -1):
            if space >= ROOM * len(runs):
                break
            wider = tuple(sorted({*cells[back], *wide[back]}))
            space = space // len(cells[back]) * len(wider)
            cells[back] = wider
        return Shape(tuple(cells), len(runs))

    def _free(self, place: int, length: int) -> list[Cell]:
        words = tuple(word for word in self._words[place] if len(word) == length)
        if words:
            return [words]
        alphabet = self._alphabets[place]
        first = alphabet if self._zero[place] or length == 1 else alphabet.lstrip("0")
        return [tuple(first)] + [tuple(alphabet)] * (length - 1)

    def spill(self) -> Spill:
        """The form of further keys: the longest free run, or else the last one, gets longer."""
        usual = Counter(tuple(map(len, run)) for run in self._runs).most_common(1)[0][0]
        free = [not words for words in self._words]
        places = range(len(usual))
        place = max(places, key=lambda p: (free[p], self._kinds[p] != "L", usual[p], p))
        cells = [self._free(p, length) for p, length in enumerate(usual)]
        at = [i for i, piece in enumerate(self._pieces) if piece.startswith(_RUN)][place]
        before = _placed(self._pieces[:at], cells[:place])
        after = _placed(self._pieces[at + 1 :], cells[place + 1 :])
        alphabet = self._alphabets[place]
        leading = self._zero[place] or not alphabet.startswith("0")
        return Spill(before, alphabet, self._widest[place] + 1, leading, after)


def _placed(pieces: Sequence[str], runs: Sequence[Sequence[Cell]]) -> tuple[Cell, ...]:
    """Separators and the cells of runs, in their order."""
    found: list[Cell] = []
    waiting = iter(runs)
    for piece in pieces:
        found.extend(next(waiting) if piece.startswith(_RUN) else [(piece,)])
    return tuple(found)


def _forms(keys: Sequence[str], floor: int) -> list[_Form]:
    """The keys by separators, in the finest division that few forms suffice for."""
    some = keys[:: max(1, len(keys) // _TRIED)]
    need = max(1, floor * len(some) // len(keys))
    tried = {pattern: _grouped(some, pattern, need) for pattern in (_FINE, _COARSE)}
    shares = {pattern: _share(groups) / len(some) for pattern, groups in tried.items()}
    shapes = {pattern: _lengths(groups) for pattern, groups in tried.items()}
    # Where runs of letters and of digits alternate by chance they are one run of both.
    scattered = shapes[_FINE] >= _SCATTERED * shapes[_COARSE]
    better = shares[_COARSE] > shares[_FINE] and shares[_FINE] < _COVERED
    pattern = _COARSE if better or (scattered and shares[_COARSE] >= _COVERED) else _FINE
    groups = _grouped(keys, pattern, floor)
    if _share(groups) < _SOME * len(keys):
        groups = _grouped(keys, _WHOLE, 1)
    return [_Form(pieces, runs, floor) for pieces, runs in groups.items()]


def _grouped(
    keys: Sequence[str], pattern: re.Pattern[str], floor: int
) -> dict[tuple[str, ...], list[tuple[str, ...]]]:
    """Runs of the keys by their separators and kinds; the most frequent such forms."""
    groups: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for key in keys:
        pieces, runs = _divided(key, pattern)
        groups.setdefault(pieces, []).append(runs)
    often = sorted(groups.items(), key=lambda item: -len(item[1]))[:MOST_FORMS]
    return {pieces: runs for pieces, runs in often if len(runs) >= floor and runs[0]}


def _lengths(groups: Mapping[tuple[str, ...], list[tuple[str, ...]]]) -> int:
    """Different lengths of runs."""
    return sum(len({tuple(map(len, run)) for run in runs}) for runs in groups.values())


def _share(groups: Mapping[tuple[str, ...], list[tuple[str, ...]]]) -> int:
    return sum(map(len, groups.values()))


def _divided(key: str, pattern: re.Pattern[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    pieces, runs = [], []
    for match in pattern.finditer(key):
        if match.lastgroup:
            pieces.append(_RUN + match.lastgroup)
            runs.append(match.group())
        else:
            pieces.append(match.group())
    return tuple(pieces), tuple(runs)


def _common(column: Sequence[str], floor: int) -> tuple[str, ...]:
    """The words of a place, where few different ones are nearly all there is."""
    often = [(w, n) for w, n in Counter(column).most_common(MOST_WORDS + 1) if n >= floor]
    if len(often) > MOST_WORDS or sum(n for _, n in often) < _COVERED * len(column):
        return ()
    return tuple(word for word, _ in often)


def _widened(characters: str, kind: str) -> str:
    """All characters of the sorts that occur, in order; at least two."""
    seen = set(characters)
    if seen <= set(_DIGITS):
        return _DIGITS
    if kind != "L" and seen <= set(_HEX) and seen & set(_DIGITS):
        return _HEX
    for sort in (_DIGITS, _LOWER, _UPPER):
        if seen & set(sort):
            seen |= set(sort)
    return "".join(sorted(seen if len(seen) > 1 else seen | set(_LOWER)))
