"""How a client asks: again and again until it hears yes or no, and every try is timed.

A request that had no answer counts with the seconds that it was waited for: left out, the worst
would not be among the slowest.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from typing import Any

import httpx

from tests.platform import CSV
from tests.soak.ledger import ASKED, GONE, Asked, Ledger, dataset_path

TRY_AGAIN = (429, 500, 502, 503, 504)


class Asking:
    """One who asks; its seed decides what and when.

    Attributes:
        patience: seconds after which it gives up; the last try may end later.
        tries: how often the last thing was asked for.
    """

    def __init__(self, http: httpx.AsyncClient, ledger: Ledger, seed: int, inline: str) -> None:
        self._http = http
        self._ledger = ledger
        self._random = random.Random(seed)
        self._inline_key = {"Authorization": f"Bearer {inline}"}
        self._name = f"c{seed}"
        self._count = 0
        self.patience = 60.0
        self.tries = 0

    async def ask(self, kind: str, method: str, url: str, **more: Any) -> httpx.Response | None:
        """An answer that says yes or no; None when none came in time."""
        begun, self.tries = time.monotonic(), 0
        try:
            while True:
                self.tries += 1
                answer = await self._once(kind, method, url, **more)
                if answer is not None and answer.status_code not in TRY_AGAIN:
                    return answer
                if time.monotonic() - begun > self.patience:
                    return None
                await asyncio.sleep(self._random.uniform(0.3, 1.0))
        finally:
            self._ledger.waits[kind].append(time.monotonic() - begun)

    async def _once(self, kind: str, method: str, url: str, **more: Any) -> httpx.Response | None:
        begun = time.monotonic()
        try:
            answer = await self._http.request(method, url, **more)
        except httpx.HTTPError as error:
            self._ledger.errors[f"{kind} {type(error).__name__}"] += 1
            self._ledger.unanswered[kind] += 1
            return None
        finally:
            self._ledger.times[kind].append(time.monotonic() - begun)
        if answer.status_code in TRY_AGAIN:
            self._note(kind, answer)
        return answer

    def _note(self, kind: str, answer: httpx.Response) -> None:
        self._ledger.errors[f"{kind} {answer.status_code}"] += 1
        if answer.headers["content-type"] == "application/problem+json":
            self._ledger.codes[answer.json()["code"]] += 1
        if answer.status_code == 500:
            self.wrong(f"{kind}: 500 {answer.text[:200]}")

    def wrong(self, what: str) -> None:
        """Note what must not be."""
        self._ledger.wrong.append(what)

    async def submit(self, url: str, body: dict[str, Any]) -> str | None:
        """A job, asked for under one name as often as needed."""
        self._count += 1
        name = f"{self._name}-{self._count}"
        self._ledger.bodies[name] = (url, body)
        return await self.insist(name)

    async def insist(self, name: str) -> str | None:
        """Ask again for what was asked under that name."""
        url, body = self._ledger.bodies[name]
        headers = {"Idempotency-Key": name}
        answer = await self.ask(f"POST {url}", "POST", url, json=body, headers=headers)
        if answer is None:
            return None
        if answer.status_code != 202:
            self._ledger.refused.add(name)
            removed = self._ledger.removal(body.get("job_id", ""))
            if answer.status_code not in (404, 409) or removed is None:
                self.wrong(f"{name}: {url}: {answer.status_code} {answer.text[:200]}")
            return None
        job = str(answer.json()["job"]["id"])
        self._ledger.jobs[name].add(job)
        return job

    async def upload(self, data: bytes) -> str | None:
        """A dataset; a try without an answer may have made another one."""
        sha256 = hashlib.sha256(data).hexdigest()
        answer = await self.ask(
            "POST /v1/datasets",
            "POST",
            "/v1/datasets?name=soak.csv",
            content=data,
            headers={"Content-Type": CSV},
        )
        made = answer is not None and answer.status_code == 201
        self._ledger.uploads[sha256] += self.tries - made
        if answer is None:
            return None
        if not made:
            self.wrong(f"upload: {answer.status_code} {answer.text[:200]}")
            return None
        dataset = str(answer.json()["id"])
        if answer.json()["sha256"] != sha256:
            self.wrong(f"upload: another sha256 of {dataset}")
        self._ledger.datasets[dataset] = sha256
        return dataset

    async def remove(self, path: str) -> None:
        """Have something removed; it is gone only when somebody said so."""
        before = self._ledger.removals.setdefault(path, "")
        self._ledger.removals[path] = ASKED
        kind = f"DELETE {path.rpartition('/')[0]}/{{id}}"
        answer = await self.ask(kind, "DELETE", path)
        if answer is None:
            return
        again = before != "" or self.tries > 1
        if answer.status_code == 204 or (answer.status_code == 404 and again):
            self._ledger.removals[path] = GONE
            return
        self._ledger.removals.pop(path)
        if answer.status_code != 409:  # something is made of it now: it stays
            self.wrong(f"DELETE {path}: {answer.status_code} {answer.text[:200]}")

    async def inline(self, model: str, rows: int, seed: int, format: str) -> bool:
        """Rows within a request; whether there were any."""
        asked: Asked = (model, rows, seed, format)
        body = {"model_id": model, "rows": rows, "seed": seed, "format": format, "inline": True}
        answer = await self.ask(
            "POST /v1/generate inline",
            "POST",
            "/v1/generate",
            json=body,
            headers=self._inline_key,
        )
        made = answer is not None and answer.status_code == 200
        self._ledger.inline += rows * made
        self._ledger.inline_doubtful += rows * (self.tries - made)
        if answer is not None and made:
            self._ledger.sums[asked].add(hashlib.sha256(answer.content).hexdigest())
        elif answer is not None:
            self.wrong(f"inline: {answer.status_code} {answer.text[:200]}")
        return made

    async def look_at_dataset(self, dataset: str) -> None:
        """All that the API shows of a dataset."""
        path = dataset_path(dataset)
        for what in ("", "/preview", "/profile"):
            kind = f"GET /v1/datasets/{{id}}{what}"
            answer = await self.ask(kind, "GET", f"{path}{what}")
            if answer is None or answer.status_code != 200:
                self.wrong(f"{path}{what}: {_said(answer)}")
            elif not what and answer.json()["sha256"] != self._ledger.datasets[dataset]:
                self.wrong(f"{dataset}: another sha256 than was uploaded")

    async def look_at_report(self, evaluation: str) -> None:
        """The report of an evaluation, as data and as a page."""
        path = f"/v1/evaluations/{evaluation}"
        kind = "GET /v1/evaluations/{id}"
        answer = await self.ask(kind, "GET", path)
        if answer is None or answer.status_code != 200 or not answer.json()["report"]:
            self.wrong(f"{path}: no report: {_said(answer)}")
        page = await self.ask(f"{kind}/report", "GET", f"{path}/report")
        if page is None or page.status_code != 200 or "</html>" not in page.text:
            self.wrong(f"{path}/report: no page: {_said(page)}")

    async def look_for(self, path: str) -> None:
        """That something which is gone is gone."""
        kind = f"GET {path.rpartition('/')[0]}/{{id}}"
        answer = await self.ask(kind, "GET", path)
        if answer is None or answer.status_code != 404:
            self.wrong(f"{path} was removed, and is there: {_said(answer)}")


def _said(answer: httpx.Response | None) -> str:
    return "no answer" if answer is None else f"{answer.status_code} {answer.text[:200]}"
