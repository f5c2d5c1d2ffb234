"""Helm as a program of the user's, for those whose rules name the Helm that may touch a cluster.

It does what Helm in this process does, to the same records, so either can go on where the other
was. Values go to its input and the way to the cluster into its environment's files, so nothing
secret is in a list of processes. It ends with us, so a client that is killed leaves no second
writer behind.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.releases import KEPT
from tabular.deploy.onprem.rendered.library import NAME
from tabular.errors import ConfigError, EngineError, TabularError, WaitTimeoutError

from .seam import NOT_FOUND, explained, whole

VARIABLE = "INFERLOOP_TABULAR_HELM"
OLDEST = (3, 8)  # of January 2022; what is older was not looked at
_SERVER_SIDE = (4, 0)  # from here on it applies as servers do, and can be told to
_ASKING = 60.0  # seconds for a question
_GRACE = 10.0  # seconds to end by itself, after its own limit or when it was told to end
_PAUSE = 0.2  # seconds between two looks whether it was told to end
_VERSION = re.compile(r"v?(\d+)\.(\d+)")
_CHART_VERSION = re.compile(r"-v?(\d+\.\d+\.\d+.*)$")
_PREFIX = re.compile(r"^(?:Error: )?(?:[A-Z]+ FAILED: )?")
# A guard starts the program, and ends both when nobody holds the other end of its pipe any more, as
# a client that is killed does. By SIGKILL: a signal that Helm hears would make it write, when
# another client may have taken over. Other signals are the program's to answer.
_GUARD = """
import _thread, os, signal, sys
pipe, program = int(sys.argv[1]), sys.argv[2:]
os.set_inheritable(pipe, False)
child = os.fork()
if not child:
    os.execv(program[0], program[1:])
def end():
    os.read(pipe, 1)
    os.killpg(0, signal.SIGKILL)
signal.signal(signal.SIGTERM, lambda *_: None)
_thread.start_new_thread(end, ())
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
if code < 0:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


