"""Generations ordered by a file in the bucket: by Lambda, and in parts by Batch."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tabular.errors import TabularError, UnavailableError
from tabular.infra.storage.backend import Backend
from tabular.infra.storage.plain import open_plain
from tabular.synth.partition import GROUP_ROWS
from tabular.synth.synthesizer import Synthesizer
from tabular.worker import orders
from tabular.worker.function import Runtime, handle
from tests.testbed.s3 import S3

ROWS = 2 * GROUP_ROWS + 1000  # three parts of the smallest size
SECRET = "kP3vR8xW1zQ6mT9bN4cF7hJ2dL5gS0aYe"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small model file."""
    table = pa.table({"id": range(200), "shop": ["north", "south"] * 100})
    sink = io.BytesIO()
    Synthesizer(seed=1).fit(table).save(sink)
    return sink.getvalue()


class Bucket:
    """A bucket below a prefix, as a user with the vendor's tools sees it."""

    def __init__(self, s3: S3, name: str) -> None:
        bare = s3.create_bucket(name)
        self._s3, self._remote = s3, f"remote:{name}/tabular"
        self.url = bare.replace(f"s3://{name}", f"s3://{name}/tabular")
        self.blobs: Backend = open_plain(self.url, credentials=s3.credentials)
        self.environ = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **s3.environ,
            "TABULAR_STORAGE_URL": self.url,
            "TABULAR_SECRET_KEY": SECRET,
            "TABULAR_PART_ROWS": "1",
        }

    def put(self, name: str, data: bytes) -> None:
        """Upload."""
        self._s3.rclone("rcat", f"{self._remote}/{name}", data=data)

    def order(self, name: str, **order: Any) -> str:
        """Upload an order; its name."""
        self.put(f"incoming/{name}.json", json.dumps(order).encode())
        return f"incoming/{name}.json"

    def read(self, name: str) -> bytes:
        """Download."""
        return self._s3.rclone("cat", f"{self._remote}/{name}")

    def report(self, name: str) -> dict[str, Any]:
        """What the results say of an order."""
        found: dict[str, Any] = json.loads(self.read(f"results/{name}.json"))
        return found

    def step(self, step: str, order: str, **more: str) -> int:
        """Run a step as a container does; its exit code."""
        command = [sys.executable, "-m", "tabular.worker.partition", step, order]
        done = subprocess.run(
            command, env={**self.environ, **more}, capture_output=True, check=False, timeout=120
        )
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        assert SECRET.encode() not in done.stderr
        return done.returncode


@pytest.fixture(scope="module")
def bucket(s3: S3, model: bytes) -> Bucket:
    """One with a model in it."""
    found = Bucket(s3, "orders")
    found.put("models/shops", model)
    return found


def _draw(bucket: Bucket, order: str, size: int) -> None:
    for index in range(size):
        place = {"AWS_BATCH_JOB_ARRAY_INDEX": str(index), "AWS_BATCH_JOB_ARRAY_SIZE": str(size)}
        assert bucket.step("draw", order, **place) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_any_number_of_containers_makes_the_bytes_of_one(bucket: Bucket, kind: str) -> None:
    files = []
    for number, size in enumerate((2, 5)):
        asked = bucket.order(f"{kind}-{number}", model="models/shops", rows=ROWS, format=kind)
        _draw(bucket, asked, size)
        assert bucket.step("join", asked) == 0
        files.append(bucket.read(f"results/{kind}-{number}.{kind}"))
    asked = bucket.order(f"{kind}-whole", model="models/shops", rows=ROWS, format=kind)
    assert bucket.step("all", asked) == 0
    whole = bucket.read(f"results/{kind}-whole.{kind}")
    assert files == [whole, whole]
    report = bucket.report(f"{kind}-0")
    assert report["status"] == "succeeded"
    assert (report["rows"], report["size"]) == (ROWS, len(whole))
    if kind == "parquet":
        assert pq.read_table(io.BytesIO(whole)).num_rows == ROWS


def test_a_table_is_learned_from_first(bucket: Bucket) -> None:
    bucket.put("tables/shops.csv", b"shop,items\n" + b"north,1\nsouth,2\n" * 50)
    asked = bucket.order("learned", table="tables/shops.csv", rows=20, format="csv", seed=3)
    assert bucket.step("all", asked) == 0
    lines = bucket.read("results/learned.csv").decode().splitlines()
    assert lines[0] == '"shop","items"'
    assert len(lines) == 21
    # In parts: fit, draw and join are apart, and come to the same.
    again = bucket.order("apart", table="tables/shops.csv", rows=20, format="csv", seed=3)
    assert [bucket.step(step, again) for step in ("fit", "draw", "join")] == [0, 0, 0]
    assert bucket.read("results/apart.csv").decode().splitlines() == lines


@pytest.mark.parametrize(
    ("order", "word"),
    [
        ({"model": "models/shops", "rows": 0}, "rows"),
        ({"model": "models/shops"}, "rows"),
        ({"rows": 5}, "a model or a table"),
        ({"model": "models/shops", "table": "t.csv", "rows": 5}, "a model or a table"),
        ({"model": "models/shops", "rows": 5, "colour": "red"}, "colour"),
        ({"model": "models/shops", "rows": 5, "where": ["nowhere=1"]}, "nowhere"),
        ({"model": "models/nobody", "rows": 5}, "models/nobody"),
        ({"model": "../secrets", "rows": 5}, "../secrets"),
        ({"model": "incoming/wrong.json", "rows": 5}, "model"),
    ],
)
def test_a_wrong_order_is_answered_in_the_results(
    bucket: Bucket, order: dict[str, Any], word: str
) -> None:
    asked = bucket.order("wrong", **order)
    with pytest.raises(TabularError) as caught:
        orders.whole(bucket.blobs, asked)
    assert not isinstance(caught.value, UnavailableError)
    orders.fail(bucket.blobs, asked, caught.value)
    report = bucket.report("wrong")
    assert report["status"] == "failed"
    assert word in json.dumps(report["error"])


