"""Free text without the people in it.

A sentence or a name is unique, so a copied one is a leak. Only words that many rows share are
kept; every other word becomes a mask of letters and digits of the same shape, and a drawn row
gets the mask filled with random ones. Reads like nonsense, has the right length and form.
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tabular.synth.engines import RawRandom

_WORD = re.compile(r"\w+")
_LOWER, _UPPER, _DIGIT = "\ue000", "\ue001", "\ue002"
_ALPHABETS = {
    _LOWER: "abcdefghijklmnopqrstuvwxyz",
    _UPPER: "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    _DIGIT: "0123456789",
}


def mask(column: pa.Array, floor: int) -> pa.Array:
    """Replaces all words that fewer than `floor` rows contain by their shape.

    Args:
        column: strings, maybe missing.
        floor: rows a word needs to be kept.
    """
    values = column.cast(pa.string()).to_pylist()
    rows_with: Counter[str] = Counter()
    for value in values:
        if value is not None:
            rows_with.update(set(_WORD.findall(value)))
    shapes: dict[str, str] = {}

    def shaped(match: re.Match[str]) -> str:
        word = match.group()
        if rows_with[word] >= floor:
            return word
        return shapes.setdefault(word, "".join(map(_shape, word)))

    masked = [None if value is None else _WORD.sub(shaped, _clean(value)) for value in values]
    return pa.array(masked, pa.string())


def fill(column: pa.Array, *key: int) -> pa.Array:
    """Fills the masks of a drawn column with random letters and digits.

    Args:
        column: masks as made by `mask`.
        key: names the block's randomness; the first rows come out alike however many follow.
    """
    values = column.to_pylist()
    lengths = [0 if value is None else len(value) for value in values]
    joined = "".join(value for value in values if value is not None)
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32).copy()
    for stream, (placeholder, alphabet) in enumerate(_ALPHABETS.items()):
        _fill_one(points, placeholder, alphabet, RawRandom(*key, stream))
    filled = points.tobytes().decode("utf-32-le", "surrogatepass")
    ends = np.cumsum(lengths).tolist()
    return pa.array(
        [
            None if value is None else filled[end - length : end]
            for value, length, end in zip(values, lengths, ends, strict=True)
        ],
        pa.string(),
    )


def _fill_one(
    points: npt.NDArray[np.uint32], placeholder: str, alphabet: str, random: RawRandom
) -> None:
    at = np.flatnonzero(points == ord(placeholder))
    if len(at):
        drawn = random.uint32(len(at)).astype(np.uint64) * np.uint64(len(alphabet))
        points[at] = (drawn >> np.uint64(32)).astype(np.uint32) + np.uint32(ord(alphabet[0]))


def _clean(value: str) -> str:
    """The text without characters that would look like masks."""
    return re.sub(f"[{_LOWER}-{_DIGIT}]", "?", value)


def _shape(character: str) -> str:
    if character.isdigit():
        return _DIGIT
    return _UPPER if character.isupper() else _LOWER if character.isalpha() else character
