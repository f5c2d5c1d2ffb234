"""A disk without room at any write: what serves serves on, and the same command ends it later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tabular.deploy.standalone import journal
from tabular.deploy.standalone.requests import read_operation
from tabular.errors import ApplyError, PreflightError
from tests.cli.command import run
from tests.deploy.standalone.place import Place, describe, wait_for
from tests.testbed.disk import PAGE, fill, small_disk

pytestmark = pytest.mark.root
# Pages of room that are left when the operation is handed in. With so many the upgrade of the
# stand-in gets through; with fewer it fails at another write each time.
ENOUGH = 5
RESERVE = journal.RESERVE // PAGE


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Place]:
    with small_disk(tmp_path / "disk", "4m") as disk:
        place = Place(disk / "home")
        yield place
        place.close()


@pytest.mark.parametrize("room", range(ENOUGH))
def test_an_upgrade_without_room_leaves_the_old_release_serving(small: Place, room: int) -> None:
    first, second = describe(), describe(compute={"workers": 2})
    small.deploy(first)
    served, pids = small.serving(first), {p.pid for p in small.processes()}
    filler = fill(small.path.parent, room * PAGE)
    with pytest.raises((PreflightError, ApplyError), match=r"KiB free in .*/demo") as caught:
        small.deploy(second)
    assert "No space left on device" in caught.value.message
    assert caught.value.code == "engine.storage"
    assert "free some space" in str(caught.value.hint)
    assert getattr(caught.value, "rolled_back", True)
    assert small.serving(first) == served
    assert {p.pid for p in small.processes()} == pids
    assert small.plan(first).is_empty

    filler.unlink()
    small.deploy(second)
    assert small.serving(second) == small.state(second).current != served
    assert len(small.processes()) == 5


@pytest.mark.parametrize("room", [0, RESERVE - 1, *range(RESERVE + 2, RESERVE + 11)])
def test_a_first_deploy_without_room_leaves_nothing(small: Place, room: int) -> None:
    deployment = describe()
    small.path.mkdir()
    filler = fill(small.path.parent, room * PAGE)
    with pytest.raises((PreflightError, ApplyError), match="No space left on device"):
        small.deploy(deployment)
    wait_for(lambda: not small.processes(), "end of all")
    assert not (small.path / "data").exists() or not any((small.path / "data").rglob("*.*"))
    filler.unlink()
    small.deploy(deployment)
    assert len(small.processes()) == 4


@pytest.mark.parametrize("delete_data", [False, True])
def test_destroy_on_a_full_disk_succeeds(small: Place, delete_data: bool) -> None:
    deployment = describe()
    small.deploy(deployment)
    fill(small.path.parent)
    engine, target = small.provider().engine, small.provider().target(deployment)
    list(engine.destroy(target, delete_data=delete_data))
    assert not small.processes()
    assert not small.layout(deployment).state.exists()
    assert bool(engine.list()) != delete_data


def test_where_the_reserve_was_eaten_it_is_said_and_goes_on_by_itself(small: Place) -> None:
    deployment = describe()
    small.deploy(deployment)
    engine, target = small.provider().engine, small.provider().target(deployment)
    events = engine.destroy(target, delete_data=True)
    filler = fill(small.path.parent)
    try:
        list(events)
    except PreflightError as error:
        assert "the destroy cannot go on" in error.message
        assert "goes on by itself" in str(error.hint)
    filler.unlink()
    wait_for(lambda: not small.layout(deployment).state.exists(), "the rest")
    assert engine.list() == ()


def test_a_supervisor_started_on_a_full_disk_looks_after_its_children(small: Place) -> None:
    deployment = describe()
    small.deploy(deployment)
    api = small.alive(deployment, "api")
    first = small.kill_supervisor(deployment)
    filler = fill(small.path.parent)
    engine, target = small.provider().engine, small.provider().target(deployment)
    assert "its processes had gone on" in engine.status(target).detail
    assert small.alive(deployment, "api") == api
    filler.unlink()
    small.deploy(describe(compute={"workers": 2}))
    assert small.state(deployment).pid != first
    assert len(small.processes()) == 5


def test_a_room_that_is_full_while_an_apply_waits_is_told_and_the_apply_ends(small: Place) -> None:
    first, changed = describe(), describe(mode="slow-migration")
    small.deploy(first)
    served = small.serving(first)
    events = small.deploying(changed)
    assert next(events)
    small.layout(first).reserve.unlink()
    filler = fill(small.path.parent)
    with pytest.raises((PreflightError, ApplyError), match="No space left on device"):
        list(events)
    assert small.serving(first) == served
    filler.unlink()
    operation = small.layout(first)
    wait_for(lambda: bool((o := read_operation(operation)) and o.done), "the end of it")
    if not small.plan(changed).is_empty:
        small.deploy(changed)
    assert str(small.serving(changed)).startswith("r000")
    assert small.serving(changed) == small.state(changed).current != served
    assert len(small.processes()) == 4


@pytest.mark.slow
def test_the_commands_say_it_and_are_repeated(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "32m") as disk:
        where = ("--home", str(disk / "home"))
        first = run("deploy", "--yes", *where, home=tmp_path)
        assert first.code == 0, first.err
        filler = fill(disk)
        update = ("deploy", "--yes", "--set", "spec.compute.workers=2", *where)
        refused = run(*update, home=tmp_path)
        assert refused.code in (1, 5)
        assert "KiB free in" in refused.err
        assert "Traceback" not in refused.err
        filler.unlink()
        again = run(*update, home=tmp_path)
        assert again.code == 0, again.err
        fill(disk)
        gone = run("destroy", "--yes", *where, home=tmp_path)
        assert "Traceback" not in gone.err
        if gone.code:
            # The record of who did what comes first, and it had no room: nothing was begun.
            assert "engine.audit" in gone.err
            (disk / "filler").unlink()
            assert run("destroy", "--yes", *where, home=tmp_path).code == 0
        assert run("list", "--json", *where, home=tmp_path).json[0]["state"] == "retained"
