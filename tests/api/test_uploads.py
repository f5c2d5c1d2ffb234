"""What people upload, and what they meant to."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from tabular.api.app import create_app
from tabular.api.service import WAITING, open_service
from tabular.errors import TabularError
from tabular.infra.database.models import Dataset, Garbage
from tabular.worker.process import ChildProcess
from tests.platform import Platform, fitted, platform, table, upload

LIMIT = 4 * 1024 * 1024


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(
        tmp_path_factory.mktemp("uploads"), TABULAR_MAX_UPLOAD_BYTES=str(LIMIT)
    ) as opened:
        yield opened


def left_over(one: Platform) -> tuple[int, int, int]:
    """Datasets, objects of no dataset, names of garbage."""
    with one.service.database.session() as session:
        ids = set(session.scalars(select(Dataset.id)))
        names = len(list(session.scalars(select(Garbage.prefix))))
    orphans = [info.key for info in one.service.store.list() if info.key.split("/")[1] not in ids]
    return len(ids), len(orphans), names


def parquet(rows: int = 10) -> bytes:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"a": range(rows), "b": ["x"] * rows}), buffer)
    return buffer.getvalue()


def nanoseconds() -> bytes:
    """Times finer than Python's own."""
    buffer = io.BytesIO()
    times = pa.array([1, 2_000_000_003], pa.timestamp("ns"))
    pyarrow.parquet.write_table(pa.table({"a": times, "b": pa.array([1, 2], "int8")}), buffer)
    return buffer.getvalue()


def bomb() -> bytes:
    """Two kilobytes that unpack to 20 GB of text."""
    column = pa.DictionaryArray.from_arrays(
        pa.array([0] * 20_000, pa.int32()), pa.array(["x" * 1_000_000])
    )
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"a": column}), buffer, compression="zstd")
    return buffer.getvalue()


GOOD = {
    "t.csv": (b"a,b\n1,x\n2,y\n", "text/csv"),
    "t2.csv": (b"a,b\r\n1,x\r\n2,y\r\n", "text/csv; charset=utf-8"),
    "t.parquet": (parquet(2), "application/vnd.apache.parquet"),
    "t.jsonl": (b'{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n', "application/x-ndjson"),
    "ns.parquet": (nanoseconds(), "application/vnd.apache.parquet"),
    "by-name.parquet": (parquet(2), "application/octet-stream"),
    "by-name.csv": (b'a,b\n1,"x, y"\n2,"z\nz"\n', ""),
    "Zahlen für Köln (neu).csv": (b"a,b\n1,x\n2,y\n", "text/csv"),
}


@pytest.mark.parametrize("name", list(GOOD))
def test_tables_are_taken(one: Platform, name: str) -> None:
    data, kind = GOOD[name]
    answer = one.client.post(
        "/v1/datasets", params={"name": name}, content=data, headers={"Content-Type": kind}
    )
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["name"], found["rows"], found["size"]) == (name, 2, len(data))
    assert [column["name"] for column in found["columns"]] == ["a", "b"]
    assert answer.headers["location"] == f"/v1/datasets/{found['id']}"
    again = one.client.get(answer.headers["location"]).json()
    assert again == found
    preview = one.client.get(f"/v1/datasets/{found['id']}/preview").json()
    assert preview["columns"] == ["a", "b"]
    assert len(preview["rows"]) == 2
    profile = one.client.get(f"/v1/datasets/{found['id']}/profile").json()
    assert profile["rows"] == 2


def test_a_form_is_taken_too(one: Platform) -> None:
    answer = one.client.post("/v1/datasets", files={"file": ("form.csv", b"a\n1\n2\n", "text/csv")})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["name"], answer.json()["rows"]) == ("form.csv", 2)
    named = one.client.post(
        "/v1/datasets",
        files={"file": ("x.bin", b"a\n1\n2\n", "text/csv")},
        data={"name": "named.csv"},
    )
    assert named.json()["name"] == "named.csv"
    without = one.client.post("/v1/datasets", files={"other": ("form.csv", b"a\n1\n")})
    assert (without.status_code, without.json()["code"]) == (422, "input.invalid")


TEXTS = {
    "latin-1": ("text/csv; charset=iso-8859-1", "latin-1"),
    "quoted": ('text/csv; header=present; charset="windows-1252"', "cp1252"),
    "utf-16": ("text/csv;charset=UTF-16", "utf-16"),
    "utf-16-le": ("text/csv; charset=utf-16le", "utf-16-le"),
    "utf-8": ("text/csv; charset=utf8", "utf-8"),
    "utf-8 with a mark": ("text/csv; charset=utf-8", "utf-8-sig"),
}


