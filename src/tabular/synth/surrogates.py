"""Strings that look like those of a column, and are none of them.

A name or a sentence of common words may still be one person's alone, so what is kept are words,
never strings: each word of a made string comes from another row's string, from the same place in
it; a word that few rows hold is spelt afresh, letter by letter. What comes out is compared with
every string of the column, and made anew until it is none of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tabular.synth.engines import RawRandom
from tabular.synth.spelling import DIGITS, LETTERS, OTHER, Speller, kind_of

_TOKEN = re.compile(r"[^\W\d_]+|\d+|[\W_]+")
_PLACES = 16
"""Places from a string's start that words are told apart by; those further on are one place."""

_NOTHING = "aaaaaaaa"
"""What strings are like where all of the column are empty."""

_LEAST_GROUP = 20
"""Strings that must reach a place for its words to come from there alone."""

_NEW, _MIX, _RESPELL, _RESPELL_ALL = 3, 6, 10, 12
"""Attempts up to which a string is mixed until it is new; mixed; mixed, but for its longest word;
spelt afresh. After that it gets longer, until it is none of the column's."""

_RESPELL_WORDS = 4
"""Times a word is spelt again because it is a rare one of the column."""

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Tokens:
    """Strings in pieces: letters, digits, and what is between them, one after another.

    Args:
        words: the different pieces.
        ids: for each piece of each string, its position in `words`.
        starts: of each string in `ids`, and the end of the last.
    """

    words: list[str]
    ids: Ints
    starts: Ints

    @classmethod
    def of(cls, texts: Iterable[str]) -> _Tokens:
        known: dict[str, int] = {}
        ids: list[int] = []
        starts = [0]
        for text in texts:
            ids.extend(known.setdefault(piece, len(known)) for piece in _TOKEN.findall(text))
            starts.append(len(ids))
        return cls(list(known), np.array(ids, np.int64), np.array(starts, np.int64))

    def rows_with(self, rows: Ints) -> Ints:
        """For each of `words`, the rows whose string holds it, given each string's rows."""
        text = np.repeat(np.arange(len(rows)), np.diff(self.starts))
        once = np.unique(text * max(1, len(self.words)) + self.ids)
        text, word = np.divmod(once, max(1, len(self.words)))
        found = np.bincount(word, weights=rows[text], minlength=len(self.words))
        return found.astype(np.int64)


