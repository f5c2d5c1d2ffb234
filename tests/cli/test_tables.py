"""The commands that work on files: fit, sample, generate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tabular.cli.tree import app
from tabular.errors import TabularError
from tabular.synth.tables import read_table
from tests.cli.command import run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    path = tmp_path / "gems.csv"
    rows = [
        f"{random.choice(['Fair', 'Good', 'Ideal'])},{random.gamma(2, 900):.0f}" for _ in range(900)
    ]
    path.write_text("cut,price\n" + "\n".join(rows) + "\n")
    return path


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, TabularError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_fit_then_sample(data: Path, tmp_path: Path) -> None:
    model, out = tmp_path / "gems.model", tmp_path / "out.parquet"
    said = invoke("fit", data, "--model", model)
    assert "900 rows x 2 columns" in said
    assert str(model) in said
    said = invoke("sample", model, "--rows", 500, "--seed", 3, "--out", out)
    assert "500 rows" in said
    table = pq.read_table(out)
    assert table.num_rows == 500
    assert table.schema.names == ["cut", "price"]


def test_same_seed_same_bytes_and_conditions_hold(data: Path, tmp_path: Path) -> None:
    model = tmp_path / "m"
    invoke("fit", data, "--model", model, "--preset", "private", "--engine", "bayes")
    files = [tmp_path / f"{name}.csv" for name in "ab"]
    for file in files:
        where = ("--where", "cut=Ideal", "--where", "price>=1000")
        invoke("sample", model, "--rows", 200, "--out", file, *where)
    assert files[0].read_bytes() == files[1].read_bytes()
    drawn = read_table(files[0]).to_pandas()
    assert set(drawn["cut"]) == {"Ideal"}
    assert drawn["price"].min() >= 1000


def test_parts_join_to_the_whole(data: Path, tmp_path: Path) -> None:
    model = tmp_path / "m"
    invoke("fit", data, "--model", model)
    invoke("sample", model, "--rows", 300, "--out", tmp_path / "whole.jsonl")
    invoke("sample", model, "--rows", 100, "--out", tmp_path / "p1.jsonl")
    invoke("sample", model, "--rows", 200, "--start", 100, "--out", tmp_path / "p2.jsonl")
    parts = (tmp_path / "p1.jsonl").read_bytes() + (tmp_path / "p2.jsonl").read_bytes()
    assert (tmp_path / "whole.jsonl").read_bytes() == parts


def test_generate_in_one_step_speaks_json(data: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.yaml"
    schema.write_text("columns:\n  price: {role: integer, minimum: 500}\n")
    out = tmp_path / "out.csv"
    said = json.loads(invoke("generate", data, out, "-n", 50, "--schema", schema, "--json"))
    assert said["rows"] == 50
    assert said["out"] == str(out)
    assert min(read_table(out)["price"].to_pylist()) >= 500


def test_latin_1_is_explained_and_read_when_told(tmp_path: Path) -> None:
    data, out = tmp_path / "l.csv", tmp_path / "o.csv"
    data.write_bytes(b"name,n\n" + "caf\u00e9,1\nbar,2\n".encode("latin-1") * 40)
    refused = run("generate", str(data), str(out), "--rows", "5", home=tmp_path)
    assert refused.code == 1
    assert "offset 10" in refused.err
    assert "--encoding latin-1" in refused.err
    assert not out.exists()
    invoke("generate", data, out, "--rows", 5, "--encoding", "latin-1")
    assert set(read_table(out)["name"].to_pylist()) <= {"caf\u00e9", "bar"}


def test_delimiters_and_wide_text_through_the_commands(tmp_path: Path) -> None:
    data, out, wide = tmp_path / "d.csv", tmp_path / "o.csv", tmp_path / "w.csv"
    data.write_text("name:n\n" + "x:1\ny:2\n" * 40)
    invoke("generate", data, out, "--rows", 9, "--delimiter", ":")
    assert read_table(out).column_names == ["name", "n"]
    invoke("fit", data, "--model", tmp_path / "m", "--delimiter", ":")
    invoke("evaluate", data, out, "--delimiter", ":")
    profiled = json.loads(invoke("profile", data, "--delimiter", ":", "--json"))
    assert [column["name"] for column in profiled["columns"]] == ["name", "n"]
    wide.write_bytes(data.read_text().replace(":", ";").encode("utf-16"))
    refused = run("profile", str(wide), home=tmp_path)
    assert refused.code == 1
    assert "--encoding utf-16" in refused.err
    invoke("fit", wide, "--model", tmp_path / "m", "--encoding", "utf-16")


@pytest.mark.parametrize("encoding", ["base64", "rot13", "hex", "klingon"])
def test_what_is_no_encoding_is_one_line_and_no_abort(
    data: Path, tmp_path: Path, encoding: str
) -> None:
    refused = run("profile", str(data), "--encoding", encoding, home=tmp_path)
    assert refused.code == 1
    assert repr(encoding) in refused.err
    assert "Traceback" not in refused.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("fit", "none.csv", "--model", "m"), 1, "no such file"),
        (("sample", "none.model", "--rows", "5", "--out", "o.csv"), 1, "none.model"),
        (("generate", "{data}", "o.xlsx", "--rows", "5"), 1, ".parquet"),
        (("generate", "{data}", "o.csv", "--rows", "5", "--engine", "tree"), 1, "mean 'trees'"),
        (("generate", "{data}", "o.csv", "--rows", "5", "--where", "cut=Poor"), 1, "Fair"),
        (("generate", "{data}", "o.csv", "--rows", "-5"), 2, "--rows"),
        (("generate", "{data}", "o.csv"), 2, "--rows"),
    ],
)
def test_errors_say_what_to_do(
    data: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    answer = run(*(word.format(data=data) for word in arguments), home=tmp_path, cwd=tmp_path)
    assert answer.code == code
    assert says in answer.err
    assert "Traceback" not in answer.err
    assert not list(tmp_path.glob("*o.csv*"))


def test_no_bar_where_there_is_no_terminal(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.csv"
    answer = run("generate", str(data), str(out), "--rows", "5", home=tmp_path)
    assert answer.code == 0
    assert answer.err == ""
