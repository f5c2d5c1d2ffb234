"""How many rows are drawn apart, so that processes share one sample and nobody can tell.

Parts begin where row groups do, and those where blocks do, whatever the number of processes.
So the rows of a part, and the bytes that they are in a file, depend on nothing but their place.
"""

from __future__ import annotations

GROUP_ROWS = 1 << 18
"""Rows of one Parquet row group; a multiple of the rows of any block."""


def partition(rows: int, part_rows: int) -> list[tuple[int, int]]:
    """First row and number of rows of each part.

    Args:
        rows: of the whole.
        part_rows: of a part; rounded up to whole row groups.
    """
    step = -(-max(1, part_rows) // GROUP_ROWS) * GROUP_ROWS
    return [(start, min(step, rows - start)) for start in range(0, rows, step)]
