"""Flags that the commands on tables share, so that each means the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tabular.cli.bars import bar

EngineFlag = Annotated[str, typer.Option("--engine", help="Synthesizer engine: trees or bayes.")]
PresetFlag = Annotated[
    str, typer.Option("--preset", help="Privacy preset: fidelity, balanced or private.")
]
SchemaFlag = Annotated[
    Path | None,
    typer.Option("--schema", help="Schema file (YAML or JSON): roles, ranges, constraints."),
]
ModelSeedFlag = Annotated[int, typer.Option("--seed", min=0, help="Part of every sample's seed.")]
SeedFlag = Annotated[int, typer.Option("--seed", min=0, help="Same seed, same rows.")]
WorkersFlag = Annotated[int, typer.Option("--workers", min=1, help="Columns fitted side by side.")]
RowsFlag = Annotated[int, typer.Option("--rows", "-n", min=0, help="Rows to draw.")]
WhereFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--where", help="Condition that every row fulfils, such as cut=Ideal; repeatable."
    ),
]
EncodingFlag = Annotated[str, typer.Option("--encoding", help="Encoding of the text file.")]
DelimiterFlag = Annotated[
    str | None,
    typer.Option(
        "--delimiter",
        help="Between the cells of the CSV file; by default a comma, semicolon, tab or bar is "
        "recognized.",
    ),
]
FormatFlag = Annotated[
    str | None, typer.Option("--format", help="csv, parquet or jsonl; by default from the name.")
]


def fitted(
    data: Path,
    *,
    engine: str,
    preset: str,
    schema: Path | None,
    seed: int,
    workers: int,
    encoding: str,
    delimiter: str | None,
) -> Any:
    """Reads a table and fits a synthesizer on it, with a progress bar."""
    from tabular.synth.synthesizer import Synthesizer
    from tabular.synth.tables import read_table

    model = Synthesizer(engine, preset, schema, seed)
    table = read_table(data, encoding=encoding, delimiter=delimiter)
    with bar(f"fitting {data.name}") as progress:
        return model.fit(table, progress=progress, workers=workers)
