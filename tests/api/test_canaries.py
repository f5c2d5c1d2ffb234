"""Secrets that are put in wherever one can be, and looked for in everything that comes out."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import httpx
import pytest

from tests.platform import Processes, environment, finished, fitted, submit
from tests.testbed.otlp import otlp_receiver
from tests.testbed.ports import free_port

CANARIES = {
    "secret key": "Kc4n4ryZq8vW2mX7tR5yB1nL6pD3sF9g",
    "database password": "dbC4naryPassw0rd",
    "cache password": "cacheC4naryPassw0rd",
    "queue password": "queueC4naryPassw0rd",
    "directory password": "ldapC4naryPassw0rd",
    "person's password": "humanC4naryPassw0rd",
    "bearer in a header": "ift.abcdefgh.C4naryHeaderSecretValue",
    "bearer in a path": "ift.abcdefgh.C4naryPathSecretValue",
    "bearer in a query": "ift.abcdefgh.C4naryQuerySecretValue",
    "session in a cookie": "ifs.abcdefgh.C4naryCookieSecretValue",
    "storage key": "awsC4naryAccessKeySecret",
}


class Seen:
    """Everything that came out of the platform."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def add(self, where: str, text: str) -> None:
        self.texts[where] = self.texts.get(where, "") + text

    def leaks(self, extra: dict[str, str]) -> list[tuple[str, str]]:
        found = []
        for name, canary in {**CANARIES, **extra}.items():
            secret = canary.rsplit(".", 1)[-1]
            found += [(name, where) for where, text in self.texts.items() if secret in text]
        return found


def _provoke(client: httpx.Client, key: str, seen: Seen) -> None:
    """Ask rightly and wrongly, with secrets in every place."""
    _, model = fitted(client)
    job = submit(client, "/v1/generate", {"model_id": model, "rows": 1000})
    finished(client, job["id"])
    c = CANARIES
    path, query = c["bearer in a path"], c["bearer in a query"]
    wrong = {"Authorization": f"Bearer {c['bearer in a header']}"}
    person = {"username": "ann", "password": c["person's password"]}
    answers = [
        client.get(f"/v1/jobs/{path}"),
        client.get(f"/v1/datasets/{key}"),
        client.delete(f"/v1/models/{path}"),
        client.get(f"/{path}"),
        client.get("/v1/jobs", params={"api_key": query, "cursor": query}),
        client.get("/v1/jobs", params={"limit": query}),
        client.get("/v1/jobs", headers=wrong),
        client.get("/v1/jobs", headers={"Cookie": f"session={c['session in a cookie']}"}),
        client.post("/v1/session", json=person),
        client.post("/v1/session", json={"username": "ann", "password": [c["person's password"]]}),
        client.post("/v1/session", json={"key": path}),
        client.post("/v1/generate", json={"model_id": path, "rows": 1}),
        client.post("/v1/models", json={"dataset_id": path}),
        client.post("/v1/models", content=b'{"x": "' + query.encode()),
        client.post("/v1/evaluations", json={"job_id": path}),
        client.get("/ready"),
        client.get("/health"),
    ]
    for answer in answers:
        seen.add(f"{answer.request.method} {answer.request.url.path[:40]}", answer.text)
        seen.add("headers", str(answer.headers))
    seen.add("/metrics", client.get("/metrics").text)


@pytest.mark.slow
def test_no_canary_is_ever_seen_again(tmp_path: Path) -> None:
    c, seen = CANARIES, Seen()
    password = tmp_path / "ldap-password"
    password.write_text(c["directory password"])
    with otlp_receiver() as receiver:
        env = environment(
            tmp_path,
            TABULAR_SECRET_KEY=c["secret key"],
            TABULAR_LOG_LEVEL="DEBUG",
            TABULAR_CACHE_URL=f"redis://:{c['cache password']}@127.0.0.1:{free_port()}/0",
            TABULAR_QUEUE_URL=f"amqp://u:{c['queue password']}@127.0.0.1:{free_port()}//",
            TABULAR_LDAP_URL=f"ldaps://127.0.0.1:{free_port()}",
            TABULAR_LDAP_BIND_DN="cn=service",
            TABULAR_LDAP_BIND_PASSWORD=f"file:{password}",
            TABULAR_LDAP_USER_BASE="ou=people",
            TABULAR_LDAP_GROUP_BASE="ou=groups",
            TABULAR_LDAP_ROLE_MAP="staff=user",
            TABULAR_OTLP_ENDPOINT=receiver.url,
            TABULAR_INLINE_ROWS="0",
            OTEL_BSP_SCHEDULE_DELAY="100",
            OTEL_METRIC_EXPORT_INTERVAL="500",
            AWS_SECRET_ACCESS_KEY=c["storage key"],
        )
        one = Processes(tmp_path, env)
        one.run("tabular.api", "migrate")
        key = one.run("tabular.api", "create-key", "--name", "x", "--scopes", "admin").strip()
        client = httpx.Client(
            base_url=one.url, headers={"Authorization": f"Bearer {key}"}, timeout=30
        )
        away = f"127.0.0.1:{free_port()}/x"
        lost = {
            "TABULAR_DATABASE_URL": f"postgresql+psycopg://u:{c['database password']}@{away}",
            "TABULAR_METRICS_PORT": str(free_port()),
        }
        try:
            one.api()
            one.worker()
            one.worker(**lost)
            _provoke(client, key, seen)
            with contextlib.suppress(httpx.HTTPError):
                answer = httpx.get(f"http://127.0.0.1:{lost['TABULAR_METRICS_PORT']}/metrics")
                seen.add("worker's /metrics", answer.text)
            receiver.until(lambda: receiver.metrics and receiver.spans)
            time.sleep(0.7)  # the last batch of telemetry
        finally:
            client.close()
            one.close()
        seen.add("log", one.log)
        seen.add("telemetry", b"\n".join(receiver.raw).decode("latin-1"))
    assert '"level": "DEBUG"' in one.log
    assert "does not answer" in one.log
    assert "ift.abcdefgh.***" in one.log  # what was asked for is logged, without its secret
    assert seen.leaks({"the key in use": key}) == []


@pytest.mark.parametrize("name", ["TABULAR_DATABASE_URL", "TABULAR_CACHE_URL", "TABULAR_QUEUE_URL"])
def test_a_refused_start_repeats_no_password(name: str, tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    url = f"nonsense://u:{CANARIES['database password']}@h/x?password={CANARIES['storage key']}"
    done = subprocess.run(
        [sys.executable, "-m", "tabular.api", "serve"],
        env={**os.environ, **environment(tmp_path), name: url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    seen = Seen()
    seen.add("start", done.stdout + done.stderr)
    assert seen.leaks({}) == []
