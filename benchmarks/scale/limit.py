"""The limit of generation: writing rows that are drawn already."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from tabular.synth import Synthesizer
from tabular.synth.tables import TableWriter


def drawn(model: Synthesizer, rows: int) -> list[pa.RecordBatch]:
    """Some rows to be written again and again."""
    return list(model._batches(min(rows, 1 << 20), 0, None, 0, dictionary=True))


def write_again(
    target: Path | BinaryIO, model: Synthesizer, batches: list[pa.RecordBatch], rows: int
) -> None:
    """Write so many rows."""
    left = rows
    with TableWriter(target, model.schema, format="parquet") as writer:
        while left:
            for batch in batches:
                piece = batch.slice(0, left)
                writer.write(piece)
                left -= piece.num_rows
