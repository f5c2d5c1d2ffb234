"""Kills, damage and a full disk: nothing is lost, nothing is taken for whole that is not."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tabular.errors import UnavailableError
from tabular.infra.storage import ObjectStore, open_store
from tabular.transfer.backup import Backup
from tabular.transfer.drill import check
from tabular.transfer.place import Place, create_place, look, open_place
from tabular.transfer.restore import restore_into
from tabular.transfer.verify import verify
from tests.platform import SECRET, environment, platform, upload
from tests.testbed.disk import fill, small_disk
from tests.transfer.conftest import PHRASE, PLAIN, Filled
from tests.transfer.runs import DONE, KILLED, run


def times(folder: Path) -> dict[str, int]:
    """When each file was written."""
    return {
        file.relative_to(folder).as_posix(): file.stat().st_mtime_ns
        for file in folder.rglob("*")
        if file.is_file() and "@ref" not in file.name
    }


def test_a_backup_that_is_killed_again_and_again_gets_whole(tmp_path: Path) -> None:
    env = environment(tmp_path / "platform")
    with platform(tmp_path / "platform") as one:
        for number in range(3):
            upload(one.client, b"a,b\n" + f"{number},2\n".encode() * 30)
        folder = tmp_path / "backups"
        kept: dict[str, int] = {}
        ended = KILLED
        for kill_at in (1, 2, 3, 5, 8, 12, 15, 18, 21, 100):
            ended = run("create", str(folder), "", kill_at, env)
            blobs = times(folder / "blobs") if folder.exists() else {}
            assert kept.items() <= blobs.items(), "a whole blob was written a second time"
            kept = blobs
            if ended == DONE:
                break
            if folder.exists():
                assert look(open_store(folder.as_uri())).known() == []
        assert ended == DONE
        # The holds of those killed end by themselves; this one took its own away.
        place = open_place(open_store(folder.as_uri()), PLAIN)
        assert check(place, place.latest(None), restore=True, secret=SECRET)["ok"]


@pytest.mark.parametrize("first", [1, 3, 6, 9, 13, 17])
def test_a_restore_that_is_killed_goes_on(
    first: int, source: Filled, plain: Place, tmp_path: Path
) -> None:
    made = Backup(source.settings, plain).run()
    folder, target = tmp_path / "backups", tmp_path / "new"
    env = environment(tmp_path)
    assert run("restore", str(folder), str(target), first, env) == KILLED
    kept: dict[str, int] = {}
    ended, kill_at = KILLED, first
    for _ in range(6):
        kill_at += 4
        before = {n: t for n, t in times(target / "objects").items() if "transfer/" not in n}
        assert kept.items() <= before.items(), "a whole object was written a second time"
        kept = before
        ended = run("restore", str(folder), str(target), kill_at, env)
        if ended == DONE:
            break
    if ended != DONE:
        assert run("restore", str(folder), str(target), 10_000, env) == DONE
    store = open_store(f"{target.as_uri()}/objects")
    assert len(list(store.list())) == made.objects  # and no marker, and no journal
    with platform(target) as one:
        one.client.headers["Authorization"] = f"Bearer {source.key}"
        assert one.client.get(f"/v1/jobs/{source.job}/result").content == source.rows


@pytest.mark.parametrize("keys", [PLAIN, PHRASE], ids=["plain", "encrypted"])
def test_any_flipped_byte_any_missing_and_any_cut_file_is_found(
    keys: object, source: Filled, store: ObjectStore, tmp_path: Path
) -> None:
    place = create_place(store, keys)  # type: ignore[arg-type]
    made = Backup(source.settings, place).run()
    assert verify(place, made.id, secret=SECRET).ok
    chance = random.Random(11)
    files = [
        file
        for file in sorted((tmp_path / "backups").rglob("*"))
        if file.is_file() and file.name.partition("@")[0] not in ("place.json", "key.age")
    ]
    for file in files:
        whole = file.read_bytes()
        flipped = bytearray(whole)
        flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        for damaged in (bytes(flipped), whole[:-1], None):
            if damaged is None:
                file.unlink()
            else:
                file.write_bytes(damaged)
            assert not found_whole(place, made.id), (file.name, damaged is None)
        file.write_bytes(whole)
    assert verify(place, made.id, secret=SECRET).ok


def found_whole(place: Place, backup: str) -> bool:
    """Whether it is listed and read without a complaint."""
    if backup not in place.ids():
        return False
    return verify(place, backup, secret=SECRET).ok


def test_a_changed_object_with_a_right_record_of_the_store_is_found_too(
    source: Filled, plain: Place
) -> None:
    """Somebody who knows the store's format replaces an object; the manifest knows better."""
    made = Backup(source.settings, plain).run()
    manifest, _ = plain.read(made.id)
    entry = next(entry for entry in manifest.objects if entry.key.endswith("rows.csv"))
    plain.store.put(f"blobs/{entry.blob[:2]}/{entry.blob}", source.rows.replace(b"red", b"rod"))
    found = check(plain, made.id, secret=SECRET)
    assert not found["ok"]
    assert entry.blob in found["damaged"][0]
    assert look(plain.store).known()[0].checks[-1]["ok"] is False


def test_a_file_that_does_not_belong_there_is_told(source: Filled, plain: Place) -> None:
    made = Backup(source.settings, plain).run()
    plain.store.put("blobs/zz/extra", b"what is this")
    found = verify(plain, made.id, secret=SECRET)
    assert found.extra == ("blobs/zz/extra",)
    assert not found.ok


def test_a_damaged_backup_is_not_restored(source: Filled, plain: Place, tmp_path: Path) -> None:
    made = Backup(source.settings, plain).run()
    manifest, _ = plain.read(made.id)
    chunk = next(table for table in manifest.tables if table.name == "jobs").chunks[0]
    text = b"".join(plain.get(chunk))
    plain.store.put(f"blobs/{chunk.blob[:2]}/{chunk.blob}", text.replace(b"generate", b"venerate"))
    url = f"sqlite:///{tmp_path}/new.db"
    with pytest.raises(UnavailableError, match="damaged"):
        restore_into(plain, manifest, url, open_store(f"{tmp_path.as_uri()}/new"))
    result = check(plain, made.id, restore=True)
    assert not result["ok"]


@pytest.mark.root
def test_a_full_disk_ends_a_backup_that_then_goes_on(source: Filled, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk:
        place = create_place(open_store(f"{disk.as_uri()}/backups"), PLAIN)
        filler = fill(disk, room=60_000)
        with pytest.raises(UnavailableError, match="full"):
            Backup(source.settings, place).run()
        assert place.ids() == []
        filler.unlink()
        made = Backup(source.settings, place).run()
        assert verify(place, made.id, secret=SECRET).ok
        filler = fill(disk, room=60_000)
        manifest, _ = place.read(made.id)
        new = open_store(f"{disk.as_uri()}/new")
        with pytest.raises(UnavailableError, match="full"):
            restore_into(place, manifest, f"sqlite:///{tmp_path}/new.db", new)
        filler.unlink()
        done = restore_into(place, manifest, f"sqlite:///{tmp_path}/new.db", new)
        assert done.objects == made.objects
