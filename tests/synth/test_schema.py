from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tabular.errors import InputError
from tabular.synth import Synthesizer
from tabular.synth.schema import TableSchema, infer


def test_dict_form_round_trips() -> None:
    data = {
        "version": 1,
        "columns": {"a": {"role": "numeric", "minimum": 0, "maximum": 9.5}, "b": {"role": "id"}},
        "constraints": ["a <= 9"],
    }
    assert TableSchema.from_dict(data).to_dict() == data


def test_yaml_and_json_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("columns:\n  a: numeric\nconstraints:\n  - a >= 1\n")
    (tmp_path / "s.json").write_text('{"columns": {"a": {"role": "numeric"}}}')
    assert TableSchema.load(tmp_path / "s.yaml").constraints == ("a >= 1",)
    assert TableSchema.load(tmp_path / "s.json").columns["a"].role == "numeric"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("columns: [1]", "maps column names"),
        ("colums: {}", "did you mean 'columns'"),
        ("columns: {a: numerik}", "did you mean 'numeric'"),
        ("columns: {a: {role: numeric, minimun: 1}}", "did you mean 'minimum'"),
        ("columns: {a: 3}", "role"),
        ("constraints: a >= 1", "list of comparisons"),
        ("version: 2", "version"),
        ("- x", "mapping"),
        ("a: [", "not YAML"),
    ],
)
def test_bad_schemas_say_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        TableSchema.load(path)
    assert str(path) in str(caught.value.where)


def test_bad_json_names_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text('{\n  "columns": }\n')
    with pytest.raises(InputError) as caught:
        TableSchema.load(path)
    assert caught.value.where == f"{path}:2:14"


def test_a_schema_must_fit_the_table() -> None:
    table = pa.table({"price": [1.0, 2.0], "cut": ["x", "y"]})
    with pytest.raises(InputError, match="did you mean 'price'"):
        TableSchema.from_dict({"columns": {"prize": "numeric"}}).completed(table)
    with pytest.raises(InputError, match="cannot have the role 'integer'"):
        TableSchema.from_dict({"columns": {"cut": "integer"}}).completed(table)


def test_integer_keys_are_told_from_counts() -> None:
    table = pa.table(
        {
            "row": range(100),
            "customer_id": [i * 37 % 1009 for i in range(100)],
            "salary": [30_000 + i * i for i in range(100)],
            "age": [i % 60 for i in range(100)],
        }
    )
    roles = {name: column.role for name, column in infer(table).columns.items()}
    assert roles == {"row": "id", "customer_id": "id", "salary": "integer", "age": "integer"}


def test_roles_of_many_different_numbers_take_little_memory() -> None:
    code = (
        "import numpy as np, pyarrow as pa\n"
        "from tabular.synth.schema import infer\n"
        "values = np.random.default_rng(0).integers(0, 10**9, 1_000_000)\n"
        "print(infer(pa.table({'a': values, 'b': values / 7})).columns['a'].role)\n"
        "print(pa.default_memory_pool().max_memory())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    role, peak = done.stdout.split()
    assert role == "integer"
    assert int(peak) < 50_000_000


def test_infinite_values_are_one_value_each() -> None:
    table = pa.table({"a": [float("inf")] * 3, "b": [float("inf"), float("-inf"), 1.0]})
    roles = {name: column.role for name, column in infer(table).columns.items()}
    assert roles == {"a": "constant", "b": "numeric"}


@pytest.mark.parametrize(
    "name",
    [
        "customerID",
        "customerId",
        "CustomerId",
        "customer_id",
        "ID",
        "id",
        "PK",
        "ssn",
        "account_number",
        "accountNo",
        "phone",
    ],
)
@pytest.mark.parametrize("nulls", [False, True])
def test_numbers_that_identify_are_keys(name: str, nulls: bool) -> None:
    values = [i * 104_729 % 999_983 for i in range(400)]
    column = pa.array([None, None, *values[2:]], pa.float64()) if nulls else pa.array(values)
    assert infer(pa.table({name: column})).columns[name].role == "id"


def test_numbers_of_one_length_that_never_repeat_are_keys() -> None:
    random = np.random.default_rng(0)
    unique = random.choice(900_000_000, 500, replace=False) + 100_000_000
    table = pa.table(
        {
            "member": unique,
            "price": unique,
            "rounded": unique // 1000 * 1000,
            "zip_code": random.integers(10_000, 10_400, 500),
            "rooms_no": random.integers(1, 9, 500),
            "population": np.arange(500) ** 2 * 7,
            "loss": -unique,
        }
    )
    roles = {name: column.role for name, column in infer(table).columns.items()}
    assert roles.pop("member") == "id"
    assert set(roles.values()) == {"integer"}


DAYS = pa.array([18_000 + i for i in range(60)], pa.int32()).cast(pa.date32())
COLUMNS = {
    "text": pa.array([f"t{i}" for i in range(60)]),
    "whole": pa.array(range(60)),
    "part": pa.array([i / 7 for i in range(60)]),
    "day": DAYS,
    "flag": pa.array([i % 2 == 0 for i in range(60)]),
    "code": pa.array([f"c{i}" for i in range(60)]).dictionary_encode(),
}


@pytest.mark.parametrize(
    ("column", "role"),
    [
        ("text", "boolean"),
        ("whole", "boolean"),
        ("day", "boolean"),
        ("code", "boolean"),
        ("day", "text"),
        ("whole", "text"),
        ("part", "text"),
        ("day", "id"),
        ("flag", "id"),
    ],
)
def test_roles_that_a_type_cannot_have_are_refused_before_any_row_is_read(
    column: str, role: str
) -> None:
    schema = TableSchema.from_dict({"columns": {column: role}})
    with pytest.raises(InputError, match=f"cannot have the role '{role}'"):
        schema.check(pa.table(COLUMNS).schema)


@pytest.mark.parametrize(
    ("column", "role", "says"),
    [("part", "id", "not whole"), ("whole", "constant", "60 diff"), ("text", "constant", "60")],
)
def test_roles_that_the_values_cannot_have_are_refused(column: str, role: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        TableSchema.from_dict({"columns": {column: role}}).completed(pa.table(COLUMNS))


@pytest.mark.parametrize("column", ["whole", "part", "day"])
def test_categories_that_are_all_rare_are_learnt_as_numbers(column: str) -> None:
    schema = {"columns": {column: "categorical"}}
    drawn = Synthesizer(schema=schema).fit(pa.table(COLUMNS)).sample(200)
    assert drawn[column].null_count == 0
    assert drawn[column].type == COLUMNS[column].type


def test_numbers_may_be_categories_where_few_are_rare() -> None:
    table = pa.table({"g": [1, 2, 5] * 100, "x": range(300)})
    drawn = Synthesizer(schema={"columns": {"g": "categorical"}}).fit(table).sample(300)
    assert set(drawn["g"].to_pylist()) == {1, 2, 5}
