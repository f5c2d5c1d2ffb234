"""In which order columns are drawn, and which earlier ones a column may depend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tabular.errors import ModelFileError
from tabular.synth.encoding import Codec

MOST_FEATURES = 32
"""Features a column may depend on; wider tables keep those most related to the target."""

_SAMPLE_ROWS = 2000
_SAMPLE_CELLS = 1 << 21


def drawing_order(codecs: Sequence[Codec]) -> list[int]:
    """Columns by number of distinct values, widest last: easy ones then explain hard ones."""
    return sorted(range(len(codecs)), key=lambda column: codecs[column].size)


def read_order(meta: Mapping[str, Any], columns: int) -> list[int]:
    """The drawing order of a stored model.

    Args:
        meta: the engine's metadata, with the key ``order``.
        columns: number of columns.

    Raises:
        ModelFileError: it does not name each column once.
    """
    order = meta.get("order") if isinstance(meta, Mapping) else None
    if not isinstance(order, list) or any(type(column) is not int for column in order):
        raise ModelFileError("the drawing order is no list of columns")
    if sorted(order) != list(range(columns)):
        raise ModelFileError("the drawing order does not name each column once")
    return order


def related(codes: npt.NDArray[np.uint8]) -> Callable[[int], npt.NDArray[np.int64]]:
    """A function from rank to the features its tree may use.

    All earlier columns, or in wide tables those whose ranks correlate most with the target's:
    searching thousands of columns in every node would cost the square of the width.
    """
    rows, width = codes.shape
    if width <= MOST_FEATURES:
        return np.arange
    taken = min(rows, _SAMPLE_ROWS, max(256, _SAMPLE_CELLS // width))
    sample = codes[np.arange(taken) * rows // taken].astype(np.float32)
    sample -= sample.mean(axis=0)
    spread = np.sqrt((sample * sample).sum(axis=0))
    sample /= np.where(spread > 0, spread, 1)
    by_column = np.ascontiguousarray(sample.T)

    def of(rank: int) -> npt.NDArray[np.int64]:
        strength = np.abs(by_column[:rank] @ by_column[rank])
        strongest = np.argsort(-strength, kind="stable")[:MOST_FEATURES]
        return np.sort(strongest).astype(np.int64)

    return of
