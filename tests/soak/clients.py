"""Clients that do what clients do, ask again when they hear no answer, and note what they heard."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import httpx
import websockets

from tests.platform import ENDED, table

MOST_WAITING = 120  # jobs that wait or run; above it clients look and do not submit
TRY_AGAIN = (429, 500, 502, 503, 504)
MODELS = 4


@dataclass
class Ledger:
    """What all clients know.

    Attributes:
        jobs: ids by the Idempotency-Key they were asked with; more than one is an error.
        bodies: what was asked with that key.
        deleted: jobs of which a deletion was asked.
        seconds: of answers, by route.
        errors: statuses and exceptions by route.
        wrong: what must not be.
    """

    jobs: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    bodies: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)
    datasets: dict[str, str] = field(default_factory=dict)
    models: list[tuple[str, str]] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    messages: int = 0

    @property
    def accepted(self) -> list[str]:
        """Every job."""
        return sorted(job for ids in self.jobs.values() for job in ids)


class Client:
    """One of many."""

    def __init__(self, http: httpx.AsyncClient, ledger: Ledger, seed: int) -> None:
        self._http = http
        self._ledger = ledger
        self._random = random.Random(seed)
        self._name = f"c{seed}"
        self._count = 0
        self._mine: list[str] = []

    async def run(self, until: float) -> None:
        """Do one thing after the other until that moment of the monotonic clock."""
        await asyncio.sleep(self._random.uniform(0, 3))
        while time.monotonic() < until:
            waiting = len(self._ledger.accepted) - len(self._ledger.ended)
            busy = waiting > MOST_WAITING
            names, weights = zip(*(_LOOK if busy else _MIX).items(), strict=True)
            (name,) = self._random.choices(names, weights)
            await getattr(self, f"_{name}")()
            await asyncio.sleep(self._random.uniform(0.5, 3))

    async def ask(
        self, route: str, method: str, url: str, *, patience: float = 60.0, **more: Any
    ) -> httpx.Response | None:
        """An answer that says yes or no; None when none came in time."""
        until = time.monotonic() + patience
        while True:
            begun = time.monotonic()
            try:
                answer = await self._http.request(method, url, **more)
            except httpx.HTTPError as error:
                self._ledger.errors[f"{route} {type(error).__name__}"] += 1
            else:
                self._ledger.seconds[route].append(time.monotonic() - begun)
                if answer.status_code not in TRY_AGAIN:
                    return answer
                self._ledger.errors[f"{route} {answer.status_code}"] += 1
                if answer.status_code == 500:
                    self._ledger.wrong.append(f"{route}: 500 {answer.text[:200]}")
            if time.monotonic() > until:
                return None
            await asyncio.sleep(self._random.uniform(0.3, 1.0))

    async def submit(self, url: str, body: dict[str, Any], *, patience: float = 60.0) -> str | None:
        """A job, asked for under one name as often as needed."""
        self._count += 1
        name = f"{self._name}-{self._count}"
        self._ledger.bodies[name] = (url, body)
        return await self.insist(name, patience=patience)

    async def insist(self, name: str, *, patience: float = 60.0) -> str | None:
        """Ask again for what was asked under that name."""
        url, body = self._ledger.bodies[name]
        answer = await self.ask(
            f"POST {url}",
            "POST",
            url,
            json=body,
            headers={"Idempotency-Key": name},
            patience=patience,
        )
        if answer is None:
            return None
        if answer.status_code != 202:
            if answer.status_code not in (404, 409):  # what it needs was deleted
                self._ledger.wrong.append(f"{url}: {answer.status_code} {answer.text[:200]}")
            return None
        job = str(answer.json()["job"]["id"])
        self._ledger.jobs[name].add(job)
        self._mine.append(job)
        return job

    async def _upload(self) -> None:
        data = table(self._random.randrange(50, 3000))
        answer = await self.ask(
            "POST /v1/datasets",
            "POST",
            "/v1/datasets?name=soak.csv",
            content=data,
            headers={"Content-Type": "text/csv"},
        )
        if answer is None:
            return
        if answer.status_code != 201:
            self._ledger.wrong.append(f"upload: {answer.status_code} {answer.text[:200]}")
        elif answer.json()["sha256"] != hashlib.sha256(data).hexdigest():
            self._ledger.wrong.append(f"upload: another sha256 of {answer.json()['id']}")
        elif self._random.random() < 0.5:
            await self.ask("DELETE /v1/datasets", "DELETE", f"/v1/datasets/{answer.json()['id']}")
        else:
            self._ledger.datasets[answer.json()["id"]] = answer.json()["sha256"]

    async def _fit(self) -> None:
        dataset = self._random.choice(list(self._ledger.datasets))
        await self.submit("/v1/models", {"dataset_id": dataset, "seed": self._random.randrange(9)})

    def _rows(self, rows: int) -> dict[str, Any]:
        model = self._random.choice(self._ledger.models[:MODELS])[0]
        kind = self._random.choice(("csv", "parquet", "jsonl"))
        return {"model_id": model, "rows": rows, "seed": self._random.randrange(3), "format": kind}

    async def _small(self) -> None:
        job = await self.submit("/v1/generate", self._rows(self._random.choice((10, 1000))))
        if job and self._random.random() < 0.3:  # as one does who heard no answer
            await self.insist(f"{self._name}-{self._count}")

    async def _large(self) -> None:
        job = await self.submit("/v1/generate", self._rows(600_000))
        if job:
            await self._follow_job(job)

    async def _inline(self) -> None:
        body = {**self._rows(100), "inline": True}
        answer = await self.ask("POST /v1/generate inline", "POST", "/v1/generate", json=body)
        if answer is not None and answer.status_code != 200:
            self._ledger.wrong.append(f"inline: {answer.status_code} {answer.text[:200]}")

    async def _evaluate(self) -> None:
        done = [
            job
            for job, state in self._ledger.ended.items()
            if state["kind"] == "generate" and state["status"] == "succeeded"
            if job not in self._ledger.deleted and state["result"]["rows"] == 1000
        ]
        if done:
            job = self._random.choice(done)
            source = dict(self._ledger.models)[self._ledger.ended[job]["model_id"]]
            await self.submit("/v1/evaluations", {"dataset_id": source, "job_id": job})

    async def _look(self) -> None:
        for job in [job for job in self._mine if job not in self._ledger.ended][:5]:
            await self.state(job)

    async def _list(self) -> None:
        await self.ask("GET /v1/jobs", "GET", "/v1/jobs?limit=20")

    async def state(self, job: str, *, patience: float = 60.0) -> dict[str, Any] | None:
        """How a job stands."""
        answer = await self.ask("GET /v1/jobs/{id}", "GET", f"/v1/jobs/{job}", patience=patience)
        if answer is None or answer.status_code == 404:
            if answer is not None and job not in self._ledger.deleted:
                self._ledger.wrong.append(f"{job} was accepted and is not there")
            return None
        state: dict[str, Any] = answer.json()
        if state["status"] in ENDED:
            self._ledger.ended[job] = state
        return state

    async def _follow(self) -> None:
        job = await self.submit("/v1/generate", self._rows(10))
        if job:
            await self._follow_job(job)

    async def _follow_job(self, job: str) -> None:
        base = str(self._http.base_url).replace("http", "ws", 1).rstrip("/")
        last = 0.0
        try:
            async with (
                asyncio.timeout(20),
                websockets.connect(
                    f"{base}/v1/jobs/{job}/progress",
                    additional_headers={"Authorization": self._http.headers["Authorization"]},
                ) as socket,
            ):
                async for message in socket:
                    state = json.loads(message)
                    self._ledger.messages += 1
                    if state["status"] == "succeeded" and state["progress"] < last:
                        self._ledger.wrong.append(f"{job}: ends at {state['progress']}")
                    last = state["progress"]
        except (OSError, TimeoutError, websockets.WebSocketException) as error:
            self._ledger.errors[f"websocket {type(error).__name__}"] += 1

    async def _download(self) -> None:
        done = [j for j in self._mine if self._ledger.ended.get(j, {}).get("result")]
        if done:
            await self.download(self._random.choice(done))

    async def download(self, job: str, *, patience: float = 30.0) -> str | None:
        """The sha256 of the rows, which is the one that was told."""
        answer = await self.ask(
            "GET /v1/jobs/{id}/result", "GET", f"/v1/jobs/{job}/result", patience=patience
        )
        if answer is None or answer.status_code != 200:
            if answer is not None and job not in self._ledger.deleted:
                self._ledger.wrong.append(f"{job}: rows answered with {answer.status_code}")
            return None
        found = hashlib.sha256(answer.content).hexdigest()
        if found != self._ledger.ended[job]["result"]["sha256"]:
            self._ledger.wrong.append(f"{job}: rows of another checksum")
        return found

    async def _cancel(self) -> None:
        job = await self.submit("/v1/generate", self._rows(600_000))
        if job:
            await self.ask("POST /v1/jobs/{id}/cancel", "POST", f"/v1/jobs/{job}/cancel")

    async def _delete(self) -> None:
        done = [j for j in self._mine if self._ledger.ended.get(j, {}).get("kind") == "generate"]
        if done:
            job = self._random.choice(done)
            self._ledger.deleted.add(job)
            await self.ask("DELETE /v1/jobs/{id}", "DELETE", f"/v1/jobs/{job}")


_LOOK = {"look": 6, "list": 1, "download": 2, "delete": 1}
_MIX = {
    **{"small": 6, "inline": 3, "follow": 2, "large": 0.3, "cancel": 0.3, "upload": 1.5},
    **{"fit": 0.4, "evaluate": 0.4, **_LOOK},
}
