"""Builds Kubernetes 1.20.2 from Debian's source package: the newest that a Debian mirror has.

``python -m tests.testbed.kube.build`` makes it, once a machine, and says where it lies. It needs
apt-get and dpkg, a Debian mirror, a Go compiler out of it, 4 GB of disk while it works, and no
root: apt keeps its state in the folder of the build.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.testbed.venvs import cache

VERSION = "1.20.2"
COMMANDS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
MIRROR = "http://deb.debian.org/debian"
_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_REFLECT = "github.com/modern-go/reflect2"
_BINARIES = (
    "golang-1.19-go",
    "golang-1.19-src",
    "golang-github-modern-go-reflect2-dev",
    "etcd-server",
)
_PACKAGE = "k8s.io/kubernetes"
_PLACES = ("component-base/version", "client-go/pkg/version")


class BuildError(Exception):
    """A step of the build failed."""


def home() -> Path:
    """Where the programs lie once they are built."""
    return cache() / f"kube-{VERSION}"


def build(say: Callable[[str], None] = lambda _: None) -> Path:
    """Build the programs, unless they are there; gives their folder.

    Raises:
        BuildError: a step failed; the text holds the end of its output.
    """
    done = home()
    with Path(f"{done}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes start at once
        if all((done / name).exists() for name in ("etcd", *COMMANDS)):
            return done
        work = Path(f"{done}.build")
        shutil.rmtree(work, ignore_errors=True)
        made = _Build(work, say).run()
        shutil.rmtree(done, ignore_errors=True)
        made.rename(done)
        shutil.rmtree(work, ignore_errors=True)
    return done


class _Build:
    """One build in a folder of its own."""

    def __init__(self, work: Path, say: Callable[[str], None]) -> None:
        self.work, self._say = work, say
        self._started = time.monotonic()
        self.source = work / "gopath" / "src" / _PACKAGE

    def run(self) -> Path:
        """Do all steps; gives the folder of the programs."""
        for name in ("apt/lists/partial", "apt/cache/archives/partial", "debs", "root", "made"):
            (self.work / name).mkdir(parents=True)
        self._download()
        self._unpack()
        self._generate()
        self._compile()
        shutil.copy2(self.work / "root/usr/bin/etcd", self.work / "made" / "etcd")
        return self.work / "made"

    def _download(self) -> None:
        if not _KEYS.exists():
            raise BuildError(f"needs {_KEYS}: apt-get install debian-archive-keyring")
        apt = self.work / "apt"
        sources = [
            f"{kind} [signed-by={_KEYS}] {_mirror()} bookworm main" for kind in ("deb", "deb-src")
        ]
        (apt / "sources.list").write_text("\n".join(sources) + "\n")
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout
        (apt / "apt.conf").write_text(
            f'Dir::Etc::sourcelist "{apt / "sources.list"}";\n'
            'Dir::Etc::sourceparts "/dev/null";\n'
            f'Dir::State::lists "{apt / "lists"}";\nDir::Cache "{apt / "cache"}";\n'
            f'APT::Sandbox::User "{user.strip()}";\nAcquire::Languages "none";\n'
        )
        env = {"APT_CONFIG": str(apt / "apt.conf")}
        debs = self.work / "debs"
        self._step("package lists", "apt-get", "update", "-q", env=env)
        self._step("packages", "apt-get", "download", "-q", *_BINARIES, env=env, cwd=debs)
        source = ("apt-get", "source", "-q", "--download-only", "kubernetes")
        self._step("Kubernetes' source", *source, env=env, cwd=debs)

    def _unpack(self) -> None:
        debs, root = self.work / "debs", self.work / "root"
        for deb in sorted(debs.glob("*.deb")):
            self._step(f"unpacked {deb.name}", "dpkg", "-x", str(deb), str(root))
        archive = _only(debs, f"kubernetes_*{VERSION}.orig.tar.gz")
        self.source.mkdir(parents=True)
        tar = ("tar", "xzf", str(archive), "-C", str(self.source), "--strip-components=1")
        self._step("unpacked Kubernetes", *tar)
        # The release's own copy of this library does not work with a Go as new as Debian's.
        shutil.rmtree(self.source / "vendor" / _REFLECT)
        newer = root / "usr/share/gocode/src" / _REFLECT
        shutil.copytree(newer, self.source / "vendor" / _REFLECT)

    def _generate(self) -> None:
        """Write the OpenAPI definitions, which the source package lacks."""
        tool = str(self.work / "openapi-gen")
        self._go("openapi-gen", "-o", tool, "./vendor/k8s.io/kube-openapi/cmd/openapi-gen")
        package = f"{_PACKAGE}/pkg/generated/openapi"
        self._step(
            "OpenAPI definitions",
            tool,
            "--logtostderr",
            *("-i", ",".join(self._annotated())),
            *("-p", package, "-O", "zz_generated.openapi"),
            *("-h", "vendor/k8s.io/code-generator/hack/boilerplate.go.txt"),
            *("-r", str(self.work / "violations")),
            env=self._go_variables(),
            cwd=self.source,
        )

    def _annotated(self) -> list[str]:
        """The Go packages with types for OpenAPI, by the annotation in their files."""
        found = set()
        for top in ("pkg", "cmd", "staging/src/k8s.io"):
            for file in (self.source / top).rglob("*.go"):
                where = file.parent.relative_to(self.source).as_posix()
                if "/code-generator/" in f"/{where}/" or "/sample-apiserver/" in f"/{where}/":
                    continue
                if b"+k8s:openapi-gen=" in file.read_bytes():
                    found.add(f"{_PACKAGE}/{where.replace('staging/src/', 'vendor/', 1)}")
        return sorted(found)

    def _compile(self) -> None:
        flags = ["-s", "-w"]
        for place in _PLACES:
            name = f"{_PACKAGE}/vendor/k8s.io/{place}"
            flags += ["-X", f"{name}.gitVersion=v{VERSION}"]
            flags += ["-X", f"{name}.gitMajor=1", "-X", f"{name}.gitMinor=20"]
        into = f"{self.work / 'made'}/"
        commands = [f"./cmd/{name}" for name in COMMANDS]
        self._go("programs", "-ldflags", " ".join(flags), "-o", into, *commands)

    def _go(self, what: str, *words: str) -> None:
        go = str(self.work / "root/usr/lib/go-1.19/bin/go")
        self._step(what, go, "build", *words, env=self._go_variables(), cwd=self.source)

    def _go_variables(self) -> dict[str, str]:
        root, scratch = self.work / "root/usr/lib/go-1.19", self.work / "tmp"
        scratch.mkdir(exist_ok=True)
        return {
            "GOROOT": str(root),
            "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "GOPATH": str(self.work / "gopath"),
            "GO111MODULE": "off",
            "GOFLAGS": "-p=2",  # more linkers at once need more than 2 GB of memory
            "GOCACHE": str(self.work / "gocache"),
            "GOTMPDIR": str(scratch),
            "CGO_ENABLED": "0",
        }

    def _step(
        self, what: str, *words: str, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        try:
            done = subprocess.run(
                words,
                env={**os.environ, **(env or {})},
                cwd=cwd or self.work,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise BuildError(f"{what}: {error}") from error
        if done.returncode:
            raise BuildError(
                f"{what}: {words[0]} ended with {done.returncode}: {done.stdout[-2000:]}"
            )
        self._say(f"{time.monotonic() - self._started:4.0f} s  {what}")


def _mirror() -> str:
    """The Debian mirror that this machine's own apt uses."""
    for file in sorted(Path("/etc/apt").glob("sources.list*/**/*.sources")):
        for line in file.read_text().splitlines():
            if re.match(r"URIs: *\S+/debian/?$", line):
                return line.split()[1]
    old = Path("/etc/apt/sources.list")
    text = old.read_text() if old.exists() else ""
    found = re.search(r"^deb .*?(https?://\S+/debian)/? ", text, re.MULTILINE)
    return found[1] if found else MIRROR


def _only(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise BuildError(f"expected one {pattern}, found {[one.name for one in found]}")
    return found[0]


if __name__ == "__main__":
    try:
        print(build(lambda line: print(line, file=sys.stderr)))
    except BuildError as error:
        sys.exit(f"error: {error}")
