"""`evaluate` on files, as a user runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tests.cli.command import Answer, run


def evaluate(home: Path, *words: str | Path) -> Answer:
    return run("evaluate", *map(str, words), home=home)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The same population thrice: CSV, Parquet, and a holdout as CSV."""
    paths = {
        "real": tmp_path / "real.csv",
        "synthetic": tmp_path / "synthetic.parquet",
        "holdout": tmp_path / "holdout.csv",
    }
    for seed, path in enumerate(paths.values()):
        generator = np.random.default_rng(seed)
        size = np.round(generator.normal(size=300), 3)
        kind = np.where(size > 0, "large", "small")
        table = pa.table({"size": size, "kind": kind})
        if path.suffix == ".csv":
            pacsv.write_csv(table, path)
        else:
            pq.write_table(table, path)
    return paths


def test_the_table_on_stdout_and_the_report_in_the_file(files, tmp_path):
    page = tmp_path / "report.html"
    done = evaluate(
        tmp_path, files["real"], files["synthetic"], "--holdout", files["holdout"], "--html", page
    )
    assert done.code == 0, done.err
    assert done.err == ""
    assert done.out.startswith("300 synthetic rows against 300 real, 300 holdout, 2 columns")
    assert "formal differential privacy" in done.out
    assert f"report: {page}" in done.out
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_json_is_one_document(files, tmp_path):
    done = evaluate(tmp_path, files["real"], files["synthetic"], "--target", "size", "--json")
    assert done.code == 0, done.err
    report = done.json
    assert report["rows"] == {"real": 300, "synthetic": 300, "holdout": None}
    assert report["utility"]["target"] == "size"


def test_wrong_columns_end_in_one_line_that_names_them(files, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("size,sort\n1,a\n", encoding="utf-8")
    done = evaluate(tmp_path, files["real"], other)
    assert done.code == 1
    assert "lacks 'kind'" in done.err
    assert "Traceback" not in done.err
    told = evaluate(tmp_path, files["real"], other, "--json")
    assert told.json["error"]["code"] == "table.columns"


def test_a_file_that_is_not_there_is_named(files, tmp_path):
    done = evaluate(tmp_path, tmp_path / "none.csv", files["synthetic"])
    assert done.code == 1
    assert "none.csv" in done.err


def test_a_report_that_cannot_be_written_is_told_before_the_work(files, tmp_path):
    done = evaluate(
        tmp_path, files["real"], files["synthetic"], "--html", tmp_path / "none" / "report.html"
    )
    assert done.code == 1
    assert "mkdir -p" in done.err
    taken = evaluate(tmp_path, files["real"], files["synthetic"], "--html", tmp_path)
    assert taken.code == 1
    assert "is a folder" in taken.err
