"""`profile` on files, as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Answer, on_terminal, run


def profile(home: Path, *words: str | Path) -> Answer:
    return run("profile", *map(str, words), home=home)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    rows = [f"{number},{'yes' if number % 3 else 'no'},[red]{number % 2}" for number in range(90)]
    path.write_text("\n".join(["number,answer,[b]odd", *rows]) + "\n", encoding="utf-8")
    return path


def test_every_column_is_described(data, tmp_path):
    done = profile(tmp_path, data)
    assert done.code == 0, done.err
    assert "90 rows, 3 columns" in done.out
    assert "0 to 80" in done.out
    assert "Ranges are rounded" in done.out
    exact = profile(tmp_path, data, "--exact").out
    assert "0 to 89" in exact
    assert "rounded" not in exact
    assert "yes 67%, no 33%" in done.out
    assert "[b]odd" in done.out
    assert "[red]1 50%" in done.out
    assert "number: probably a key" in done.out


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_a_narrow_terminal_cuts_no_name(columns, tmp_path):
    path = tmp_path / "long.csv"
    name = "a_name_of_many_letters_as_exports_have"
    path.write_text(f"{name},b\n" + "1,2\n" * 30, encoding="utf-8")
    shown = on_terminal(columns, "profile", str(path), home=tmp_path)
    assert name in shown
    assert "…" not in shown


def test_json_is_one_document(data, tmp_path):
    found = profile(tmp_path, data, "--json").json
    assert found["rows"] == 90
    assert [column["role"] for column in found["columns"]] == ["id", "categorical", "categorical"]


def test_a_file_that_is_no_table_is_named(tmp_path):
    path = tmp_path / "data.parquet"
    path.write_bytes(b"not parquet")
    done = profile(tmp_path, path)
    assert done.code == 1
    assert "data.parquet" in done.err
    assert "Traceback" not in done.err
