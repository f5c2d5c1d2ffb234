"""Rows within the request, when they take too long."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from tabular.api.app import create_app
from tabular.worker.process import ChildProcess
from tests.platform import fitted, platform


class Impatient(ChildProcess):
    """Has no time at all."""

    def run(self, task: Any, **more: Any) -> dict[str, Any]:
        return super().run(task, **{**more, "limit": 0.0, "interval": 0.0})


def test_rows_that_take_too_long_are_a_503(tmp_path: Path) -> None:
    with platform(tmp_path) as one:
        with one.worker():
            _, model = fitted(one.client)
        slow = Impatient(one.settings.storage_url)
        app = create_app(one.settings, service=dataclasses.replace(one.service, generator=slow))
        headers = {"Authorization": f"Bearer {one.key}"}
        with TestClient(app, raise_server_exceptions=False, headers=headers) as client:
            body = {"model_id": model, "rows": 10, "inline": True}
            answer = client.post("/v1/generate", json=body)
        assert (answer.status_code, answer.json()["code"]) == (503, "job.timeout")
        assert int(answer.headers["Retry-After"]) >= 1
