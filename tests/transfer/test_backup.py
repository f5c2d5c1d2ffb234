"""What a backup promises: made while the service runs, restored anywhere, the same as before."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyrage
import pytest
from sqlalchemy import inspect, select

from tabular.errors import ConfigError, IntegrityError, NotFoundError, RefusedError, UsageError
from tabular.infra.database import Database, head, migrate, revision
from tabular.infra.database.models import Garbage, Hold, Job
from tabular.infra.storage import ObjectStore, open_store
from tabular.transfer.backup import Backup
from tabular.transfer.drill import check
from tabular.transfer.hold import PRUNE, holding
from tabular.transfer.manifest import Manifest, Table, TableChunk
from tabular.transfer.place import Place, create_place, look, open_place
from tabular.transfer.restore import Restored, restore_into
from tabular.transfer.sealing import Keys, keygen
from tabular.transfer.tables import Shape, dump
from tabular.transfer.verify import prune, verify
from tabular.worker.garbage import GarbageBin
from tabular.worker.jobs import GENERATE, Jobs
from tests.platform import SECRET, finished, platform, submit, upload
from tests.testbed.s3 import S3
from tests.transfer.conftest import PARTS, PHRASE, PLAIN, Filled, fill


def restored(place: Place, folder: Path, database_url: str | None = None) -> Restored:
    """The newest backup of a place, in a folder of its own."""
    manifest, _ = place.read(place.latest(None), secret=SECRET)
    url = database_url or f"sqlite:///{folder}/tabular.db"
    return restore_into(place, manifest, url, open_store(f"{folder.as_uri()}/objects"))


def assert_serves_the_same(folder: Path, source: Filled, database_url: str | None = None) -> None:
    """A platform on restored data takes the same key and gives the same rows."""
    with platform(folder, database_url) as one:
        client = one.client
        client.headers["Authorization"] = f"Bearer {source.key}"
        assert client.get(f"/v1/datasets/{source.dataset}").status_code == 200
        assert client.get(f"/v1/jobs/{source.job}/result").content == source.rows
        assert client.get(f"/v1/jobs/{source.split}/result").content == source.split_rows
        asked = {"model_id": source.model, "rows": 500, "seed": 7, "format": "csv"}
        with one.worker():
            again = finished(client, submit(client, "/v1/generate", asked)["id"])
        assert client.get(f"/v1/jobs/{again['id']}/result").content == source.rows


@pytest.mark.slow
def test_a_restored_platform_takes_the_same_keys_and_draws_the_same_rows(
    source: Filled, store: ObjectStore, tmp_path: Path
) -> None:
    made = Backup(source.settings, create_place(store, PHRASE, SECRET)).run()
    assert made.objects >= 10
    done = restored(open_place(store, PHRASE), tmp_path / "new")
    assert done.rows["datasets"] == done.rows["models"] == 1
    assert done.objects == done.copied == made.objects
    assert_serves_the_same(tmp_path / "new", source)


def test_nothing_readable_lies_in_an_encrypted_backup(
    source: Filled, store: ObjectStore, tmp_path: Path
) -> None:
    Backup(source.settings, create_place(store, PHRASE, SECRET)).run()
    stored = b"".join(f.read_bytes() for f in (tmp_path / "backups").rglob("*") if f.is_file())
    for secret in (SECRET, source.dataset, source.key.split(".")[2], "table.csv", "colour"):
        assert secret.encode() not in stored
    assert source.rows[:200] not in stored


def test_an_unencrypted_backup_holds_no_secret_key(
    source: Filled, plain: Place, tmp_path: Path
) -> None:
    made = Backup(source.settings, plain).run()
    stored = b"".join(f.read_bytes() for f in (tmp_path / "backups").rglob("*") if f.is_file())
    assert SECRET.encode() not in stored
    assert b"colour" in stored
    with pytest.raises(ConfigError, match="not made with this secret key"):
        plain.read(made.id, secret="another secret key that is long enough")
    assert not verify(plain, made.id).sealed
    assert verify(plain, made.id, secret=SECRET).sealed


def test_the_command_of_age_opens_each_file(source: Filled, store: ObjectStore) -> None:
    text, public = keygen()
    place = create_place(store, Keys(recipients=(public,)), SECRET)
    made = Backup(source.settings, place).run()
    identity = pyrage.x25519.Identity.from_str(text.splitlines()[1])
    raw = b"".join(store.get(f"backups/{made.id}/manifest"))
    inside = json.loads(json.loads(pyrage.decrypt(raw, [identity]))["manifest"])
    assert inside["secret_key"] == SECRET
    rows = next(entry for entry in inside["objects"] if entry["key"].endswith("rows.csv"))
    blob = b"".join(store.get(f"blobs/{rows['blob'][:2]}/{rows['blob']}"))
    assert pyrage.decrypt(blob, [identity]) == source.rows
    with pytest.raises(UsageError, match="opens with the secret key"):
        place.read(made.id)
    assert open_place(store, Keys(identity=text)).read(made.id)[1]
    with pytest.raises(ConfigError, match="does not open"):
        open_place(store, Keys(identity=keygen()[0])).read(made.id)


def test_whoever_a_backup_is_for_opens_all_of_it_though_an_earlier_one_was_for_another(
    source: Filled, store: ObjectStore
) -> None:
    (first, first_public), (second, second_public) = keygen(), keygen()
    before = Backup(
        source.settings, create_place(store, Keys(recipients=(first_public,)), SECRET)
    ).run()
    made = Backup(
        source.settings, create_place(store, Keys(recipients=(second_public,)), SECRET)
    ).run()
    assert verify(open_place(store, Keys(identity=first)), before.id).ok
    found = verify(open_place(store, Keys(identity=second)), made.id)
    assert found.ok, found.damaged
    both = Keys(recipients=(first_public, second_public))
    shared = Backup(source.settings, create_place(store, both, SECRET)).run()
    assert verify(open_place(store, Keys(identity=first)), shared.id).ok
    assert (
        Backup(source.settings, create_place(store, both, SECRET)).run().added < shared.added / 10
    )


def test_encryption_is_said_or_nothing_is_written(source: Filled, store: ObjectStore) -> None:
    with pytest.raises(ConfigError, match="nothing says how to encrypt"):
        create_place(store, Keys(), SECRET)
    with pytest.raises(UsageError, match="fewer than 12"):
        create_place(store, Keys(passphrase="short"), SECRET)
    assert list(store.list()) == []
    create_place(store, PHRASE, SECRET)
    with pytest.raises(ConfigError, match="does not open"):
        open_place(store, Keys(passphrase="another phrase altogether"))
    with pytest.raises(ConfigError, match="age-passphrase"):
        create_place(store, PLAIN, SECRET)


def test_a_folder_of_other_things_is_left_alone(store: ObjectStore) -> None:
    store.put("mine.txt", b"mine")
    with pytest.raises(RefusedError, match=r"mine\.txt"):
        create_place(store, PLAIN, SECRET)
    with pytest.raises(NotFoundError, match="no backups"):
        look(store)


def test_the_second_backup_stores_only_what_is_new(store: ObjectStore, tmp_path: Path) -> None:
    with platform(tmp_path / "platform") as one:
        upload(one.client, b"a,b\n" + b"1,2\n" * 5000)
        first = Backup(one.settings, create_place(store, PHRASE, SECRET)).run()
        before = {info.key for info in store.list("blobs")}
        upload(one.client, b"a,b\n" + b"3,4\n" * 50)
        second = Backup(one.settings, create_place(store, PHRASE, SECRET)).run()
    assert first.added == first.size
    assert 0 < second.added < first.size / 2
    after = {info.key for info in store.list("blobs")}
    assert before < after
    place = open_place(store, PHRASE)
    gone, files = prune(place, keep=1)
    assert gone == [first.id]
    assert files > 0
    assert verify(place, second.id).ok
    assert verify(place, second.id).unreferenced == 0


def _a_minute_ago() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=1)


def test_whoever_cannot_read_backups_forgets_old_ones_all_the_same(
    source: Filled, store: ObjectStore
) -> None:
    text, public = keygen()
    writes = create_place(store, Keys(recipients=(public,)), SECRET)
    old = Backup(source.settings, writes, clock=_a_minute_ago).run()
    made = Backup(source.settings, writes).run()
    stray = "0" * 64
    store.put(f"blobs/00/{stray}", b"of a run that was killed")
    assert prune(writes, keep=1)[0] == [old.id]
    assert stray not in writes.blobs()
    found = verify(open_place(store, Keys(identity=text)), made.id)
    assert found.ok, found.damaged
    assert found.unreferenced == 0


@pytest.mark.parametrize("damage", ["emptied", "cut", "flipped", "no text"])
def test_by_a_damaged_list_of_needed_files_nothing_is_removed(
    source: Filled, plain: Place, store: ObjectStore, damage: str
) -> None:
    Backup(source.settings, plain, clock=_a_minute_ago).run()
    made = Backup(source.settings, plain).run()
    key, blobs = f"backups/{made.id}/blobs", plain.blobs()
    whole = b"".join(store.get(key))
    other = b"0" if whole[-1:] != b"0" else b"1"
    store.put(
        key,
        {
            "emptied": b"",
            "cut": whole[:-65],
            "flipped": whole[:-1] + other,
            "no text": b"\xff" + whole,
        }[damage],
    )
    with pytest.raises(IntegrityError, match="damaged"):
        prune(plain, keep=1)
    assert plain.blobs() == blobs
    (said,) = verify(plain, made.id).damaged
    assert "damaged" in said


def test_administrators_and_alarms_are_told_of_a_whole_backup(plain: Place, tmp_path: Path) -> None:
    ago = datetime.now(UTC) - timedelta(hours=2)
    age = r"^tabular_backup_age_seconds\{.*\} (.+)$"
    with platform(tmp_path / "never") as one:
        (since_the_key,) = re.findall(age, one.client.get("/metrics").text, re.MULTILINE)
    assert float(since_the_key) < 600
    with platform(tmp_path / "platform") as one:
        made = Backup(one.settings, plain, clock=lambda: ago).run()
        (event,) = one.client.get("/v1/audit?event=backup.made").json()["items"]
        assert (event["resource"], event["name"]) == (made.id, plain.where)
        (since_the_backup,) = re.findall(age, one.client.get("/metrics").text, re.MULTILINE)
    assert 7200 <= float(since_the_backup) < 7800


def test_a_place_is_one_platforms(source: Filled, store: ObjectStore) -> None:
    _, public = keygen()
    keys = Keys(recipients=(public,))
    Backup(source.settings, create_place(store, keys, SECRET)).run()
    with pytest.raises(RefusedError, match="another platform") as caught:
        create_place(store, keys, "a secret key of another platform")
    assert "prefix of its own" in str(caught.value.hint)


def test_a_backup_does_not_build_on_what_is_just_being_forgotten(
    source: Filled, plain: Place
) -> None:
    database = Database(source.settings.database_url)
    with contextlib.ExitStack() as forgetting:
        forgetting.enter_context(holding(database, PRUNE))
        waited: list[float] = []

        def sleep(seconds: float) -> None:
            assert plain.blobs() == set()
            waited.append(seconds)
            if len(waited) == 2:
                forgetting.close()

        made = Backup(source.settings, plain, sleep=sleep).run()
    assert len(waited) == 2
    assert verify(plain, made.id).ok
    database.close()


def test_a_drill_is_noted_beside_the_backup(source: Filled, store: ObjectStore) -> None:
    made = Backup(source.settings, create_place(store, PHRASE, SECRET)).run()
    assert look(store).known()[0].checks == ()
    found = check(open_place(store, PHRASE), made.id, restore=True)
    assert found["ok"], found
    assert found["restored"]["objects"] == made.objects
    assert sum(found["restored"]["rows"].values()) == made.rows
    listed = look(store).known()[0]
    assert listed.summary == made
    assert [note["kind"] for note in listed.checks] == ["drill"]


def test_a_platform_with_data_is_not_restored_into(
    source: Filled, plain: Place, tmp_path: Path
) -> None:
    Backup(source.settings, plain).run()
    manifest, _ = plain.read(plain.latest(None), secret=SECRET)
    with platform(tmp_path / "other") as one:
        other = upload(one.client, b"x,y\n1,2\n3,4\n")
        url, store = one.settings.database_url, open_store(one.settings.storage_url)
        before = [info.key for info in store.list()]
        with pytest.raises(RefusedError, match="not empty"):
            restore_into(plain, manifest, url, store)
        assert [info.key for info in store.list()] == before
        assert one.client.get(f"/v1/datasets/{other}").status_code == 200
        restore_into(plain, manifest, url, store, replace=True)
        assert {info.key for info in store.list()} == {e.key for e in manifest.objects}
    assert_serves_the_same(tmp_path / "other", source)


def test_jobs_that_ran_wait_again(plain: Place, tmp_path: Path) -> None:
    with platform(tmp_path / "platform") as one:
        database = one.service.database
        jobs = Jobs(database, max_tries=3)
        with database.transaction() as session:
            for _ in range(3):
                jobs.submit(session, GENERATE, {}, created_by="key")
        ran, asked = jobs.claim("w"), jobs.claim("w")
        assert ran
        assert asked
        jobs.cancel(asked.job.id)
        Backup(one.settings, plain).run()
        jobs.beat(ran, 0.5)  # it goes on there: the backup took nothing away
    done = restored(plain, tmp_path / "new")
    assert (done.requeued, done.cancelled) == (1, 1)
    there = Database(f"sqlite:///{tmp_path}/new/tabular.db")
    with there.session() as session:
        rows = {job.id: job for job in session.scalars(select(Job))}
    assert sorted(job.status for job in rows.values()) == ["cancelled", "queued", "queued"]
    again = rows[ran.job.id]
    assert (again.status, again.tries, again.attempt, again.worker) == ("queued", 0, 1, None)
    assert rows[asked.job.id].finished_at is not None
    assert Jobs(there, max_tries=3).claim("w")


def test_what_is_deleted_meanwhile_is_kept_until_the_backup_has_it(
    plain: Place, tmp_path: Path
) -> None:
    with platform(tmp_path / "platform") as one:
        dataset = upload(one.client, b"a,b\n1,2\n3,4\n")
        store = open_store(one.settings.storage_url)
        objects = [info.key for info in store.list()]

        def delete(point: str) -> None:
            if point == "tables":
                assert one.client.delete(f"/v1/datasets/{dataset}").status_code == 204
                assert GarbageBin(one.service.database, store).empty() == 0

        made = Backup(one.settings, plain, at=delete).run()
        assert made.objects == len(objects)
        assert one.client.get(f"/v1/datasets/{dataset}").status_code == 404
        assert GarbageBin(one.service.database, store).empty() == 1
        assert list(store.list()) == []
    restored(plain, tmp_path / "new")
    with platform(tmp_path / "new") as one:
        assert one.client.get(f"/v1/datasets/{dataset}").status_code == 200
    assert verify(plain, made.id).ok


def test_a_hold_whose_holder_died_ends_by_itself(tmp_path: Path) -> None:
    with platform(tmp_path) as one:
        now = datetime.now(UTC)
        with one.service.database.transaction() as session:
            ends = now + timedelta(minutes=5)
            session.add(Hold(id="h", reason="backup", created_at=now, expires_at=ends))
            session.add(Garbage(prefix="jobs/x", pending=False, created_at=now))
        store = open_store(one.settings.storage_url)
        assert GarbageBin(one.service.database, store).empty() == 0
        later = now + timedelta(minutes=6)
        assert GarbageBin(one.service.database, store, clock=lambda: later).empty() == 1


def test_under_load_every_backup_is_whole(plain: Place, tmp_path: Path) -> None:
    """Uploads and deletions all the time; what each backup says is there, together."""
    with platform(tmp_path / "platform") as one:
        stop = threading.Event()
        failures: list[str] = []

        def churn() -> None:
            mine: list[str] = []
            number = 0
            while not stop.is_set():
                number += 1
                data = b"a,b\n" + f"{number},{number}\n".encode() * 20
                mine.append(upload(one.client, data))
                if len(mine) > 3:
                    gone = one.client.delete(f"/v1/datasets/{mine.pop(0)}")
                    if gone.status_code != 204:
                        failures.append(gone.text)
                GarbageBin(one.service.database, open_store(one.settings.storage_url)).empty()

        thread = threading.Thread(target=churn)
        thread.start()
        try:
            made = [Backup(one.settings, plain).run() for _ in range(3)]
        finally:
            stop.set()
            thread.join()
    assert failures == []
    for number, summary in enumerate(made):
        folder = tmp_path / f"new-{number}"
        manifest, _ = plain.read(summary.id, secret=SECRET)
        store = open_store(f"{folder.as_uri()}/objects")
        done = restore_into(plain, manifest, f"sqlite:///{folder}/t.db", store)
        assert done.objects == 3 * done.rows["datasets"]


def test_an_older_schema_is_migrated_and_a_newer_one_refused(
    source: Filled, plain: Place, tmp_path: Path
) -> None:
    Backup(source.settings, plain).run()
    manifest, _ = plain.read(plain.latest(None), secret=SECRET)
    older = as_of(manifest, "0002", plain, source, tmp_path)
    folder = tmp_path / "older"
    url = f"sqlite:///{folder}/tabular.db"
    done = restore_into(plain, older, url, open_store(f"{folder.as_uri()}/objects"))
    assert done.migrated == "0002"
    assert revision(Database(url)) == head()
    assert_serves_the_same(folder, source)
    newer = manifest.model_copy(
        update={"summary": manifest.summary.model_copy(update={"revision": "9999"})}
    )
    with pytest.raises(RefusedError, match="revision 9999"):
        restore_into(plain, newer, f"sqlite:///{tmp_path}/n.db", open_store("memory://newer"))


def as_of(manifest: Manifest, wanted: str, place: Place, source: Filled, folder: Path) -> Manifest:
    """The manifest that the release of that schema would have written."""
    database = Database(source.settings.database_url)
    before = Database(f"sqlite:///{folder}/before.db")
    migrate(before, to=wanted)
    with before.connection() as connection:
        known = inspect(connection)
        there = {
            name: {str(column["name"]) for column in known.get_columns(name)}
            for name in known.get_table_names()
        }
    tables = []
    for table in manifest.tables:
        if table.name not in there:
            continue
        columns = {name: kind for name, kind in table.columns if name in there[table.name]}
        shape = Shape(table.name, columns)
        chunks = []
        with database.snapshot() as connection:
            for chunk in dump(connection, shape):
                blob = TableChunk(
                    blob=chunk.sha256, size=len(chunk.data), sha256=chunk.sha256, rows=chunk.rows
                )
                place.put(blob, iter([chunk.data]))
                chunks.append(blob)
        tables.append(Table(name=table.name, columns=shape.pairs(), chunks=tuple(chunks)))
    summary = manifest.summary.model_copy(update={"revision": wanted})
    return manifest.model_copy(update={"summary": summary, "tables": tuple(tables)})


def test_a_schema_of_another_release_is_not_backed_up(plain: Place, tmp_path: Path) -> None:
    with platform(tmp_path) as one:
        migrate(one.service.database, to="0003")
        migrate(one.service.database)
        with one.service.database.connection() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0999'")
        with pytest.raises(RefusedError, match="revision 0999"):
            Backup(one.settings, plain).run()


@pytest.mark.parametrize("way", ["there", "back"])
@pytest.mark.slow
def test_rows_move_between_postgresql_with_s3_and_sqlite_with_files(
    way: str,
    s3: S3,
    bucket_url: str,
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in s3.environ.items():
        monkeypatch.setenv(name, value)
    servers = (postgres_url, {"TABULAR_STORAGE_URL": bucket_url, **PARTS})
    files: tuple[str | None, dict[str, str]] = (None, PARTS)
    (first_url, first), (second_url, second) = (
        (servers, files) if way == "there" else (files, servers)
    )
    backups = create_place(open_store(bucket_url.replace("/test-", "/backups-")), PHRASE, SECRET)
    with platform(tmp_path / "one", first_url, **first) as one:
        with one.worker():
            source = fill(one)
        made = Backup(one.settings, backups).run()
    manifest, _ = backups.read(made.id)
    folder = tmp_path / "two"
    url = second_url or f"sqlite:///{folder}/tabular.db"
    to = second.get("TABULAR_STORAGE_URL", f"{folder.as_uri()}/objects")
    done = restore_into(backups, manifest, url, open_store(to))
    assert done.objects == made.objects
    with platform(folder, second_url, **second) as one:
        one.client.headers["Authorization"] = f"Bearer {source.key}"
        assert one.client.get(f"/v1/jobs/{source.job}/result").content == source.rows
        assert one.client.get(f"/v1/jobs/{source.split}/result").content == source.split_rows
        upload(one.client, b"a,b\n1,2\n3,4\n")  # rows are numbered on after the restored ones
        again = Backup(one.settings, backups).run()
    assert again.added < made.size
    assert check(backups, again.id, restore=True)["ok"]
