"""Words spelt afresh, letter by letter, so that they read like those of a column.

Each letter depends on the one before it alone: enough for Lorani to look like a name, too little
for it to be anybody's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tabular.synth.engines import RawRandom

LETTERS, DIGITS, OTHER = 0, 1, 2
"""Kinds of pieces of a string: a run of letters, one of digits, one of anything else."""

MOST_CHARACTERS = 256
"""Different characters used, the most frequent ones."""

_FEW_LETTERS = 5
_LONGEST_NUMBER = 17
_LOWER, _UPPER = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

Ints = npt.NDArray[np.int64]
Points = npt.NDArray[np.uint32]


def kind_of(piece: str) -> int:
    """The kind of a piece of a string."""
    if piece[0].isdecimal():
        return DIGITS
    return LETTERS if piece[0].isalnum() else OTHER


class Speller:
    """Spells words of one kind.

    Args:
        words: to learn from, each once.
        kind: theirs.
        floor: words that must hold a character for it to be used.
    """

    def __init__(self, words: Sequence[str], kind: int, floor: int) -> None:
        points = _points("".join(words))
        ends = np.cumsum([len(word) for word in words], dtype=np.int64)
        characters, code, counts = np.unique(points, return_inverse=True, return_counts=True)
        frequent = np.argsort(-counts, kind="stable")[:MOST_CHARACTERS]
        chosen = frequent[counts[frequent] >= floor]
        alphabet = np.union1d(characters[chosen], _points(_spare(words, kind, len(chosen))))
        self._alphabet = alphabet.astype(np.uint32)
        size = len(alphabet)
        rank = np.full(len(characters) + 1, -1)
        known = np.isin(characters, alphabet)
        rank[:-1][known] = np.searchsorted(alphabet, characters[known])
        self._learn(rank[code], ends, size)

    def _learn(self, code: Ints, ends: Ints, size: int) -> None:
        """Counts which character follows which; state `size` is the beginning of a word."""
        before = np.concatenate([[size], code[:-1]]) if len(code) else code
        before[ends[:-1][ends[:-1] < len(code)]] = size
        pair = (before >= 0) & (code >= 0)
        counts = np.bincount(before[pair] * size + code[pair], minlength=(size + 1) * size).reshape(
            size + 1, size
        )
        weight = counts + (counts.sum(axis=0) + 1.0) / (counts.sum() + size)
        share = np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True)
        share[:, -1] = 1.0
        self._share = (share + np.arange(size + 1)[:, None]).ravel()

    def spell(self, lengths: Ints, random: RawRandom) -> list[str]:
        """Words of these lengths, in characters."""
        size = len(self._alphabet)
        starts = np.cumsum(lengths) - lengths
        points = np.zeros(int(lengths.sum()), np.uint32)
        order = np.argsort(-lengths, kind="stable")
        descending = lengths[order]
        state = np.full(len(lengths), size)
        for place in range(int(lengths.max(initial=0))):
            active = order[: np.searchsorted(-descending, -place, side="left")]
            lot = random.uint32(len(active)) * 2.0**-32
            found = np.searchsorted(self._share, state[active] + lot, side="right")
            state[active] = np.minimum(found - state[active] * size, size - 1)
            points[starts[active] + place] = self._alphabet[state[active]]
        text = points.tobytes().decode("utf-32-le", "surrogatepass")
        return [
            text[a:b] for a, b in zip(starts.tolist(), (starts + lengths).tolist(), strict=True)
        ]

    def near(self, words: Sequence[str], random: RawRandom, widen: int) -> list[str]:
        """Numbers of as many digits as `words`, from a range around that of equally long ones.

        Args:
            words: digits.
            random: source of the lots.
            widen: times the range's width that it grows by at either end.
        """
        lengths = np.array([len(word) for word in words], np.int64)
        spelt = self.spell(lengths, random)
        lots = random.uint32(len(words))
        found = []
        numbers: dict[int, tuple[int, int]] = {}
        for word in words:
            value = int(word) if len(word) <= _LONGEST_NUMBER else 0
            low, high = numbers.get(len(word), (value, value))
            numbers[len(word)] = min(low, value), max(high, value)
        for word, other, lot in zip(words, spelt, lots.tolist(), strict=True):
            if len(word) > _LONGEST_NUMBER:
                found.append(other)
                continue
            low, high = numbers[len(word)]
            span = widen * (high - low + 1)
            first, last = max(0, low - span), min(10 ** len(word) - 1, high + span)
            found.append(f"{first + (lot * (last - first + 1) >> 32):0{len(word)}d}")
        return found


def _points(text: str) -> Points:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _spare(words: Sequence[str], kind: int, known: int) -> str:
    """Characters to use besides the known ones, where these are too few to hide anything."""
    if kind == DIGITS:
        return "0123456789"
    joined = "".join(words)
    lower, upper = any(map(str.islower, joined)), any(map(str.isupper, joined))
    if known >= (_FEW_LETTERS if lower or upper else 2):
        return ""
    if kind == OTHER:
        return "-." if not known else ""
    return (_LOWER if lower or not upper else "") + (_UPPER if upper else "")
