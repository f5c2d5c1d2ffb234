"""Clients that do what clients do, ask again when they hear no answer, and note what they heard."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import websockets

from tests.platform import ENDED, table
from tests.soak.asking import Asking
from tests.soak.ledger import GONE, Ledger, dataset_path, job_path

MOST_WAITING = 60  # jobs that wait or run; above it clients look and do not submit
ARRIVAL = 15.0  # seconds in which clients come, so that what is cold is not all that is measured
LISTEN = 40.0  # seconds
LARGE = 600_000  # rows; more than a part has
FOLLOWED = "follow /v1/jobs/{id}/progress"


class Client(Asking):
    """One of many."""

    def __init__(self, http: httpx.AsyncClient, ledger: Ledger, seed: int, inline: str) -> None:
        super().__init__(http, ledger, seed, inline)
        self._mine: list[str] = []

    async def run(self, going: Callable[[], bool]) -> None:
        """Do one thing after the other as long as it is going on."""
        await asyncio.sleep(self._random.uniform(0, ARRIVAL))
        while going():
            busy = self._ledger.waiting > MOST_WAITING
            names, weights = zip(*(_LOOK if busy else _MIX).items(), strict=True)
            (name,) = self._random.choices(names, weights)
            await getattr(self, f"_{name}")()
            await asyncio.sleep(self._random.uniform(0.5, 3))

    async def insist(self, name: str) -> str | None:
        """Ask again for what was asked under that name, and keep an eye on it."""
        job = await super().insist(name)
        if job is not None and job not in self._mine:
            self._mine.append(job)
        return job

    async def _upload(self) -> None:
        dataset = await self.upload(table(self._random.randrange(50, 3000)))
        if dataset and self._random.random() < 0.5:
            await self.remove(dataset_path(dataset))

    async def _fit(self) -> None:
        removed = self._ledger.removals
        kept = [one for one in self._ledger.datasets if dataset_path(one) not in removed]
        dataset = self._random.choice(kept)
        await self.submit("/v1/models", {"dataset_id": dataset, "seed": self._random.randrange(9)})

    def _rows(self, rows: int) -> dict[str, Any]:
        model = self._random.choice(list(self._ledger.sources))
        kind = self._random.choice(("csv", "parquet", "jsonl"))
        return {"model_id": model, "rows": rows, "seed": self._random.randrange(3), "format": kind}

    async def _small(self) -> None:
        job = await self.submit("/v1/generate", self._rows(self._random.choice((10, 1000))))
        if job and self._random.random() < 0.3:  # as one does who heard no answer
            await self.insist(f"{self._name}-{self._count}")

    async def _large(self) -> None:
        job = await self.submit("/v1/generate", self._rows(LARGE))
        if job:
            await self._follow_job(job)

    async def _inline(self) -> None:
        asked = self._rows(self._random.choice((10, 100)))
        await self.inline(asked["model_id"], asked["rows"], asked["seed"], asked["format"])

    async def _evaluate(self) -> None:
        done = [
            job
            for job in self._ledger.succeeded("generate")
            if self._ledger.removal(job) is None
            and self._ledger.ended[job]["params"]["rows"] == 1000
        ]
        if done:
            job = self._random.choice(done)
            source = self._ledger.sources[self._ledger.ended[job]["model_id"]]
            await self.submit("/v1/evaluations", {"dataset_id": source, "job_id": job})

    async def _look(self) -> None:
        for job in [job for job in self._mine if job not in self._ledger.ended][:5]:
            await self.state(job)

    async def _list(self) -> None:
        await self.ask("GET /v1/jobs", "GET", "/v1/jobs?limit=20")

    async def state(self, job: str) -> dict[str, Any] | None:
        """How a job stands."""
        answer = await self.ask("GET /v1/jobs/{id}", "GET", job_path(job))
        if answer is None:
            return None
        if answer.status_code != 200:
            if answer.status_code != 404 or self._ledger.removal(job) is None:
                self.wrong(f"{job} was accepted: {answer.status_code} {answer.text[:200]}")
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
        begun = time.monotonic()
        try:
            async with asyncio.timeout(LISTEN):
                await self._listen(job)
        except (OSError, TimeoutError, websockets.WebSocketException) as error:
            self._ledger.errors[f"{FOLLOWED} {type(error).__name__}"] += 1
            self._ledger.unanswered[FOLLOWED] += 1
        self._ledger.times[FOLLOWED].append(time.monotonic() - begun)

    async def _listen(self, job: str) -> None:
        base = str(self._http.base_url).replace("http", "ws", 1).rstrip("/")
        headers = {"Authorization": self._http.headers["Authorization"]}
        last = 0.0
        async with websockets.connect(
            f"{base}{job_path(job)}/progress", additional_headers=headers
        ) as socket:
            async for message in socket:
                state = json.loads(message)
                self._ledger.messages += 1
                if state["status"] == "succeeded" and state["progress"] < last:
                    self.wrong(f"{job}: ends at {state['progress']}")
                if state["status"] in ENDED:
                    self._ledger.followed[job] = state["status"]
                last = state["progress"]

    async def _download(self) -> None:
        done = [j for j in self._mine if self._ledger.ended.get(j, {}).get("result")]
        kept = [job for job in done if self._ledger.removal(job) is None]
        if kept:
            await self.download(self._random.choice(kept))

    async def download(self, job: str) -> str | None:
        """The sha256 of the rows, which is the one that was told."""
        answer = await self.ask("GET /v1/jobs/{id}/result", "GET", f"{job_path(job)}/result")
        if answer is None:
            return None
        if answer.status_code != 200:
            if answer.status_code != 404 or self._ledger.removal(job) is None:
                self.wrong(f"{job}: rows answered with {answer.status_code}")
            return None
        found = hashlib.sha256(answer.content).hexdigest()
        if found != self._ledger.ended[job]["result"]["sha256"]:
            self.wrong(f"{job}: rows of another checksum")
        return found

    async def _cancel(self) -> None:
        job = await self.submit("/v1/generate", self._rows(LARGE))
        if job:
            await self.ask("POST /v1/jobs/{id}/cancel", "POST", f"{job_path(job)}/cancel")

    async def _delete(self) -> None:
        done = [j for j in self._mine if self._ledger.ended.get(j, {}).get("kind") == "generate"]
        there = [job for job in done if self._ledger.removal(job) != GONE]
        if there:
            await self.remove(job_path(self._random.choice(there)))


async def watch_loop(ledger: Ledger, going: Callable[[], bool]) -> None:
    """Measure how late the clients themselves are, since they share the machine."""
    while going():
        begun = time.monotonic()
        await asyncio.sleep(0.1)
        ledger.late.append(time.monotonic() - begun - 0.1)


async def who(http: httpx.AsyncClient, key: str) -> str:
    """The id of a key, by which its usage is counted."""
    answer = await http.get("/v1/whoami", headers={"Authorization": f"Bearer {key}"})
    return str(answer.json()["id"])


_LOOK = {"look": 6, "list": 1, "download": 2, "delete": 1}
_MIX = {
    **{"small": 6, "inline": 3, "follow": 2, "large": 0.3, "cancel": 0.3, "upload": 1.5},
    **{"fit": 0.4, "evaluate": 1, **_LOOK},
}