@pytest.mark.parametrize("case", list(TEXTS))
@pytest.mark.parametrize("form", [False, True])
def test_text_is_read_in_the_charset_that_is_said(one: Platform, case: str, form: bool) -> None:
    kind, encoding = TEXTS[case]
    data = ("a,b\n" + "1,Käse für Åse\n" * 2000).encode(encoding)
    if form:
        answer = one.client.post("/v1/datasets", files={"file": ("t.csv", data, kind)})
    else:
        answer = one.client.post(
            "/v1/datasets?name=t.csv", content=data, headers={"Content-Type": kind}
        )
    assert answer.status_code == 201, answer.text
    preview = one.client.get(f"{answer.headers['location']}/preview").json()
    assert preview["columns"] == ["a", "b"]
    assert preview["rows"][-1] == [1, "Käse für Åse"]


@pytest.mark.parametrize(
    ("data", "kind", "detail", "hint"),
    [
        ("a\nKäse\n".encode("latin-1"), "text/csv", "not UTF-8", "charset=latin-1"),
        ("a\nKäse\n".encode("utf-16"), "text/csv", "UTF-16", "charset=utf-16"),
        ("a\nKäse\n".encode(), "text/csv; charset=us-ascii", "no text in us-ascii", "encoding"),
        (b"a\n1\n", "text/csv; charset=klingon", "'klingon'", "charset=latin-1"),
        (b"a\n1\n", "text/csv; charset=base64", "'base64'", "charset=latin-1"),
        (b"a\n1\n", "text/csv; charset=punycode", "'punycode'", "charset=latin-1"),
        (b"a|b;c\n1|2;3\n", "text/csv", "separated by any of", "a comma between the cells"),
    ],
)
def test_text_in_another_charset_is_explained(
    one: Platform, data: bytes, kind: str, detail: str, hint: str
) -> None:
    before = left_over(one)
    answer = one.client.post(
        "/v1/datasets?name=t.csv", content=data, headers={"Content-Type": kind}
    )
    problem = answer.json()
    assert answer.status_code == 422, problem
    assert detail in problem["detail"]
    assert hint in problem["hint"]
    assert "--" not in problem["hint"]
    assert left_over(one) == before


BAD = {
    "empty": (b"", "t.csv", "text/csv", 422, "empty"),
    "empty parquet": (b"", "t.parquet", "", 422, "empty"),
    "header only": (b"a,b\n", "t.csv", "text/csv", 422, "no rows"),
    "latin-1": ("a,b\n1,Käse\n".encode("latin-1"), "t.csv", "text/csv", 422, "UTF-8"),
    "ragged": (b"a,b\n1,x\n2,y,z\n", "t.csv", "text/csv", 422, "3 cells"),
    "same name twice": (b"a,a\n1,2\n", "t.csv", "text/csv", 422, "share a name"),
    "not parquet": (b"PAR1 or so", "t.parquet", "", 422, "Parquet"),
    "cut parquet": (parquet()[:-20], "t.parquet", "", 422, "Parquet"),
    "not json": (b'{"a": 1}\n{"a": \n', "t.jsonl", "", 422, ""),
    "bomb": (bomb(), "t.parquet", "", 413, "memory"),
    "unknown suffix": (b"a\n1\n", "t.xlsx", "", 422, "format"),
    "unknown type": (b"a\n1\n", "t.csv", "application/pdf", 422, "media type"),
    "traversal": (b"a\n1\n", "../../etc/passwd.csv", "text/csv", 422, "name"),
    "backslashes": (b"a\n1\n", "..\\..\\t.csv", "text/csv", 422, "name"),
    "dots": (b"a\n1\n", "..", "text/csv", 422, "name"),
    "nul": (b"a\n1\n", "t\0.csv", "text/csv", 422, "name"),
    "nul in a header": (b"a,b\0c\n1,2\n", "t.csv", "text/csv", 422, "NUL"),
    "long name": (b"a\n1\n", "x" * 201 + ".csv", "text/csv", 422, ""),
}


@pytest.mark.parametrize("case", list(BAD))
def test_what_is_no_table_is_refused_and_leaves_nothing(one: Platform, case: str) -> None:
    data, name, kind, status, words = BAD[case]
    before = left_over(one)
    answer = one.client.post(
        "/v1/datasets", params={"name": name}, content=data, headers={"Content-Type": kind}
    )
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in json.dumps(answer.json())
    assert left_over(one) == before


def test_an_error_names_the_line(one: Platform) -> None:
    answer = one.client.post(
        "/v1/datasets",
        params={"name": "mine.csv"},
        content=b"a,b\n1,x\n2,y,z\n",
        headers={"Content-Type": "text/csv"},
    )
    assert answer.json()["where"] == "mine.csv:3"