def test_an_order_that_is_wrong_is_not_tried_again_unless_it_is_mended(bucket: Bucket) -> None:
    asked = bucket.order("mended", model="models/shops", rows=-1)
    assert bucket.step("all", asked) == 2
    assert bucket.report("mended")["status"] == "failed"
    bucket.order("mended", model="models/shops", rows=5)
    assert bucket.step("all", asked) == 0
    assert bucket.report("mended")["status"] == "succeeded"


def test_an_outage_is_tried_again(bucket: Bucket) -> None:
    nobody = "s3://orders/tabular?endpoint=http://127.0.0.1:9&timeout=1"
    assert bucket.step("all", "incoming/any.json", TABULAR_STORAGE_URL=nobody) == 1


class Lambda:
    """Lambda's side of the documented runtime API, with events to hand out."""

    def __init__(self, events: list[dict[str, Any]], seconds: float = 60.0) -> None:
        self.answers: list[tuple[str, dict[str, Any], str | None]] = []
        self.done = threading.Event()
        waiting = iter(enumerate(events))
        side = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                assert self.path == "/2018-06-01/runtime/invocation/next"
                found = next(waiting, None)
                if found is None:  # a real one freezes the function; this one ends it
                    side.done.set()
                    self.send_error(410)
                    return
                number, event = found
                body = json.dumps(event).encode()
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", f"request-{number}")
                deadline = int((time.time() + seconds) * 1000)
                self.send_header("Lambda-Runtime-Deadline-Ms", str(deadline))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kind = self.headers["Lambda-Runtime-Function-Error-Type"]
                path = self.path.removeprefix("/2018-06-01/runtime")
                side.answers.append((path, json.loads(body), kind))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()

    def run(self, environ: Mapping[str, str]) -> int:
        """The function's program, until there are no more events; its exit code."""
        try:
            done = subprocess.run(
                [sys.executable, "-m", "tabular.worker.function"],
                env={**environ, "AWS_LAMBDA_RUNTIME_API": self.address},
                capture_output=True,
                check=False,
                timeout=120,
            )
        finally:
            self.close()
        return done.returncode


def _event(key: str) -> dict[str, Any]:
    """As EventBridge tells of an upload; the parts that matter here."""
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": "orders"}, "object": {"key": key, "size": 60}},
    }


def test_lambda_does_what_is_uploaded(bucket: Bucket) -> None:
    first = bucket.order("one", model="models/shops", rows=10, format="csv")
    second = bucket.order("two", model="models/shops", rows=0)
    events = [_event(f"tabular/{key}") for key in (first, second, first)]
    side = Lambda([*events, _event("tabular/incoming/deep/er.json")])
    side.run(bucket.environ)
    assert side.answers == [
        ("/invocation/request-0/response", {"order": first, "status": "succeeded"}, None),
        ("/invocation/request-1/response", {"order": second, "status": "failed"}, None),
        ("/invocation/request-2/response", {"order": first, "status": "succeeded"}, None),
        (
            "/invocation/request-3/response",
            {"order": "tabular/incoming/deep/er.json", "status": "ignored"},
            None,
        ),
    ]
    assert len(bucket.read("results/one.csv").splitlines()) == 11
    assert bucket.report("two")["status"] == "failed"


def test_lambda_is_told_of_an_outage_so_that_it_tries_again(bucket: Bucket) -> None:
    nobody = "s3://orders/tabular?endpoint=http://127.0.0.1:9&timeout=1"
    side = Lambda([_event("tabular/incoming/any.json")])
    side.run({**bucket.environ, "TABULAR_STORAGE_URL": nobody})
    ((path, body, kind),) = side.answers
    assert path == "/invocation/request-0/error"
    assert kind == body["errorType"] == "UnavailableError"


def test_lambda_is_told_of_settings_that_allow_no_start(bucket: Bucket) -> None:
    side = Lambda([])
    code = side.run({**bucket.environ, "TABULAR_SECRET_KEY": "short"})
    ((path, body, _),) = side.answers
    assert path == "/init/error"
    assert "TABULAR_SECRET_KEY" in body["errorMessage"]
    assert code == 1


@pytest.mark.parametrize(
    ("program", "code", "seconds"),
    [
        ("import time; time.sleep(60)", "job.timeout", 0.5),
        ("import os; os.kill(os.getpid(), 9)", "job.crashed", 30.0),
    ],
)
def test_work_that_hangs_or_dies_is_answered_by_who_waits(
    bucket: Bucket, program: str, code: str, seconds: float
) -> None:
    asked = bucket.order("stuck", model="models/shops", rows=5)
    event = _event(f"tabular/{asked}")
    command = [sys.executable, "-c", program]
    done = handle(event, bucket.blobs, "tabular/", seconds, command)
    assert done == {"order": asked, "status": "failed"}
    assert bucket.report("stuck")["error"]["code"] == code


def test_what_is_no_answer_of_lambda_ends_the_function() -> None:
    side = Lambda([])
    try:
        with pytest.raises(UnavailableError, match="410"):
            Runtime(side.address).next()
    finally:
        side.close()
