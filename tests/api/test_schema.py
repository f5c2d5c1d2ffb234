"""What the OpenAPI document promises holds for requests that schemathesis makes up from it.

SCHEMA_TEST_SECONDS has it go on for longer than the 30 s of an ordinary run.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.platform import ENDED, Processes, environment, finished, fitted, submit, wait_for
from tests.worker.test_kill import client_of

SECONDS = int(os.environ.get("SCHEMA_TEST_SECONDS", "30"))
# Of what the schema allows some is refused for reasons it cannot say: a model not yet fitted.
LEFT_OUT = "positive_data_acceptance"


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    started = Processes(tmp_path, environment(tmp_path, TABULAR_JOB_LEASE="5"))
    started.run("tabular.api", "migrate")
    try:
        started.api()
        started.worker()
        yield started
    finally:
        started.close()


def _things(client: httpx.Client) -> dict[str, list[str]]:
    """Ids of one of each kind, by the name of their parameter."""
    dataset, model = fitted(client)
    job = submit(client, "/v1/generate", {"model_id": model, "rows": 10})["id"]
    finished(client, job)
    asked = client.post("/v1/evaluations", json={"dataset_id": dataset, "job_id": job}).json()
    wait_for(client, asked["job"]["id"], lambda job: job["status"] in ENDED)
    spare = client.post("/v1/keys", json={"name": "spare", "scopes": ["jobs:read"]}).json()
    return {
        "dataset_id": [dataset],
        "model_id": [model],
        "job_id": [job, asked["job"]["id"]],
        "evaluation_id": [asked["evaluation"]["id"]],
        "key_id": [spare["id"]],
    }


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 120)
def test_the_api_keeps_what_its_document_promises(processes: Processes, tmp_path: Path) -> None:
    with client_of(processes) as client:
        own = client.get("/v1/whoami").json()["id"]
        things = _things(client)
        key = client.headers["Authorization"]
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{processes.url}/openapi.json"]
    command += ["-H", f"Authorization: {key}", "--seed", "1", "--max-time", str(SECONDS)]
    command += ["--checks", "all", "--exclude-checks", LEFT_OUT, "--continue-on-failure"]
    done = subprocess.run(
        [*command, "--no-color"],
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": "tests.api.schema_hooks",
            "SCHEMA_TEST_IDS": json.dumps(things),
            "SCHEMA_TEST_OWN": own,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    assert re.search(r"Tested: [3-9]\d", done.stdout), done.stdout[-3000:]
    refused = re.search(r"401 Unauthorized \((\d+)", done.stdout)
    assert refused is None or int(refused[1]) <= 1, "it locked itself out"
    assert "Traceback" not in processes.log