def test_more_than_the_limit_is_refused_before_and_while_it_streams(one: Platform) -> None:
    before = left_over(one)
    headers = {"Content-Type": "text/csv"}
    said = one.client.post("/v1/datasets", content=b"a\n" * LIMIT, headers=headers)

    def endless() -> Iterator[bytes]:
        yield b"a\n"
        for _ in range(LIMIT // 65536 + 64):
            yield b"1\n" * 32768

    streamed = one.client.post("/v1/datasets", content=endless(), headers=headers)
    form = one.client.post("/v1/datasets", files={"file": ("t.csv", b"1\n" * LIMIT)})
    for answer in (said, streamed, form):
        assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert left_over(one) == before


def test_a_json_body_is_bounded(one: Platform) -> None:
    answer = one.client.post("/v1/generate", content=b'{"a": "' + b"x" * 2**21 + b'"}')
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


def test_uploads_at_once(one: Platform) -> None:
    failed: list[str] = []

    def send(number: int) -> None:
        try:
            upload(one.client, table(100 + number), f"t{number}.csv")
        except AssertionError as error:
            failed.append(str(error))

    threads = [threading.Thread(target=send, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert left_over(one)[1:] == (0, 0)


class Stuck(ChildProcess):
    """A child whose work does not end before a test says so."""

    def __init__(self) -> None:
        super().__init__("memory://x")
        self.begun = threading.Semaphore(0)
        self.end = threading.Event()
        self.ended = 0

    def run(self, task: Any, **_: Any) -> dict[str, Any]:
        self.begun.release()
        self.end.wait(20)
        self.ended += 1
        raise TabularError("stopped", code="job.timeout")


def test_few_rows_do_not_wait_for_uploads_that_are_read(tmp_path: Path) -> None:
    with platform(tmp_path) as one, one.worker():
        _, model = fitted(one.client, rows=100)
    inspector = Stuck()
    service = replace(open_service(one.settings), inspector=inspector)
    headers = {"Authorization": f"Bearer {one.key}"}
    with TestClient(create_app(one.settings, service=service), headers=headers) as client:

        def send() -> None:
            client.post("/v1/datasets?name=t.csv", content=b"a\n1\n")

        threads = [threading.Thread(target=send) for _ in range(WAITING + 1)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(WAITING):
                assert inspector.begun.acquire(timeout=30)
            inline = {"model_id": model, "rows": 5, "inline": True}
            assert client.post("/v1/generate", json=inline).status_code == 200
            assert inspector.ended == 0
        finally:
            inspector.end.set()
            for thread in threads:
                thread.join()


def test_a_wide_table(one: Platform) -> None:
    names = ",".join(f"c{i}" for i in range(5000))
    rows = "\n".join(",".join(["1"] * 5000) for _ in range(3))
    answer = one.client.post(
        "/v1/datasets",
        params={"name": "wide.csv"},
        content=f"{names}\n{rows}\n".encode(),
        headers={"Content-Type": "text/csv"},
    )
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert len(found["columns"]) == 5000
    preview = one.client.get(f"/v1/datasets/{found['id']}/preview").json()
    assert len(preview["rows"]) == 3


def test_a_full_store_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with platform(tmp_path) as one:
        (tmp_path / "objects").write_text("in the way")
        answer = one.client.post(
            "/v1/datasets", content=b"a\n1\n", headers={"Content-Type": "text/csv"}
        )
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert str(tmp_path) not in answer.text
        assert one.client.get("/v1/datasets").json()["items"] == []


def test_a_compressed_body_and_another_digest_are_refused(one: Platform) -> None:
    before = left_over(one)
    data = table(50)
    packed = one.client.post(
        "/v1/datasets?name=t.csv",
        content=gzip.compress(data),
        headers={"Content-Type": "text/csv", "Content-Encoding": "gzip"},
    )
    assert (packed.status_code, packed.json()["code"]) == (415, "input.media-type")
    right = base64.b64encode(hashlib.sha256(data).digest()).decode()
    other = base64.b64encode(hashlib.sha256(data[:-1]).digest()).decode()
    for digest, status in ((other, 422), (right, 201)):
        answer = one.client.post(
            "/v1/datasets?name=t.csv",
            content=data,
            headers={"Content-Type": "text/csv", "Content-Digest": f"sha-256=:{digest}:"},
        )
        assert answer.status_code == status, answer.text
        if status == 422:
            assert answer.json()["code"] == "input.digest"
            assert left_over(one) == before
