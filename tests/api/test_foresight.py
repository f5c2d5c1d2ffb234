"""What a job would fail at is refused when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.platform import Platform, fitted, platform, table, upload


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("foresight")) as opened:
        yield opened


@pytest.fixture(scope="module")
def model(one: Platform) -> str:
    with one.worker():
        return fitted(one.client, rows=300)[1]


JSONL = "application/x-ndjson"


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"a,b\n1,x\n", "text/csv", "one row"),
        (b'{"a":[1]}\n{"a":[2]}\n', JSONL, "'a' type list"),
        (b"a,b\n1.5,x\ninf,y\n2,z\n", "text/csv", "'a' holds infinite values"),
    ],
)
def test_a_table_that_cannot_be_learned_can_be_uploaded_but_not_fitted(
    one: Platform, data: bytes, kind: str, words: str
) -> None:
    dataset = upload(one.client, data, "mine", kind)
    answer = one.client.post("/v1/models", json={"dataset_id": dataset})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "table.invalid")
    assert words in problem["detail"]
    assert problem["where"] == "mine"
    assert problem["hint"]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"columns": {"prize": "numeric"}}, "'prize', which the table lacks"),
        ({"columns": {"size": "datetime"}}, "cannot have the role 'datetime'"),
        ({"columns": {"colour": "numeric"}}, "cannot have the role 'numeric'"),
        ({"columns": {"size": {"role": "integer", "minimum": "x"}}}, "'x' is no value"),
        ({"constraints": ["size <= prize"]}, "'prize' is no value"),
    ],
)
def test_a_schema_that_does_not_fit_the_dataset(
    one: Platform, schema: dict[str, Any], words: str
) -> None:
    dataset = upload(one.client, table(50))
    answer = one.client.post("/v1/models", json={"dataset_id": dataset, "schema": schema})
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["detail"]


def test_constant_columns_can_be_fitted(one: Platform) -> None:
    dataset = upload(one.client, b"a,b\n1,x\n1,x\n")
    assert one.client.post("/v1/models", json={"dataset_id": dataset}).status_code == 202


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("color=red", "no column 'color'"),
        ("colour>=green", "has no order"),
        ("size=big", "'big' is no value"),
        ("size", "cannot read the condition"),
    ],
)
@pytest.mark.parametrize("inline", [False, True])
def test_conditions_are_read_before_the_job(
    one: Platform, model: str, where: str, words: str, inline: bool
) -> None:
    before = len(one.client.get("/v1/jobs").json()["items"])
    body = {"model_id": model, "rows": 5, "where": [where], "inline": inline}
    answer = one.client.post("/v1/generate", json=body)
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["detail"]
    assert len(one.client.get("/v1/jobs").json()["items"]) == before


def test_right_conditions_become_a_job(one: Platform, model: str) -> None:
    body = {"model_id": model, "rows": 5, "where": ["colour!=red", "size>=20", "price<50.5"]}
    assert one.client.post("/v1/generate", json=body).status_code == 202
