"""The doctor tries what a deploy needs: each lack is found before it and comes with its mend."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tabular.deploy.provider import Check, ProviderOptions
from tabular.deploy.standalone import postgres
from tabular.deploy.standalone.doctor import checks
from tabular.deploy.standalone.layout import Home
from tabular.deploy.standalone.provider import StandaloneProvider
from tabular.errors import PreflightError
from tests.deploy.standalone.place import Place, describe
from tests.testbed.disk import fill, small_disk
from tests.testbed.parts import missing


def _found(home: Path, runtime: str | None = None) -> dict[str, Check]:
    options = ProviderOptions(home=home, runtime=runtime)
    return {check.name: check for check in StandaloneProvider(options).doctor()}


def test_a_fit_machine_is_found_fit_and_left_as_it_was(tmp_path: Path) -> None:
    found = _found(tmp_path / "not" / "there")
    assert [check for check in found.values() if not check.ok] == []
    assert list(tmp_path.iterdir()) == []
    assert "free ports" in found["ports"].detail


@pytest.mark.parametrize("make", ["file", "dangling link", "below a file", "proc", "long name"])
def test_a_folder_that_cannot_be_made_is_found(tmp_path: Path, make: str) -> None:
    place = tmp_path / "home"
    if make == "file":
        place.touch()
    elif make == "dangling link":
        place.symlink_to(tmp_path / "nowhere" / "at" / "all")
    elif make == "below a file":
        place.touch()
        place /= "below"
    elif make == "proc":
        place = Path("/proc/home")
    else:
        place = tmp_path / ("x" * 300)
    found = _found(place)
    for name in ("state folder", "data folder"):
        assert not found[name].ok, found[name]
        assert "--home" in found[name].hint


def test_one_of_two_trees_may_be_the_wrong_one(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    found = {c.name: c for c in checks(Home(tmp_path / "state", tmp_path / "data"), None)}
    assert found["state folder"].ok
    assert not found["data folder"].ok


_AS_ANOTHER = """
import os, sys
from pathlib import Path
from tabular.deploy.standalone.doctor import checks
from tabular.deploy.standalone.layout import Home
os.setgroups([]); os.setgid(65534); os.setuid(65534)
home = Home.at(Path(sys.argv[1]))
print(*(f"{c.name}|{c.ok}|{c.detail}|{c.hint}" for c in checks(home, None)), sep="\\n")
"""


@pytest.mark.root
@pytest.mark.parametrize("place", ["open", "open/theirs", "open/used", "closed/home"])
def test_what_belongs_to_somebody_else_is_found(request: pytest.FixtureRequest, place: str) -> None:
    if os.geteuid() != 0:
        missing("becoming another user needs root")
    # pytest's own folder is closed to others, as it should be.
    tmp_path = Path(tempfile.mkdtemp(prefix="doctor-"))
    request.addfinalizer(lambda: shutil.rmtree(tmp_path))
    tmp_path.chmod(0o755)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open" / "theirs").mkdir()
    used = tmp_path / "open" / "used"
    for folder in (used, used / "deployments", used / "data"):
        folder.mkdir()
        folder.chmod(0o777)
    (used / "deployments" / "production").mkdir(mode=0o700)
    (tmp_path / "closed").mkdir(mode=0o700)
    told = subprocess.run(
        [sys.executable, "-c", _AS_ANOTHER, str(tmp_path / place)],
        capture_output=True, text=True, check=True, cwd="/",
    ).stdout  # fmt: skip
    found = {line.split("|")[0]: line.split("|") for line in told.splitlines()}
    assert (found["state folder"][1] == "True") == (place == "open"), told
    if place != "open":
        assert "chown" in found["state folder"][3]


@pytest.mark.root
def test_a_read_only_and_a_full_disk_are_found(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        assert not _found(disk / "home")["disk"].ok, "1 MiB is too little"
        filler = fill(disk)
        assert "No space left" in _found(disk / "home")["data folder"].detail
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        found = _found(disk / "home")
        assert "Read-only file system" in found["state folder"].detail
        assert "--home" in found["state folder"].hint


def test_low_limits_are_found(tmp_path: Path) -> None:
    program = (
        "import resource, sys\nfrom pathlib import Path\n"
        "from tabular.deploy.standalone.doctor import checks\n"
        "from tabular.deploy.standalone.layout import Home\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "print([(c.name, c.hint) for c in checks(Home.at(Path(sys.argv[1])), None) if not c.ok])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "('open files', 'ulimit -n 1024 or more')" in done.stdout
    assert "('file size', 'ulimit -f unlimited')" in done.stdout
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 256


def test_the_port_of_the_containers_is_looked_at(tmp_path: Path) -> None:
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 8000))
            taken.listen()
        except OSError:
            pass  # somebody else holds it, which is as good
        check = _found(tmp_path, "container")["port 8000"]
    assert not check.ok
    assert "in use by" in check.detail
    assert "overrides.standalone.port" in check.hint


def test_the_server_of_postgresql_is_tried_as_the_user_it_runs_as(tmp_path: Path) -> None:
    if postgres.missing():
        missing(f"needs {postgres.missing()}")
    assert postgres.trouble() is None
    check = _found(tmp_path)["postgresql"]
    assert check.ok
    assert ("runs as inferloop-postgres" in check.detail) == (os.geteuid() == 0)


@pytest.mark.root
def test_root_without_the_right_to_become_another_is_found(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        missing("giving up a capability of root needs root")
    if postgres.missing():
        missing(f"needs {postgres.missing()}")
    program = (
        "from tabular.deploy.standalone.doctor import checks\n"
        "from tabular.deploy.standalone.layout import Home\nfrom pathlib import Path\nimport sys\n"
        "print([(c.name, c.hint) for c in checks(Home.at(Path(sys.argv[1])), None) if not c.ok])\n"
    )
    argv = ["setpriv", "--bounding-set=-setuid,-dac_read_search", sys.executable, "-c", program]
    done = subprocess.run([*argv, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "'postgresql'" in done.stdout
    assert "ordinary user" in done.stdout


def test_a_deploy_to_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(PreflightError, match="a home is a folder") as caught:
        Place(tmp_path / "home").deploy(describe())
    assert "--home" in str(caught.value.hint)
