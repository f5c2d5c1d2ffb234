"""A cache that accepts connections and never answers takes no job away from a living worker."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import httpx

from tests.platform import Processes, environment, finished, submit, table, upload


def test_a_job_ends_at_its_first_try(tmp_path: Path) -> None:
    processes = Processes(tmp_path, environment(tmp_path))
    with socket.create_server(("127.0.0.1", 0), backlog=500) as silent:
        hung = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        try:
            processes.run("tabular.api", "migrate")
            made = processes.run("tabular.api", "create-key", "--name", "a", "--json")
            processes.api()
            for _ in range(2):
                processes.worker(TABULAR_CACHE_URL=hung, TABULAR_JOB_LEASE="4")
            bearer = {"Authorization": f"Bearer {json.loads(made)['key']}"}
            with httpx.Client(base_url=processes.url, headers=bearer, timeout=60) as client:
                dataset = upload(client, table(2000))
                job = finished(client, submit(client, "/v1/models", {"dataset_id": dataset})["id"])
        finally:
            processes.close()
    assert (job["status"], job["attempt"]) == ("succeeded", 1)
