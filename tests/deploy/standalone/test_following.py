"""Following logs: past a rotation, past a new file, and to the end of the deployment."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tabular.deploy.image.code import Code
from tabular.deploy.provider import LogLine
from tabular.deploy.standalone import logs
from tabular.deploy.standalone.engine import ProcessEngine
from tabular.deploy.standalone.layout import Home, Layout, remove_tree
from tabular.deploy.target import Target
from tabular.errors import NotFoundError, WaitTimeoutError
from tests.cli.command import COMMAND
from tests.deploy.standalone.place import COMMANDS, Place, describe, wait_for


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Home.at(tmp_path).of(Target("standalone", "demo", "development"))
    found.make()
    return found


def _take(lines: Iterator[LogLine], count: int) -> list[str]:
    return [next(lines).text for _ in range(count)]


def test_a_line_that_is_not_finished_is_shown_whole_later(layout: Layout) -> None:
    log = layout.log("api-0")
    log.write_text("one\ntwo\nthr", encoding="utf-8")
    following = logs.read(layout, follow=True, tail=1)
    assert _take(following, 1) == ["two"]
    with log.open("a") as stream:
        stream.write("ee\nfour\n")
    assert _take(following, 2) == ["three", "four"]


def test_no_line_is_lost_or_shown_twice_where_a_log_is_rotated(layout: Layout) -> None:
    log = layout.log("api-0")
    log.write_text("old\n" * 10, encoding="utf-8")
    following = logs.read(layout, follow=True, tail=1)
    assert _take(following, 1) == ["old"]
    with log.open("ab", buffering=0) as writer:
        writer.write(b"before\nhal")
        logs.rotate(layout, largest=20)
        writer.write(b"f\nafter\n")
    assert log.stat().st_size < 20
    assert _take(following, 3) == ["before", "half", "after"]


def test_a_log_emptied_or_replaced_by_hand_is_followed_from_its_beginning(layout: Layout) -> None:
    log = layout.log("api-0")
    log.write_text("a long line of before\n", encoding="utf-8")
    following = logs.read(layout, follow=True, tail=1)
    assert _take(following, 1) == ["a long line of before"]
    log.write_text("emptied\n", encoding="utf-8")
    assert _take(following, 1) == ["emptied"]
    log.rename(log.with_suffix(".old"))
    log.write_text("another file, and longer\n", encoding="utf-8")
    assert _take(following, 1) == ["another file, and longer"]
    layout.log("worker-0").write_text("new component\n", encoding="utf-8")
    assert _take(following, 1) == ["new component"]


def test_following_ends_after_the_last_line_where_the_folder_goes(layout: Layout) -> None:
    log = layout.log("api-0")
    log.write_text("first\n", encoding="utf-8")
    following = logs.read(layout, follow=True, tail=1)
    assert _take(following, 1) == ["first"]
    with log.open("a") as stream:
        stream.write("last\n")
    remove_tree(layout.state)
    assert [line.text for line in following] == ["last"]


def test_a_deployment_destroyed_meanwhile_is_said(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    engine, target = place.provider().engine, place.provider().target(deployment)
    following = engine.logs(target, follow=True, tail=5)
    assert next(following).text
    destroying = threading.Thread(target=lambda: list(engine.destroy(target, delete_data=True)))
    destroying.start()
    with pytest.raises(NotFoundError, match="was destroyed") as caught:
        list(following)
    destroying.join()
    assert caught.value.code == "not-found.destroyed"


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_ends_with_a_line_and_an_exit_code(place: Place, as_json: bool) -> None:
    deployment = describe()
    place.deploy(deployment)
    command = [COMMAND, "logs", "-f", "--home", place.path, *(["--json"] if as_json else [])]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert client.stdout is not None
    assert client.stdout.readline()
    list(place.provider().engine.destroy(place.provider().target(deployment), delete_data=True))
    out, err = client.communicate(timeout=30)
    assert client.returncode == 4
    assert "Traceback" not in err
    if as_json:
        assert json.loads(out.splitlines()[-1])["error"]["code"] == "not-found.destroyed"
    else:
        assert "its logs end here: the deployment was destroyed" in err


def test_interrupted_following_ends_quietly(place: Place) -> None:
    place.deploy(describe())
    client = subprocess.Popen(
        [COMMAND, "logs", "-f", "--home", place.path],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A shell's background job ignores SIGINT, and so would this child of it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )  # fmt: skip
    assert client.stdout is not None
    assert client.stdout.readline()
    client.send_signal(signal.SIGINT)
    assert client.communicate(timeout=30)[1] == ""
    assert client.returncode == 130


def test_a_key_that_takes_too_long_is_a_clear_error(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    hurried = ProcessEngine(place.home, COMMANDS, Code.installed(), key_timeout=0.001)
    with pytest.raises(WaitTimeoutError, match=r"making a key did not end within 0\.001 s") as late:
        hurried.issue_api_key(place.provider().target(deployment), "admin", only_first=True)
    assert "keys create" in str(late.value.hint)
    assert late.value.__cause__ is None
    wait_for(lambda: len(place.processes()) == 4, "nothing left of it")
