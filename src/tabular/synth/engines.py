"""What an engine is, and how one is found.

The front class knows columns, files and conditions; an engine knows only bins. Third parties add
one through the entry-point group `inferloop_tabular.synthesizers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from tabular.errors import InputError, nearest
from tabular.synth.encoding import Codec

GROUP = "inferloop_tabular.synthesizers"
BLOCK_ROWS = 16384
LEAST_BLOCK_ROWS = 256
BLOCK_CELLS = 1 << 21
"""Rows and cells drawn together; part of what a seed means: a change of them changes samples."""

Progress = Callable[[float], None]
Allowed = Mapping[int, npt.NDArray[np.bool_]]
"""For conditioned columns, by position: which indices may be drawn (entry 0 is missing)."""


@dataclass(frozen=True)
class Encoded:
    """A table as engines see it.

    Args:
        codecs: one per column.
        index: rows of each column as positions in the codec's values, 0 is missing.
        codes: rows by columns, C-contiguous.
    """

    codecs: Sequence[Codec]
    index: Sequence[npt.NDArray[np.int32]]
    codes: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Preset:
    """The privacy of a model.

    Args:
        min_leaf: training rows that share a leaf, at least.
        floor: rows a category needs to appear at all.
        guard: which training rows must not be copied: none, those that are ``rare``, or all that
            are ``unique``.
    """

    min_leaf: int
    floor: int
    guard: Literal["none", "rare", "unique"]


PRESETS = {
    "fidelity": Preset(min_leaf=30, floor=5, guard="none"),
    "balanced": Preset(min_leaf=100, floor=10, guard="rare"),
    "private": Preset(min_leaf=250, floor=25, guard="unique"),
}


@dataclass
class Drawn:
    """One column of a drawn block: an index per row, and for smooth columns the number itself.

    Args:
        index: 0 is missing; for smooth columns the nearest distinct value.
        numbers: drawn numbers where they are not the distinct values themselves, else None.
    """

    index: npt.NDArray[np.intp]
    numbers: npt.NDArray[np.float64] | None = None


@dataclass
class Block:
    """A drawn block.

    Args:
        columns: one per codec, in the order of the table.
        kept: rows that the engine's own conditioning accepts, None for all.
        tied: positions of the columns that decide another one, or are decided by one: a cell of
            theirs cannot change alone.
    """

    columns: list[Drawn]
    kept: npt.NDArray[np.bool_] | None = None
    tied: frozenset[int] = frozenset()


def block_rows(columns: int) -> int:
    """Rows of a block in a table of that width: a power of two, fewer where it is wide.

    Args:
        columns: modelled columns.
    """
    fitting = BLOCK_CELLS // max(1, columns)
    return max(LEAST_BLOCK_ROWS, min(BLOCK_ROWS, 1 << (max(1, fitting).bit_length() - 1)))


class RawRandom:
    """Uniform 32-bit numbers from Philox: the same on every platform and numpy version.

    Args:
        key: whole numbers from 0 that name the stream: seeds, block, attempt.
    """

    def __init__(self, *key: int) -> None:
        self._bits = np.random.Philox(np.random.SeedSequence(key))

    def uint32(self, rows: int) -> npt.NDArray[np.uint32]:
        """`rows` uniform integers below 2**32."""
        return self._bits.random_raw((rows + 1) // 2).view(np.uint32)[:rows]


class Engine(Protocol):
    """Learns the joint distribution of encoded columns and draws from it."""

    def fit(
        self, table: Encoded, preset: Preset, *, progress: Progress | None = None, workers: int = 1
    ) -> None:
        """Learns from the real rows; uses no randomness."""

    def draw(self, random: RawRandom, rows: int, allowed: Allowed | None = None) -> Block:
        """Draws rows; with `allowed`, from the conditional distribution where it can."""

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """The fitted model as JSON-able metadata and arrays."""

    @classmethod
    def from_state(
        cls,
        codecs: Sequence[Codec],
        meta: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
    ) -> Self:
        """The inverse of `state`.

        Raises:
            ModelFileError: what is there cannot have been written by this engine.
        """


def engine_names() -> list[str]:
    """Names of the installed engines."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def engine_class(name: str) -> type[Engine]:
    """The engine of that name.

    Raises:
        InputError: no such engine is installed.
    """
    for point in entry_points(group=GROUP):
        if point.name == name:
            found: type[Engine] = point.load()
            return found
    known = engine_names()
    raise InputError(
        f"no synthesizer engine {name!r}",
        hint=f"{nearest(name, known)}installed: {', '.join(known)}",
    )


def preset_of(name: str) -> Preset:
    """The preset of that name.

    Raises:
        InputError: no such preset.
    """
    if name not in PRESETS:
        raise InputError(
            f"no preset {name!r}",
            hint=f"{nearest(name, PRESETS)}choose one of {', '.join(PRESETS)}",
        )
    return PRESETS[name]
