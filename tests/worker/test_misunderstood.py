"""A store that took a removal for another one: what it said it did is looked at."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from tabular.infra.database import Database, migrate
from tabular.infra.database.models import Garbage
from tabular.infra.storage import open_store
from tabular.worker.garbage import GarbageBin
from tests.testbed.faults import ALWAYS, Fault, faults_before
from tests.testbed.s3 import BUCKET, S3

FOLDER = "datasets/ds_e972404c4f4b2a8281e8"


def test_what_the_store_did_not_remove_stays_named(s3: S3, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/rows.db")
    migrate(database)
    with faults_before(s3.endpoint) as proxy:
        url = f"s3://{BUCKET}/soak?endpoint={proxy.endpoint}"
        store = open_store(url, credentials=s3.credentials)
        garbage = GarbageBin(database, store)
        for name in ("data.csv", "profile.json"):
            store.put(f"{FOLDER}/{name}", b"a\n1\n")
        with database.transaction() as session:
            session.add(Garbage(prefix=FOLDER, pending=False, created_at=datetime.now(UTC)))
        # A bit of the key changes on its way, and this server does not check what it was sent.
        proxy.fault = Fault("flip-up", method="POST", path="delete", least=100, times=ALWAYS)
        assert garbage.empty() == 0
        proxy.fault = None
        assert len(store.keys_below(FOLDER)) == 2
        with database.session() as session:
            assert list(session.scalars(select(Garbage.prefix))) == [FOLDER]
        assert garbage.empty() == 1
        assert list(store.keys_below(FOLDER)) == []
    database.close()
