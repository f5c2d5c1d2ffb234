"""A schema file that cannot be read is an error that names the file, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from tabular.errors import InputError
from tabular.synth import Synthesizer, TableSchema


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.yaml", "columns:\n  a: numeric\0\n"),
        ("s.yaml", "[" * 5000),
        ("s.yaml", "{a: " * 3000),
        ("s.yaml", "columns: {a: {role: date, minimum: 2024-13-45}}"),
        ("s.yaml", "version: 1" + "0" * 5000),
        ("s.yaml", "columns: [unclosed"),
        ("s.yaml", "columns: !!python/object:os.system {}"),
        ("s.json", "[" * 100_000),
        ("s.json", '{"a":' * 100_000),
        ("s.json", '{"version": 1' + "0" * 5000 + "}"),
        ("s.json", "{"),
    ],
)
def test_unreadable_schemas_are_input_errors(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        TableSchema.load(path)
    assert str(caught.value.where).startswith(str(path))


def test_times_that_yaml_reads_are_kept_in_the_model(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "columns:\n"
        "  d: {role: date, minimum: 2024-01-10}\n"
        "  t: {role: datetime, maximum: 2024-01-10 12:00:00}\n"
        "  z: {role: datetime, maximum: 2024-01-10T12:00:00Z}\n"
    )
    days = pa.array([19723 + i % 30 for i in range(300)], pa.int32()).cast(pa.date32())
    table = pa.table(
        {
            "d": days,
            "t": days.cast(pa.timestamp("s")),
            "z": days.cast(pa.timestamp("s")).cast(pa.timestamp("s", "UTC")),
        }
    )
    model = Synthesizer(schema=path).fit(table)
    model.save(tmp_path / "m.model")
    drawn = Synthesizer.load(tmp_path / "m.model").sample(100)
    assert str(min(drawn["d"].to_pylist())) >= "2024-01-10"
    for name in ("t", "z"):
        assert str(max(drawn[name].to_pylist())) <= "2024-01-10 12:00:00"
