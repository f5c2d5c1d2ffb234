"""Kills, damage and a full disk: nothing is lost, nothing is taken for whole that is not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tabular.errors import IntegrityError, UnavailableError
from tabular.infra.database import Database, revision
from tabular.infra.storage import ObjectStore, open_store
from tabular.transfer.backup import Backup
from tabular.transfer.drill import check
from tabular.transfer.place import Place, create_place, look, open_place
from tabular.transfer.restore import restore_into
from tabular.transfer.sealing import Keys
from tabular.transfer.verify import verify
from tests.cli.command import run as tabular
from tests.platform import SECRET, environment, platform, upload
from tests.testbed.disk import fill, small_disk
from tests.transfer.conftest import PHRASE, PLAIN, Filled
from tests.transfer.runs import DONE, KILLED, run
from tests.transfer.test_command import command


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
    keys: Keys, source: Filled, store: ObjectStore, tmp_path: Path
) -> None:
    place = create_place(store, keys, SECRET)
    made = Backup(source.settings, place).run()
    assert verify(place, made.id, secret=SECRET).ok
    chance = random.Random(11)
    assert check(place, made.id, secret=SECRET)["ok"]  # which leaves a note
    for file in sorted((tmp_path / "backups").rglob("*")):
        if not file.is_file():
            continue
        of_place = file.parent == tmp_path / "backups"
        for how in damages(file, chance):
            opened = open_or_none(store, keys) if of_place else place
            assert not (opened and found_whole(opened, made.id)), (file.name, how)
    assert verify(place, made.id, secret=SECRET).ok


def damages(file: Path, chance: random.Random) -> Iterator[str]:
    """Flips a bit of a file, cuts it and removes it, one after the other; then it is whole."""
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
    for how, damaged in (("flipped", bytes(flipped)), ("cut", whole[:-1])):
        file.write_bytes(damaged)
        yield how
    if "/checks/" not in file.as_posix():  # a note that is not there was never made
        file.unlink()
        yield "missing"
    file.write_bytes(whole)


def open_or_none(store: ObjectStore, keys: Keys) -> Place | None:
    """The place, unless it is found damaged."""
    try:
        return open_place(store, keys)
    except IntegrityError:
        return None


def found_whole(place: Place, backup: str) -> bool:
    """Whether it is listed and read without a complaint."""
    if backup not in place.ids():
        return False
    return verify(place, backup, secret=SECRET).ok


@pytest.mark.parametrize("name", ["place.json", "key.age"])
@pytest.mark.slow
def test_damage_of_the_place_itself_is_exit_code_1_and_says_which_file(
    name: str, source: Filled, store: ObjectStore, tmp_path: Path
) -> None:
    Backup(source.settings, create_place(store, PHRASE, SECRET)).run()
    url, phrase = f"{tmp_path.as_uri()}/backups", {"PHRASE": str(PHRASE.passphrase)}
    asked = ("--from", url, "--passphrase", "env:PHRASE")

    def verified(code: int) -> str:
        done = tabular("backup", "verify", *asked, home=tmp_path / "home", extra=phrase)
        assert done.code == code, done.out + done.err
        return " ".join(done.out.split())

    for file in sorted((tmp_path / "backups").glob(f"{name}@*")):
        for how in damages(file, random.Random(5)):
            said = verified(1)
            assert f"{name} is" in said, (how, said)
            assert "from another copy" in said
        if file.name.endswith("@ref"):
            file.rename(tmp_path / "away")
            found, _ = command("verify", *asked, env=phrase, code=1)
            assert f"{name} is missing" in found["damaged"][0]
            (tmp_path / "away").rename(file)
    verified(0)


@pytest.mark.parametrize("damage", ["flipped", "cut", "missing", "record", "replaced"])
def test_damage_of_the_target_is_found_before_a_row_is_written(
    damage: str, source: Filled, plain: Place, tmp_path: Path
) -> None:
    """What the target says of an object is not what it gives back."""
    Backup(source.settings, plain).run()
    manifest, _ = plain.read(plain.latest(None))
    folder = tmp_path / "new"
    store, url = open_store(f"{folder.as_uri()}/objects"), f"sqlite:///{folder}/tabular.db"
    rows = next(entry for entry in manifest.objects if entry.key.endswith("rows.csv"))

    def spoil(point: str) -> None:
        if point == "objects":
            spoiled(folder / "objects", rows.key, damage)

    with pytest.raises(IntegrityError, match=f"1 came back other .* {rows.key}") as refused:
        restore_into(plain, manifest, url, store, at=spoil)
    assert refused.value.hint is not None
    assert "run the same restore again" in refused.value.hint
    assert revision(Database(url)) is None  # not even the tables were made
    done = restore_into(plain, manifest, url, store)
    assert done.copied == 1
    with platform(folder) as one:
        one.client.headers["Authorization"] = f"Bearer {source.key}"
        for job, made in ((source.job, source.rows), (source.split, source.split_rows)):
            assert one.client.get(f"/v1/jobs/{job}/result").content == made


def spoiled(objects: Path, key: str, damage: str) -> None:
    """Damage an object of a store of files."""
    record = objects / f"{key}@ref"
    (data,) = (file for file in record.parent.glob(f"{record.name[:-4]}@*") if file != record)
    whole = data.read_bytes()
    if damage == "missing":
        data.unlink()
    elif damage == "record":
        record.unlink()
    elif damage == "replaced":  # by somebody who knows the format, record and all
        open_store(objects.as_uri()).put(key, whole.replace(b"red", b"rod"))
    else:
        data.write_bytes(whole[:-1] if damage == "cut" else whole[:99] + b"?" + whole[100:])


def test_an_object_that_goes_after_the_comparison_is_missed_too(
    source: Filled, plain: Place, tmp_path: Path
) -> None:
    Backup(source.settings, plain).run()
    manifest, _ = plain.read(plain.latest(None))
    store, url = open_store(f"{tmp_path.as_uri()}/new"), f"sqlite:///{tmp_path}/new.db"
    key = manifest.objects[0].key

    def remove(point: str) -> None:
        if point == "migrated":
            store.delete(key)

    with pytest.raises(IntegrityError, match="not there any more"):
        restore_into(plain, manifest, url, store, at=remove)
    assert restore_into(plain, manifest, url, store).copied == 1
    assert {info.key for info in store.list()} == {entry.key for entry in manifest.objects}


@pytest.mark.root
def test_a_full_disk_ends_a_backup_that_then_goes_on(source: Filled, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "12m") as disk:
        place = create_place(open_store(f"{disk.as_uri()}/backups"), PLAIN, SECRET)
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
