"""podman or docker, as far as images go: which of them works here, building, looking, pushing."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabular.deploy.programs import run
from tabular.errors import EngineError, PreflightError, WaitTimeoutError

ENGINES = ("podman", "docker")
ARCHITECTURE = "amd64"
LOOK_TIMEOUT = 30.0  # seconds
WORK_TIMEOUT = 3600.0  # seconds of a build or a push: a slow line takes its time
_LAST = 8  # lines among which is the one that says why it failed
# Docker would put the image into a list together with a record of its build, which Lambda refuses.
_BUILD = {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
_NO_BASE = "where Docker Hub cannot be reached, name another image of Python 3.11: --base"
_AGAIN = "run the same command again: what is there already is not sent again"
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image of this machine.

    Attributes:
        id: digest of its configuration, or of its manifest where the engine keeps that.
        architecture: such as ``amd64``.
        size: bytes, unpacked.
        digests: of its manifests in the registries that it came from or went to.
    """

    id: str
    architecture: str
    size: int
    digests: frozenset[str]

    def is_what(self, manifest: str, configuration: str) -> bool:
        """Whether an image of a registry, by its two digests, is this very image."""
        return self.id in (manifest, configuration) or manifest in self.digests


class Builder:
    """A container engine of this machine.

    Args:
        program: its name, or where it is.
        tell: is given each line that it writes while it works.
    """

    def __init__(self, program: str, tell: Tell) -> None:
        self.program = program
        self._tell = tell

    @classmethod
    def find(cls, wanted: str | None, tell: Tell) -> Builder:
        """The engine that is wanted, or the first that works.

        Raises:
            PreflightError: none works; says what was tried.
        """
        tried = []
        for program in ENGINES if wanted is None else (wanted,):
            problem = why_not([program, "info"])
            if problem is None:
                return cls(program, tell)
            tried.append(problem)
        raise PreflightError(
            f"no container engine works here: {'; '.join(tried)}",
            where="--engine",
            hint="install podman, or install docker and start it; or build and push on another "
            "machine: the deploying one needs neither",
            code="engine.no-container-engine",
        )

    def look(self, reference: str) -> LocalImage | None:
        """An image of this machine; None where there is none of that name.

        Raises:
            EngineError: the engine says something else.
        """
        done = run(
            [self.program, "image", "inspect", reference],
            what=f"{self.program} image inspect",
            timeout=LOOK_TIMEOUT,
        )
        if done.returncode != 0:
            return None
        try:
            (found,) = json.loads(done.stdout)
            return _image(found)
        except (ValueError, KeyError, TypeError) as error:
            raise EngineError(
                f"{self.program} describes {reference} in words that are not understood",
                hint=f"`{self.program} image inspect {reference}`",
            ) from error

    def build(self, reference: str, context: Path, base: str) -> None:
        """Build the image of a context, for the processors that clouds have.

        Raises:
            EngineError: it does not come to an end.
        """
        argv = build_command([self.program], reference, context, base)
        platform = ["--platform", f"linux/{ARCHITECTURE}"]
        self._work([*argv[:2], *platform, *argv[2:]], "the build", _BUILD, _NO_BASE)

    def push(self, local: str, reference: str, auths: Mapping[str, str]) -> None:
        """Push an image under another name.

        Args:
            local: its name here.
            reference: its name there.
            auths: the secret of each registry, base64 of ``user:password``; it is in no command
                line, and in no file that stays.

        Raises:
            EngineError: it does not get there.
        """
        done = run(
            [self.program, "tag", local, reference],
            what=f"{self.program} tag",
            timeout=LOOK_TIMEOUT,
        )
        if done.returncode != 0:
            raise EngineError(f"{self.program} tag failed: {done.stderr.strip()[-300:]}")
        with _signed_in(auths) as variables:
            self._work([self.program, "push", reference], "the push", variables, _AGAIN)

    def _work(self, argv: Sequence[str], what: str, more: Mapping[str, str], hint: str) -> None:
        """Run a command that takes minutes, and tell its lines as they come."""
        last: collections.deque[str] = collections.deque(maxlen=_LAST)
        try:
            process = subprocess.Popen(
                argv, env={**os.environ, **more}, stdin=subprocess.DEVNULL, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
            )  # fmt: skip
        except OSError as error:
            raise EngineError(f"{self.program} cannot be started: {error}") from error
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(WORK_TIMEOUT, give_up)
        timer.start()
        try:
            for line in process.stdout or ():
                last.append(line.rstrip())
                self._tell(line.rstrip())
            process.wait()
        finally:
            timer.cancel()
            process.kill()
            process.wait()
        if late.is_set():
            raise WaitTimeoutError(f"{what} did not end within {WORK_TIMEOUT:g} s", hint=hint)
        if process.returncode != 0:
            why = _reason([line for line in last if line])
            raise EngineError(
                f"{what} failed ({self.program}): {why or process.returncode}", hint=hint
            )


def _reason(lines: Sequence[str]) -> str:
    """The line that says why; all of them were told already."""
    named = [line for line in lines if "error" in line.lower()]
    return (named or lines or [""])[-1].strip()


def build_command(engine: Sequence[str], reference: str, context: Path, base: str) -> list[str]:
    """How an image is built of a staged context."""
    recipe = str(context / "Containerfile")
    words = ["build", "--build-arg", f"BASE={base}", "-t", reference, "-f", recipe, str(context)]
    return [*engine, *words]


def why_not(argv: list[str], judge: Callable[[str], str | None] = lambda said: None) -> str | None:
    """What is wrong with a program, tried by a command that should succeed; None if nothing is.

    Args:
        argv: the command.
        judge: looks at what it wrote.
    """
    if shutil.which(argv[0]) is None:
        return f"{argv[0]} is not installed"
    try:
        done = run(argv, what=f"`{' '.join(argv)}`", timeout=LOOK_TIMEOUT)
    except EngineError as error:
        return error.message
    if done.returncode == 0:
        return judge(done.stdout)
    said = (done.stderr or done.stdout).strip().splitlines()
    return f"`{' '.join(argv)}` failed: {said[-1] if said else done.returncode}"


def _image(found: Mapping[str, Any]) -> LocalImage:
    digests = (name.partition("@")[2] for name in found.get("RepoDigests") or ())
    identity = str(found["Id"])
    return LocalImage(
        id=identity if ":" in identity else f"sha256:{identity}",
        architecture=str(found["Architecture"]),
        size=int(found["Size"]),
        digests=frozenset(digest for digest in digests if digest),
    )


@contextlib.contextmanager
def _signed_in(auths: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Variables with which podman and docker sign in to some registries, and only for the block.

    The rest of Docker's own configuration stays as it is: it says which daemon is asked. What
    keeps passwords is left out, so that nothing gets into it.
    """
    usual = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    with tempfile.TemporaryDirectory(prefix="inferloop-tabular-") as place:
        folder = Path(place)
        for path in usual.iterdir() if usual.is_dir() else ():
            if path.name != "config.json":
                (folder / path.name).symlink_to(path)
        said = {
            key: value
            for key, value in _configuration(usual / "config.json").items()
            if key not in ("auths", "credsStore", "credHelpers")
        }
        said["auths"] = {host: {"auth": secret} for host, secret in auths.items()}
        file = folder / "config.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(said), encoding="utf-8")
        yield {"DOCKER_CONFIG": str(folder), "REGISTRY_AUTH_FILE": str(file)}


def _configuration(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise PreflightError(
            f"the configuration of docker cannot be read: {error}", where=str(path)
        ) from error
