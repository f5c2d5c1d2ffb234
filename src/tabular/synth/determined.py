"""Finds columns that decide each other: a code and its name, a city and its country.

A tree with large leaves mixes what is rare: a country with fewer rows than a leaf would get its
neighbours' cities. Where one column decides another in every training row, the tree of the later
one is therefore split by the earlier one first (`growth.grow`), so that no pair is drawn that the
real table would contradict.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

_SAMPLE_ROWS = 2048

Codes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int32]


def decisive(target: Index, features: Mapping[int, Codes], floor: int) -> int | None:
    """The feature that decides the target, or else the finest one that the target decides.

    Args:
        target: position of the target's value for each training row.
        features: codes that tell the value, for each training row, by feature.
        floor: rows that a value must have to be evidence.

    Returns:
        The feature; None if none does.
    """
    sample = np.linspace(0, len(target) - 1, _SAMPLE_ROWS).astype(np.int64)
    for feature, codes in features.items():
        if _decides(codes, target, sample, floor):
            return feature
    decided = [
        feature for feature, codes in features.items() if _decides(target, codes, sample, floor)
    ]
    return max(decided, key=lambda one: int(features[one].max()), default=None)


def groups(codes: Codes, floor: int) -> Codes:
    """The highest code of each run of codes that has `floor` rows, but of the last run.

    Args:
        codes: of one feature, for each training row.
        floor: rows in a group, at least; the last one may take in a few codes more.
    """
    before = np.cumsum(np.bincount(codes))
    edges: list[int] = []
    done = 0
    for code, rows in enumerate(before):
        if rows - done >= floor and before[-1] - rows >= floor:
            edges.append(code)
            done = int(rows)
    return np.array(edges, np.uint8)


def _decides(
    one: npt.NDArray[np.integer],
    other: npt.NDArray[np.integer],
    sample: npt.NDArray[np.int64],
    floor: int,
) -> bool:
    """Whether equal values of one column have equal values of the other, and not by chance.

    Evidence are values with `floor` rows: they make up half of the table and have different
    values of the other column.
    """
    if not _constant_within(one[sample], other[sample]) or not _constant_within(one, other):
        return False
    rows = np.bincount(one)
    image = np.zeros(len(rows), other.dtype)
    image[one] = other
    frequent = rows >= floor
    enough = int(rows[frequent].sum()) * 2 >= len(one)
    return enough and len(np.unique(image[frequent])) > 1


def _constant_within(one: npt.NDArray[np.integer], other: npt.NDArray[np.integer]) -> bool:
    image = np.zeros(int(one.max()) + 1, other.dtype)
    image[one] = other
    return bool((image[one] == other).all())