class HelmBinary:
    """Helm as a program, for one namespace.

    Args:
        program: its path, or its name on ``PATH``.
        cluster: gives the way there.
        namespace: of the releases.
        chart: its folder.

    Raises:
        ConfigError: there is no such program, it is no Helm, or it is too old.
    """

    def __init__(self, program: str, cluster: Cluster, namespace: str, chart: Path) -> None:
        self._program, self._version = looked_up(program)
        # Helm would say what is wrong with a kubeconfig in words that say not what to do.
        cluster.require()
        self._way = ["--namespace", namespace]
        if cluster.kubeconfig is not None:
            self._way += ["--kubeconfig", cluster.kubeconfig]
        if cluster.context is not None:
            self._way += ["--kube-context", cluster.context]
        self._chart = chart
        self._cancelled = False
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._records: dict[tuple[str, int], dict[str, Any]] = {}

    def install(self, name: str, values: Mapping[str, Any], limit: float) -> None:
        """Make a release."""
        said = [name, str(self._chart), "--values", "-"]
        self._run("install", said, limit, json.dumps(values, ensure_ascii=False))

    def upgrade(self, name: str, values: Mapping[str, Any], limit: float) -> None:
        """Make a release in the place of another one."""
        said = [name, str(self._chart), "--values", "-", "--reset-values", *self._again()]
        self._run("upgrade", said, limit, json.dumps(values, ensure_ascii=False))

    def rollback(self, name: str, revision: int, limit: float) -> None:
        """Make a release as an earlier one was."""
        self._run("rollback", [name, str(revision), *self._again()], limit)

    def history(self, name: str) -> Sequence[Mapping[str, Any]]:
        """Releases, oldest first."""
        try:
            found = self._ask("history", name, "--max", "256")
        except TabularError as error:
            if NOT_FOUND not in error.message:
                raise
            found = []
        found.sort(key=lambda one: int(one["revision"]))
        if found != self._rows.get(name):
            self._records.clear()
        self._rows[name] = found
        return tuple(found)

    def get(self, name: str, revision: int) -> Mapping[str, Any]:
        """A release with its values, manifest and description.

        Each is asked for once, until somebody releases: a question is a process of its own, and a
        history has ten of them.
        """
        row = self._row(name, revision) or self._row(name, revision, anew=True)
        if row is None:
            raise explained(NOT_FOUND, f"helm get {name}")
        key = (name, revision)
        if key not in self._records:
            self._records[key] = self._ask("status", name, "--revision", str(revision))
        found, version = self._records[key], _CHART_VERSION.search(str(row["chart"]))
        return {
            "config": found.get("config"),
            "info": {"description": row["description"], "last_deployed": row["updated"]},
            "summary": {
                "manifest": found["manifest"],
                "chart_version": version[1] if version else str(row["chart"]),
            },
        }

    def uninstall(self, name: str, limit: float) -> None:
        """Remove a release and its history; none is no error."""
        try:
            self._run("uninstall", [name], limit)
        except TabularError as error:
            if NOT_FOUND not in error.message:
                raise

    def cancel(self) -> None:
        """End an install or upgrade that runs in another thread."""
        self._cancelled = True

    def _again(self) -> list[str]:
        """How a release is made that is not the first one."""
        kept = ["--history-max", str(KEPT)]
        return [*kept, "--server-side=true"] if self._version >= _SERVER_SIDE else kept

    def _row(self, name: str, revision: int, *, anew: bool = False) -> Mapping[str, Any] | None:
        rows = self.history(name) if anew else self._rows.get(name, ())
        return next((one for one in rows if int(one["revision"]) == revision), None)

    def _run(self, what: str, said: Sequence[str], limit: float, values: str = "") -> None:
        """Have it do something.

        Raises:
            WaitTimeoutError: it did not end within its limit.
            TabularError: it failed, and why.
        """
        where = f"helm {what} {said[0]}"
        self._cancelled = False
        self._records.clear()  # they may have been mended for it
        seconds = whole(limit)
        words = [what, *said, *self._way, "--timeout", f"{seconds}s"]
        with self._started(words) as process:
            try:
                told, wrong = self._ended(process, values, seconds + _GRACE)
            except subprocess.TimeoutExpired as error:
                raise WaitTimeoutError(f"not ready within {limit:.0f} s", where=where) from error
        if process.returncode:
            raise explained(_sentence(wrong or told, process.returncode), where)

    def _ended(self, process: subprocess.Popen[str], values: str, limit: float) -> tuple[str, str]:
        """Wait for its end; what was told to end and does not is killed."""
        deadline, given, told = time.monotonic() + limit, values or None, False
        while True:
            try:
                return process.communicate(given, timeout=_PAUSE)
            except subprocess.TimeoutExpired:
                given, now = None, time.monotonic()
                if now > deadline:
                    raise
                if self._cancelled and not told:
                    os.killpg(process.pid, signal.SIGTERM)
                    deadline, told = min(deadline, now + _GRACE), True

    def _ask(self, what: str, name: str, *more: str) -> Any:
        """Its answer to a question."""
        where = f"helm {what} {name}"
        with self._started([what, name, *more, *self._way, "--output", "json"]) as process:
            try:
                told, wrong = process.communicate(timeout=_ASKING)
            except subprocess.TimeoutExpired as error:
                raise WaitTimeoutError(f"no answer within {_ASKING:.0f} s", where=where) from error
        if process.returncode:
            raise explained(_sentence(wrong or told, process.returncode), where)
        try:
            return json.loads(told)
        except ValueError as error:
            raise EngineError(
                "Helm's answer is not the JSON that was asked for",
                where=where,
                hint=f"run it by hand; {VARIABLE} may name something that is not Helm",
            ) from error

    @contextmanager
    def _started(self, words: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
        """The program for the time of the block; what then still runs of it is killed."""
        theirs, ours = os.pipe()
        guard = [sys.executable, "-I", "-S", "-c", _GUARD, str(theirs), self._program]
        try:
            process = subprocess.Popen(
                [*guard, NAME, *words],  # it may go by the name it was called with
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,  # Ctrl-C is ours: an apply goes on, or is cancelled by us
                pass_fds=(theirs,),
            )
        finally:
            os.close(theirs)
        with process:
            try:
                yield process
            finally:
                os.close(ours)


def _environment() -> dict[str, str]:
    """Ours without what would lead Helm to another cluster, or to records kept elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HELM_")}


def looked_up(named: str) -> tuple[str, tuple[int, int]]:
    """Path and version, major and minor, of the Helm that is named.

    Args:
        named: its path, or its name on ``PATH``.

    Raises:
        ConfigError: there is no such program, it is no Helm, or it is too old.
    """
    path = shutil.which(named)
    if path is None:
        raise _refused(f"{VARIABLE} names no program: {named}")
    said = _said_version(path)
    found = _VERSION.match(said)
    if found is None:
        raise _refused(f"{path} is no helm: {said[:300]}")
    version = int(found[1]), int(found[2])
    if version < OLDEST:
        raise _refused(f"{path} is helm {said}, which is too old")
    return path, version


def _said_version(path: str) -> str:
    words = [path, "version", "--template", "{{.Version}}"]
    try:
        done = subprocess.run(
            words,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ASKING,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_ASKING:.0f} s"
    except OSError as error:
        return error.strerror or str(error)
    return done.stdout.strip() or _sentence(done.stderr, done.returncode)


def _refused(message: str) -> ConfigError:
    oldest = ".".join(map(str, OLDEST))
    return ConfigError(
        message,
        where=VARIABLE,
        hint=f"the path of a helm {oldest} or newer, or its name on PATH; without {VARIABLE} Helm "
        "runs within this program",
        code="config.helm",
    )


def _sentence(text: str, code: int) -> str:
    """What Helm says is wrong, without its warnings and the name of what it did."""
    lines = text.strip().splitlines()
    first = next((n for n, line in enumerate(lines) if line.startswith("Error: ")), 0)
    said = _PREFIX.sub("", "\n".join(lines[first:])).strip()
    return said or f"it ended with {f'signal {-code}' if code < 0 else code}, and said nothing"
