"""What a run left behind, to be damaged: a real platform has done a little of everything once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from tabular.infra.database import Database
from tabular.infra.storage import ObjectStore, open_store
from tests.platform import ENDED, environment, platform, table
from tests.soak.chaos import MACHINE, NETWORK
from tests.soak.clients import LARGE, Client, who
from tests.soak.inspection import inspect
from tests.soak.ledger import Ledger, dataset_path, job_path
from tests.soak.verdict import judge, settle

ALL = Counter(dict.fromkeys((*MACHINE, *NETWORK), 1))
MORE = {"TABULAR_PART_ROWS": "262144"}
OTHER = "0" * 64


Work = Callable[[Client, Ledger], Awaitable[None]]


@dataclass
class Soaked:
    """What a run left behind, to be damaged."""

    folder: Path
    ledger: Ledger
    keys: list[str]

    def ask(self, work: Work) -> None:
        """Have a client do something."""
        asyncio.run(_with_client(self.folder, self.ledger, self.keys, work))

    @property
    def database(self) -> Database:
        """Its rows."""
        return Database(environment(self.folder)["TABULAR_DATABASE_URL"])

    @property
    def store(self) -> ObjectStore:
        """Its objects."""
        return open_store(environment(self.folder)["TABULAR_STORAGE_URL"])

    def execute(self, statement: Any) -> None:
        """Change rows."""
        with self.database.transaction() as session:
            session.execute(statement)

    def add(self, row: Any) -> None:
        """One row more."""
        with self.database.transaction() as session:
            session.add(row)

    def row(self, table: Any, **which: str) -> Any:
        """One row."""
        with self.database.session() as session:
            return session.scalars(select(table).filter_by(**which)).first()

    def damage(self, key: str) -> None:
        """Change a byte of an object."""
        folder = self.folder / "objects"
        (data,) = [one for one in folder.glob(f"{key}@*") if not one.name.endswith("@ref")]
        data.write_bytes(b"\xff" + data.read_bytes()[1:])

    @property
    def generation(self) -> str:
        """A generation whose rows are there."""
        kept = self.ledger.succeeded("generate")
        return next(job for job in kept if self.ledger.removal(job) is None)

    @property
    def dataset(self) -> str:
        """The dataset that the model learned from."""
        return next(iter(self.ledger.sources.values()))

    def inspected(self) -> list[str]:
        """What is wrong behind the API."""
        inspect(self.database, self.store, self.ledger)
        return self.ledger.wrong

    def settled(self) -> list[str]:
        """What is wrong as the API tells it."""
        self.ask(_settle)
        return self.ledger.wrong

    def judged(self, done: Counter[str] = ALL, met: Counter[str] = ALL, **more: Any) -> list[str]:
        """What is wrong with what was told."""
        return judge(self.ledger, done, met, more.pop("left_out", {}), **{"seconds": 3, **more})


async def _with_client(folder: Path, ledger: Ledger, keys: list[str], work: Work) -> None:
    """Have a client ask a platform; the keys are made for the first one."""
    with platform(folder, **MORE) as one, one.worker() if not keys else nullcontext():
        transport = httpx.ASGITransport(app=one.client.app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://soak", timeout=60
        ) as http:
            if not keys:
                made = [one.service.keys.issue(name, ["admin"]) for name in ("soak", "inline")]
                keys += [key.key for key in made]
                ledger.principals = (await who(http, keys[0]), await who(http, keys[1]))
            http.headers["Authorization"] = f"Bearer {keys[0]}"
            await work(Client(http, ledger, 1, keys[1]), ledger)


async def _settle(client: Client, ledger: Ledger) -> None:
    await settle([client], ledger, drain=1, patience=0.1)


async def _end(client: Client, job: str | None) -> dict[str, Any]:
    assert job is not None
    while (state := await client.state(job)) is None or state["status"] not in ENDED:
        await asyncio.sleep(0.05)
    return state


async def a_little_of_everything(client: Client, ledger: Ledger) -> None:
    kept, removed = [await client.upload(table(rows)) for rows in (300, 200)]
    assert kept and removed
    await client.remove(dataset_path(removed))
    fitted = await _end(client, await client.submit("/v1/models", {"dataset_id": kept}))
    model = fitted["model_id"]
    ledger.sources[model] = kept
    await client.inline(model, 10, 0, "csv")
    for rows in (10, 10, LARGE):
        body = {"model_id": model, "rows": rows, "seed": 0, "format": "csv"}
        await _end(client, await client.submit("/v1/generate", body))
    last, *_ = ledger.succeeded("generate")
    ledger.followed[last] = "succeeded"
    body = {"dataset_id": kept, "job_id": last}
    await _end(client, await client.submit("/v1/evaluations", body))
    body = {"model_id": model, "rows": 7, "seed": 0, "format": "csv"}
    made = await _end(client, await client.submit("/v1/generate", body))
    await client.remove(job_path(made["id"]))
