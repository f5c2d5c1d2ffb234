"""Makes the keys that are strings, from their shapes and the numbers of their rows.

Rows take turns between the shapes, so that each row knows how many before it had its shape, and
with that its own place among the shape's keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tabular.synth.keyshapes import Cell, Shape, Shapes, Spill
from tabular.synth.permute import LARGEST, Ints, Mask, Permutation, mixed

PERIOD = 1024
"""Rows after which the turns of the shapes begin anew."""

UNLIKELY = 1 << 40
"""Keys that a shape has room for, for each real one, from which on none is met by chance."""

Points = npt.NDArray[np.uint32]
Known = npt.NDArray[np.uint32]


def known_keys(keys: Sequence[str]) -> Known:
    """Short hashes of keys, sorted: enough to make another key, too little to be one."""
    by_length: dict[int, list[str]] = {}
    for key in keys:
        by_length.setdefault(len(key), []).append(key)
    found = [
        _hashes(_points_of("".join(same)).reshape(-1, length))
        for length, same in by_length.items()
        if length
    ]
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.uint32)


def met_by_chance(shapes: Shapes, keys: int) -> bool:
    """Whether a made key might be one of so many real ones."""
    return any(shape.space < keys * UNLIKELY for shape in shapes.shapes)


class KeyStrings:
    """The keys of one sample.

    Args:
        shapes: what they look like.
        known: hashes of keys that must not come out.
        seed: picks the order.
    """

    def __init__(self, shapes: Shapes, known: Known, seed: int) -> None:
        self._shapes = shapes
        self._known = known
        self._seed = seed
        self._turns = _turns([shape.count for shape in shapes.shapes])
        self._each = np.bincount(self._turns, minlength=len(shapes.shapes))
        self._before = np.zeros(PERIOD, np.int64)
        for shape in range(len(shapes.shapes)):
            at = np.flatnonzero(self._turns == shape)
            self._before[at] = np.arange(len(at))
        self._makers = [_Maker(shape, seed, i) for i, shape in enumerate(shapes.shapes)]

    def make(self, number: Ints) -> pa.Array:
        """The keys of these rows, in the order of the rows."""
        if not len(number):
            return pa.array([], pa.string())
        turn, place = np.divmod(number, PERIOD)
        shape_of = self._turns[place]
        rank = turn * self._each[shape_of] + self._before[place]
        parts: list[pa.Array] = []
        order: list[Ints] = []
        spilt = np.zeros(len(number), bool)
        for shape, maker in enumerate(self._makers):
            at = np.flatnonzero(shape_of == shape)
            if len(at):
                points, over = maker.make(rank[at], self._is_known)
                spilt[at[over]] = True
                parts.append(_strings(points))
                order.append(at[~over])
        rest = np.flatnonzero(spilt)
        if len(rest):
            parts.append(self._spilt(number[rest]))
            order.append(rest)
        if len(parts) == 1:
            return parts[0]
        back = np.argsort(np.concatenate(order), kind="stable")
        return pa.concat_arrays(parts).take(pa.array(back))

    def _is_known(self, points: Points) -> Mask:
        if not len(self._known):
            return np.zeros(len(points), bool)
        hashes = _hashes(points)
        at = np.searchsorted(self._known, hashes)
        return np.asarray(self._known.take(at, mode="clip") == hashes)

    def _spilt(self, number: Ints) -> pa.Array:
        """Keys with the row's own number in a run that is longer than any of the shapes'."""
        spill = self._shapes.spill
        before = self._side(spill.before, number, 0)
        after = self._side(spill.after, number, 1)
        runs = _numerals(spill, number, self._seed)
        rows = zip(before, runs, after, strict=True)
        return pa.array([head + run + tail for head, run, tail in rows], pa.string())

    def _side(self, cells: Sequence[Cell], number: Ints, side: int) -> list[str]:
        tables = [_table(cell) for cell in cells]
        digits = _filled([len(table) for table in tables], number, self._seed * 4096 - 1 - side)
        texts: list[str] = _strings(
            _spelt(tables, dict(enumerate(digits)), len(number))
        ).to_pylist()
        return texts


class _Maker:
    """The keys of one shape."""

    def __init__(self, shape: Shape, seed: int, position: int) -> None:
        self._tables = [_table(cell) for cell in shape.cells]
        self._key = seed * 4096 + position
        self._counted: list[int] = []
        space = 1
        for place in range(len(shape.cells) - 1, -1, -1):
            size = len(shape.cells[place])
            if size > 1 and space * size <= LARGEST:
                space *= size
                self._counted.append(place)
        self._permutation = Permutation(space, seed, position)

    def make(self, rank: Ints, known: Callable[[Points], Mask]) -> tuple[Points, Mask]:
        """Keys at these places of the shape, and which places have none."""
        over = rank >= self._permutation.size
        payload, bad = self._permutation.avoiding(rank[~over], lambda p: known(self._points(p)))
        over[~over] = bad
        return self._points(payload[~bad]), over

    def _points(self, payload: Ints) -> Points:
        """The key of each number: different ones, for some cells spell the number itself."""
        free = [p for p, t in enumerate(self._tables) if len(t) > 1 and p not in self._counted]
        digits = _filled([len(self._tables[p]) for p in free], payload, self._key)
        chosen = dict(zip(free, digits, strict=True))
        rest = payload.astype(np.uint64)
        for place in self._counted:
            rest, chosen[place] = _divided(rest, len(self._tables[place]))
        return _spelt(self._tables, chosen, len(payload))


def _spelt(tables: Sequence[Points], chosen: Mapping[int, Ints], rows: int) -> Points:
    widths = [table.shape[1] for table in tables]
    points = np.empty((sum(widths), rows), np.uint32)
    at = 0
    for place, (table, width) in enumerate(zip(tables, widths, strict=True)):
        for column in range(width):
            letters = table[:, column]
            points[at + column] = letters.take(chosen[place]) if place in chosen else letters[0]
        at += width
    return points.T


def _divided(x: npt.NDArray[np.uint64], by: int) -> tuple[npt.NDArray[np.uint64], Ints]:
    """Quotient and remainder; `divmod` takes several times as long."""
    if by & (by - 1) == 0:
        return x >> np.uint64(by.bit_length() - 1), (x & np.uint64(by - 1)).view(np.int64)
    whole = x // np.uint64(by)
    return whole, (x - whole * np.uint64(by)).view(np.int64)


def _filled(sizes: Sequence[int], payload: Ints, key: int) -> list[Ints]:
    """For each size a number below it, at random but the same for the same payload."""
    found: list[Ints] = []
    left, stream = 1, 0
    bits = np.zeros(0, np.uint64)
    for size in sizes:
        if left < size << 16:
            bits = mixed(mixed(payload.astype(np.uint64), key), key + 0x5851F42D4C957F2D + stream)
            left, stream = 1 << 64, stream + 1
        bits, digit = _divided(bits, size)
        found.append(digit)
        left //= size
    return found


def _table(cell: Cell) -> Points:
    """The words of a cell as a matrix of characters."""
    return _points_of("".join(cell)).reshape(len(cell), -1)


def _points_of(text: str) -> Points:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _strings(points: Points) -> pa.Array:
    """The rows of a matrix of characters as strings."""
    rows, width = points.shape
    if not points.size:
        return pa.array([""] * rows, pa.string())
    if points.max() < 128:
        offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
        data = np.ascontiguousarray(points.astype(np.uint8))
        return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(data))
    text = np.ascontiguousarray(points).tobytes().decode("utf-32-le", "surrogatepass")
    return pa.array([text[at : at + width] for at in range(0, len(text), width)], pa.string())


def _hashes(points: Points) -> Known:
    total = np.full(len(points), points.shape[1], np.uint64)
    for column in range(points.shape[1]):
        total = (total ^ points[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        total ^= total >> np.uint64(29)
    return (mixed(total, 0) >> np.uint64(32)).astype(np.uint32)


def _turns(counts: Sequence[int]) -> Ints:
    """Whose turn it is at each place of a period: in proportion, in mixed order."""
    share = np.array(counts, np.float64) * (PERIOD / sum(counts))
    each = np.floor(share).astype(np.int64)
    short = PERIOD - int(each.sum())
    each[np.argsort(each - share, kind="stable")[:short]] += 1
    return np.repeat(np.arange(len(each)), each)[Permutation(PERIOD, 0).at(np.arange(PERIOD))]


def _numerals(spill: Spill, number: Ints, seed: int) -> list[str]:
    """Row numbers as words in an alphabet, of a width or more, in mixed order."""
    base = len(spill.alphabet)
    first = 0 if spill.leading else base ** (spill.width - 1)
    space = min(base**spill.width - first, LARGEST)
    permutation = Permutation(space, seed, 1 << 20)
    inside = number < space
    value = number.copy()
    value[inside] = permutation.at(number[inside])
    return [_numeral(one + first, spill) for one in value.tolist()]


def _numeral(value: int, spill: Spill) -> str:
    base = len(spill.alphabet)
    found: list[str] = []
    while value or len(found) < spill.width:
        value, digit = divmod(value, base)
        found.append(spill.alphabet[digit])
    return "".join(reversed(found))
