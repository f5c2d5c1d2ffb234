"""Rows per second of the service's workers on PostgreSQL, S3 and Valkey."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.scale.limit import drawn, write_again
from tabular.infra.pipe import streamed
from tabular.infra.storage import open_store
from tabular.synth import Synthesizer
from tests.platform import Processes, environment, finished, submit, upload
from tests.testbed.postgres import postgres_server
from tests.testbed.process import stop
from tests.testbed.s3 import BUCKET, seaweed_s3
from tests.testbed.valkey import valkey_server

PARQUET = "application/vnd.apache.parquet"


def measured(
    model: Synthesizer, table: pa.Table, folder: Path, rows: int, rounds: int, counts: Sequence[int]
) -> tuple[dict[str, list[float]], set[str]]:
    """Seconds of each, and the checksums of what was made."""
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server())
        s3 = stack.enter_context(seaweed_s3(folder))
        valkey = stack.enter_context(valkey_server(folder))
        place = {
            "TABULAR_STORAGE_URL": s3.url(BUCKET),
            "TABULAR_CACHE_URL": valkey.url(),
            "TABULAR_QUEUE_URL": valkey.url(),
            **s3.environ,
        }
        env = environment(folder, postgres.create_database("scale"), **place)
        processes = Processes(folder, env)
        stack.callback(processes.close)
        processes.run("tabular.api", "migrate")
        made = processes.run("tabular.api", "create-key", "--name", "bench", "--json")
        processes.api()
        bearer = {"Authorization": f"Bearer {json.loads(made)['key']}"}
        client = httpx.Client(base_url=processes.url, headers=bearer, timeout=60)
        stack.callback(client.close)
        s3.create_bucket(BUCKET)
        store = open_store(s3.url(BUCKET, "limit"), credentials=s3.credentials)
        batches = drawn(model, rows)
        learned = _learned(processes, client, table)
        times: dict[str, list[float]] = {}
        digests: set[str] = set()
        for _ in range(rounds):
            begun = time.perf_counter()
            store.put("rows", streamed(lambda out: write_again(out, model, batches, rows)))
            times.setdefault("limit", []).append(time.perf_counter() - begun)
            for count in counts:
                seconds, digest = _generated(processes, client, learned, rows, count)
                name = f"{count} worker" + ("s" if count > 1 else "")
                times.setdefault(name, []).append(seconds)
                digests.add(digest)
        return times, digests


def _learned(processes: Processes, client: httpx.Client, table: pa.Table) -> str:
    """A model that the service has learned."""
    data = io.BytesIO()
    pq.write_table(table, data)
    dataset = upload(client, data.getvalue(), "table.parquet", PARQUET)
    worker = processes.worker()
    job = finished(client, submit(client, "/v1/models", {"dataset_id": dataset})["id"])
    stop(worker)
    return str(job["model_id"])


def _generated(
    processes: Processes, client: httpx.Client, model: str, rows: int, count: int
) -> tuple[float, str]:
    """Seconds from the request to the end, and the checksum."""
    workers = [processes.worker() for _ in range(count)]
    _wait_for_workers(client, count)
    asked: dict[str, Any] = {"model_id": model, "rows": rows, "seed": 1, "format": "parquet"}
    begun = time.perf_counter()
    job = finished(client, submit(client, "/v1/generate", asked)["id"], timeout=900)
    seconds = time.perf_counter() - begun
    assert job["status"] == "succeeded", job
    first = client.get(f"/v1/jobs/{job['id']}/result", headers={"Range": "bytes=0-0"})
    digest = first.headers["Repr-Digest"]
    client.delete(f"/v1/jobs/{job['id']}").raise_for_status()
    for worker in workers:
        stop(worker)
    return seconds, digest


def _wait_for_workers(client: httpx.Client, count: int) -> None:
    """Return when so many have said that they are there, and their children have started."""
    deadline = time.monotonic() + 60
    while f"}} {float(count)}" not in _line(client):
        assert time.monotonic() < deadline, _line(client)
        time.sleep(0.5)
    time.sleep(2)


def _line(client: httpx.Client) -> str:
    lines = client.get("/metrics").text.splitlines()
    return next((line for line in lines if line.startswith("tabular_workers{")), "")
