"""Each release has its code: an upgrade of the package changes nothing until it is deployed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tabular.deploy.image.code import Code, digest
from tabular.deploy.plan import Action, Plan
from tabular.deploy.provider import State
from tabular.deploy.standalone.code import keep, problem
from tabular.deploy.standalone.release import KEPT_RELEASES
from tabular.errors import ApplyError, EngineError, NotFoundError, StalePlanError
from tests.deploy.standalone.place import ROOT, Place, describe, wait_for

KEPT_BY_A_DYING_CLIENT = """
import os, signal, sys
from pathlib import Path
from tabular.deploy.image.code import Code, digest
from tabular.deploy.standalone.code import keep
from tabular.deploy.standalone.layout import Layout


class Dying(dict):
    def items(self):
        yield next(iter(super().items()))
        os.kill(os.getpid(), signal.SIGKILL)


class Read(Code):
    def read(self):
        return Dying(super().read())


package = Read(Path(sys.argv[1]))
keep(Layout(Path(sys.argv[2]), Path(sys.argv[3])), package, digest(Code(package.folder).read()))
"""


def _changes(plan: Plan, resource: str) -> dict[str, tuple[object, object]]:
    found = (change for change in plan.changes if change.resource == resource)
    return {p.path: (p.before, p.after) for change in found for p in change.properties}


def _name(place: Place) -> str:
    return digest(Code(place.package).read())


def test_what_dies_comes_back_with_the_code_it_was_deployed_with(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    own = str(place.layout(deployment).code(_name(place)))
    place.install("two")
    for resource in ("api", "worker"):
        (before,) = place.alive(deployment, resource)
        os.kill(before, signal.SIGKILL)
        wait_for(lambda r=resource, b=before: place.alive(deployment, r) not in ([], [b]), resource)
        (now,) = place.alive(deployment, resource)
        assert psutil.Process(now).environ()["PYTHONPATH"].split(os.pathsep)[0] == own
    wait_for(lambda: place.running_code(deployment) == "one", "the old code")
    place.kill_supervisor(deployment)
    os.kill(place.alive(deployment, "api")[0], signal.SIGKILL)
    engine, target = place.provider().engine, place.provider().target(deployment)
    assert engine.status(target).state is State.READY
    assert place.running_code(deployment) == "one"
    assert engine.drift(target)[0].properties[0].path != "code"


def test_a_change_of_code_alone_is_planned_deployed_and_rolled_back(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    one, first = _name(place), place.serving(deployment)
    place.install("two")
    two = _name(place)
    plan = place.plan(deployment)
    assert _changes(plan, "api") == _changes(plan, "worker") == {"code": (one, two)}
    assert plan.count(Action.UPDATE) == 2
    place.deploy(deployment)
    assert place.running_code(deployment) == "two"
    assert place.plan(deployment).is_empty

    engine, target = place.provider().engine, place.provider().target(deployment)
    back = engine.preview_rollback(target)
    assert _changes(back, "api") == {"code": (two, one)}
    assert _changes(back, "description")["release"] == (place.serving(deployment), first)
    list(engine.rollback(back))
    assert (place.serving(deployment), place.running_code(deployment)) == (first, "one")
    assert _changes(place.plan(deployment), "api") == {"code": (one, two)}
    place.install("one")
    assert place.plan(deployment).is_empty
    assert place.codes(deployment) == {one}


@pytest.mark.slow
def test_releases_share_a_copy_and_those_that_nobody_needs_go(place: Place) -> None:
    for workers in (1, 2):
        place.deploy(describe(compute={"workers": workers}))
    deployment = describe(compute={"workers": 2})
    assert place.codes(deployment) == {_name(place)}
    kept = [_name(place)] * 2
    for number in range(KEPT_RELEASES):
        place.install(f"number {number}")
        place.deploy(deployment)
        kept = [*kept, _name(place)][-KEPT_RELEASES:]
        assert place.codes(deployment) == set(kept)


def test_a_failed_upgrade_leaves_no_copy(place: Place) -> None:
    place.deploy(describe())
    kept = place.codes(describe())
    for number in range(2):
        place.install(f"broken {number}")
        with pytest.raises(ApplyError):
            place.deploy(describe(mode="crash"))
        assert place.codes(describe()) == kept
    assert place.running_code(describe()) == "one"


def test_code_that_changed_since_the_plan_is_refused(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    place.install("two")
    plan = place.plan(deployment)
    place.install("three")
    before = place.codes(deployment)
    with pytest.raises(StalePlanError, match="installed code"):
        list(place.provider().engine.apply(plan))
    assert place.codes(deployment) == before
    assert place.running_code(deployment) == "one"


def test_a_client_killed_while_it_copies_leaves_no_half_copy_to_use(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    place.install("two")
    (place.package / "more.py").write_text("MORE = 1\n", encoding="utf-8")
    layout, wanted = place.layout(deployment), _name(place)
    done = subprocess.run(
        [sys.executable, "-c", KEPT_BY_A_DYING_CLIENT, place.package, layout.state, layout.data],
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert not layout.code(wanted).exists()
    (half,) = (path for path in layout.codes.iterdir() if path.name.startswith("."))
    assert 0 < len([path for path in half.rglob("*") if path.is_file()]) < 2
    place.deploy(deployment)
    assert place.running_code(deployment) == "two"
    assert problem(layout, wanted) is None
    assert not any(name.startswith(".") for name in place.codes(deployment))

    # Killed once it had copied all, before it handed anything in; and a sweep that was killed.
    (place.package / "more.py").write_text("MORE = 2\n", encoding="utf-8")
    keep(layout, Code(place.package), _name(place))
    (layout.codes / ".half-0123").mkdir()
    place.install("three")
    place.deploy(deployment)
    assert len(place.codes(deployment)) == 3
    assert _name(place) in place.codes(deployment)


@pytest.mark.parametrize("wrong", ["altered", "missing"])
def test_a_copy_that_is_not_whole_is_seen_and_mended(place: Place, wrong: str) -> None:
    deployment = describe()
    place.deploy(deployment)
    file = place.layout(deployment).code(_name(place)) / "tabular" / "__init__.py"
    if wrong == "altered":
        file.write_text("CODE = 'forged'\n", encoding="utf-8")
    else:
        shutil.rmtree(file.parent.parent)  # processes keep bytecode beside it
    engine, target = place.provider().engine, place.provider().target(deployment)
    found = {d.resource: [(p.path, p.after) for p in d.properties] for d in engine.drift(target)}
    assert found == {"api": [("code", wrong)], "worker": [("code", wrong)]}
    assert _changes(place.plan(deployment), "api") == {"code": (wrong, _name(place))}
    place.deploy(deployment)
    assert engine.drift(target) == ()
    assert place.running_code(deployment) == "one"


def test_installed_code_never_stands_in_for_code_that_is_gone(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    copy = place.layout(deployment).code(_name(place))
    aside = copy.rename(copy.with_name("aside"))
    (api,) = place.alive(deployment, "api")
    os.kill(api, signal.SIGKILL)
    (slot,) = place.slots(deployment, "api")
    wait_for(lambda: "is gone" in place.slots(deployment, "api")[0].reason, "its reason")
    assert not place.alive(deployment, "api")
    aside.rename(copy)
    wait_for(lambda: place.running_code(deployment) == "one", "its return", 40)
    assert slot.port == place.port(deployment)


def test_a_rollback_without_its_code_is_refused_before_anything_is_touched(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    copy = place.layout(deployment).code(_name(place))
    place.install("two")
    place.deploy(deployment)
    processes = {process.pid for process in place.processes()}
    copy.rename(copy.with_name("aside"))
    engine, target = place.provider().engine, place.provider().target(deployment)
    with pytest.raises(EngineError, match=r"the code of r0001-.* is gone"):
        engine.preview_rollback(target)
    assert {process.pid for process in place.processes()} == processes


def test_a_plan_of_a_rollback_goes_stale(place: Place) -> None:
    for workers in (1, 2, 3):
        place.deploy(describe(compute={"workers": workers}))
    engine, target = place.provider().engine, place.provider().target(describe())
    plan, served = engine.preview_rollback(target), place.serving(describe())
    list(engine.rollback(plan))
    with pytest.raises(StalePlanError):
        list(engine.rollback(plan))
    assert place.serving(describe()) != served
    with pytest.raises(StalePlanError):
        list(engine.rollback(place.plan(describe(compute={"workers": 3}))))
    place.roll_back(describe())
    with pytest.raises(NotFoundError):
        engine.preview_rollback(target)


def test_a_copy_of_the_installed_package_is_whole(place: Place) -> None:
    layout, installed = place.layout(describe()), Code.installed()
    files = installed.read()
    keep(layout, installed, digest(files))
    copy = layout.code(digest(files))
    asked = (
        "import tabular.api, importlib.metadata as m; print(tabular.api.__file__); "
        "print(m.distribution('inferloop-tabular').locate_file('x'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked],
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    code, metadata = done.stdout.split()
    assert Path(code).is_relative_to(copy), "an editable checkout does not come before it"
    assert Path(metadata).is_relative_to(copy)