class Surrogates:
    """Makes strings like those of a column.

    The randomness comes from the strings themselves: who knows only what was made could else
    follow each word back to its row and put the strings together again.

    Args:
        texts: the rare strings.
        rows: how many rows hold each.
        kept: frequent strings, which add to what words are common.
        kept_rows: how many rows hold each.
        floor: rows that a word needs to be kept.
    """

    def __init__(
        self, texts: Sequence[str], rows: Ints, kept: Sequence[str], kept_rows: Ints, floor: int
    ) -> None:
        told = [(text, often) for text, often in zip(texts, rows.tolist(), strict=True) if text]
        also = [(text, often) for text, often in zip(kept, kept_rows.tolist(), strict=True) if text]
        known = [*told, *also] or [(_NOTHING, 0)]
        tokens = _Tokens.of(text for text, _ in known)
        words = tokens.words
        self._starts = tokens.starts[: (len(told) or len(known)) + 1]
        self._ids = tokens.ids[: self._starts[-1]]
        self._words = np.array(words, dtype=object)
        self._common = tokens.rows_with(np.array([often for _, often in known])) >= floor
        self._length = np.array([len(word) for word in words], np.int64)
        self._kind = np.array([kind_of(word) for word in words], np.int64)
        self._rare = {w for w, common in zip(words, self._common, strict=True) if not common}
        self._spellers = {
            kind: Speller([w for w in words if kind_of(w) == kind], kind, min(floor, len(known)))
            for kind in (LETTERS, DIGITS, OTHER)
        }
        self._group(floor)
        self._key = _secret(texts, kept)

    def _group(self, floor: int) -> None:
        """Sorts the pieces by kind and place; places that few strings reach are one."""
        sizes = np.diff(self._starts)
        place = np.arange(len(self._ids)) - np.repeat(self._starts[:-1], sizes)
        last = place >= np.repeat(sizes, sizes) - 1
        kind = self._kind[self._ids]
        group = (kind * (_PLACES + 1) + np.minimum(place, _PLACES)) * 2 + last
        groups = 6 * (_PLACES + 1)
        few = np.bincount(group, minlength=groups) < max(floor, _LEAST_GROUP)
        # What stands where few strings have anything comes from anywhere, or it were theirs.
        self._of = np.where(few[group], groups + kind, group)
        label = np.concatenate([group, groups + kind])
        self._members = np.argsort(label, kind="stable") % max(1, len(group))
        self._size = np.bincount(label, minlength=groups + 3)
        self._first = np.cumsum(self._size) - self._size

    def make(self, like: Ints, forbidden: pa.Array) -> pa.Array:
        """One string for each entry of `like`, none of them in `forbidden`, few of them equal.

        Args:
            like: positions of strings whose number of words and whose gaps are taken over.
            forbidden: strings that must not come out, nor with other case or outer blanks.
        """
        refused = _normal(forbidden)
        like = like % (len(self._starts) - 1)
        made: list[str] = [""] * len(like)
        taken: set[str] = set()
        todo = np.arange(len(like))
        attempt = 0
        while len(todo):
            found = self._attempt(like[todo], attempt)
            copied = pc.is_in(_normal(pa.array(found, refused.type)), value_set=refused)
            again = []
            for place, text, bad in zip(todo.tolist(), found, copied.to_pylist(), strict=True):
                if bad or (attempt < _NEW and text in taken):
                    again.append(place)
                else:
                    made[place] = text
                    taken.add(text)
            todo = np.array(again, np.int64)
            attempt += 1
        return pa.array(made, refused.type)

    def _attempt(self, like: Ints, attempt: int) -> list[str]:
        random = RawRandom(*self._key, attempt)
        sizes = np.diff(self._starts)[like]
        ends = np.cumsum(sizes)
        places = np.repeat(self._starts[like] - (ends - sizes), sizes) + np.arange(int(sizes.sum()))
        own = self._ids[places]
        ids = np.where(self._kind[own] == OTHER, own, self._mixed(places, random))
        spelt = ~self._common[ids]
        length = self._length[ids]
        if attempt >= _MIX:
            longest = _longest(length - 64 * (self._kind[ids] == OTHER), sizes, random)
            spelt[longest] = True
        if attempt >= _RESPELL:
            spelt[self._kind[ids] != OTHER] = True
        if attempt >= _RESPELL_ALL:
            length[longest] += 1 << min(attempt - _RESPELL_ALL, 20)
        pieces = self._words[ids]
        made = np.flatnonzero(spelt)
        if len(made):
            widen = 1 << (attempt - _MIX) if _MIX <= attempt < _RESPELL else 0
            pieces[made] = self._spell(ids[made], length[made], random, widen)
        flat = pieces.tolist()
        starts = ends - sizes
        return [
            "".join(flat[start:end])
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ]

    def _mixed(self, places: Ints, random: RawRandom) -> Ints:
        """For each piece, one from the same place of any string."""
        group = self._of[places]
        chosen = (random.uint32(len(places)) * self._size[group].astype(np.uint64)) >> np.uint64(32)
        return np.asarray(self._ids[self._members[self._first[group] + chosen.astype(np.int64)]])

    def _spell(
        self, ids: Ints, length: Ints, random: RawRandom, widen: int
    ) -> npt.NDArray[np.object_]:
        found = np.empty(len(ids), dtype=object)
        for kind, speller in self._spellers.items():
            at = np.flatnonzero(self._kind[ids] == kind)
            if widen and kind == DIGITS and len(at):
                found[at] = speller.near(self._words[ids[at]].tolist(), random, widen)
                continue
            for _ in range(_RESPELL_WORDS):
                if not len(at):
                    break
                found[at] = speller.spell(length[at], random)
                at = at[[kind == LETTERS and word in self._rare for word in found[at]]]
        return found


def _longest(length: Ints, sizes: Ints, random: RawRandom) -> Ints:
    """Position of the longest piece of each string, by lot where several are."""
    lot = length * 2.0 + random.uint32(len(length)) * 2.0**-32
    text = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((lot, text))
    return np.asarray(order[np.cumsum(sizes) - 1])


def _normal(texts: pa.Array) -> pa.Array:
    return pc.utf8_trim_whitespace(pc.utf8_lower(texts))


def _secret(*parts: Sequence[str]) -> tuple[int, ...]:
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        digest.update(repr(len(part)).encode())
        for text in part:
            digest.update(text.encode() + b"\0")
    return tuple(np.frombuffer(digest.digest(), "<u4").tolist())
