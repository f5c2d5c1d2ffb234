"""The whole platform on MariaDB, Memcached and RabbitMQ, and without the last two of them."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import httpx
import pytest

from tests.platform import finished, fitted, platform, submit
from tests.testbed.memcached import memcached_server
from tests.testbed.ports import free_port
from tests.testbed.rabbitmq import rabbitmq_home, rabbitmq_server

pytestmark = pytest.mark.debian


def parts_of(client: httpx.Client) -> dict[str, str]:
    """The state of each part, asked anew."""
    time.sleep(1.1)  # an answer counts for a second
    return {name: part["status"] for name, part in client.get("/ready").json()["checks"].items()}


def test_jobs_end_with_and_without_cache_and_queue(mariadb_url: str, tmp_path: Path) -> None:
    cache_port, queue_port = free_port(), free_port()
    more = {
        "TABULAR_CACHE_URL": f"memcached://127.0.0.1:{cache_port}",
        "TABULAR_QUEUE_URL": f"amqp://guest:guest@127.0.0.1:{queue_port}//",
        "TABULAR_INLINE_ROWS": "0",
    }
    with contextlib.ExitStack() as stack:
        servers = stack.enter_context(contextlib.ExitStack())
        home = stack.enter_context(rabbitmq_home())
        servers.enter_context(memcached_server(tmp_path, port=cache_port))
        servers.enter_context(rabbitmq_server(home, port=queue_port))
        running = stack.enter_context(platform(tmp_path, mariadb_url, **more))
        stack.enter_context(running.worker())
        client = running.client
        assert set(parts_of(client).values()) == {"ok"}
        _, model = fitted(client)
        body = {"model_id": model, "rows": 100, "format": "csv"}
        assert int(client.get("/v1/jobs").headers["RateLimit-Remaining"]) > 0

        servers.close()
        found = parts_of(client)
        away = {name for name, status in found.items() if status == "degraded"}
        assert away == {"cache", "queue"}
        assert set(found.values()) == {"ok", "degraded"}
        answer = client.get("/ready")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        answer = client.get("/v1/jobs")
        assert answer.status_code == 200, "requests pass uncounted"
        assert "RateLimit-Remaining" not in answer.headers
        job = finished(client, submit(client, "/v1/generate", body)["id"])
        assert job["status"] == "succeeded", "the worker looked into the database"

        stack.enter_context(memcached_server(tmp_path, port=cache_port))
        stack.enter_context(rabbitmq_server(home, port=queue_port))
        deadline = time.monotonic() + 20
        while set(parts_of(client).values()) != {"ok"}:
            assert time.monotonic() < deadline
        again = finished(client, submit(client, "/v1/generate", body)["id"])
        assert again["status"] == "succeeded"
