"""The command line for behind the gap: our wheel, and those of all that it stands on.

Our own is made of the installed package, so that neither a checkout nor an index needs to have
this version. The others are the versions that are installed here, which is what was tested; pip
brings them, and what it brought is locked by checksums, so that it installs nothing else there.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import importlib.util
import io
import re
import shutil
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tabular.deploy.image.code import DISTRIBUTION, Code
from tabular.deploy.programs import run
from tabular.errors import EngineError, PreflightError

from .contents import LOCK, WHEELS
from .store import Store

EXTRA = "onprem"
_FOLDER = ".wheels"
_TIMEOUT = 1800.0  # seconds
_DATE = (1980, 1, 1, 0, 0, 0)
_TAGS = (
    b"Wheel-Version: 1.0\nGenerator: inferloop-tabular\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
)
_FILE = re.compile(r"([^-]+)-([^-]+)(-\d[^-]*)?-[^-]+-[^-]+-[^-]+\.whl")


def own() -> tuple[str, bytes]:
    """Our own wheel: its name and its bytes, the same each time (PyPA, binary distributions).

    Nothing in it is deflated: what comes out of that differs from one zlib to the next.

    Raises:
        EngineError: the installed package cannot be read.
    """
    files = Code.installed().read()
    folder = next(name.partition("/")[0] for name in sorted(files) if ".dist-info/" in name)
    files = {**files, f"{folder}/WHEEL": _TAGS}
    files[f"{folder}/RECORD"] = _record(files, f"{folder}/RECORD")
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files, key=lambda name: (".dist-info/" in name, name)):
            info = zipfile.ZipInfo(name, _DATE)
            info.external_attr = 0o644 << 16
            archive.writestr(info, files[name])
    return f"{folder.removesuffix('.dist-info')}-py3-none-any.whl", plain.getvalue()


def collect(store: Store, tell: Callable[[str], None]) -> None:
    """Bring our wheel and all that it needs for `EXTRA` into the bundle, with their lock.

    What an earlier run brought for the same versions is not asked for again, unless it is damaged.

    Raises:
        PreflightError: there is no pip here.
        EngineError: pip cannot bring something; with what it says.
    """
    name, content = own()
    pins = constraints()
    machine = f"{sys.implementation.cache_tag} {sysconfig.get_platform()}\n"
    key = hashlib.sha256(content + (machine + pins).encode()).hexdigest()
    if store.noted().get(WHEELS) == key and _is_whole(store.root):
        return
    tell("bringing the wheels of the command line")
    folder = store.root / _FOLDER
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    (folder / "constraints.txt").write_text(pins, encoding="utf-8")
    _download(folder, name)
    shutil.rmtree(store.root / WHEELS, ignore_errors=True)
    found = _in(folder)
    for wheel in found:
        store.place(folder / wheel, f"{WHEELS}/{wheel}")
    store.put(LOCK, lock(found).encode())
    store.note(WHEELS, key)
    shutil.rmtree(folder)


def _in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.whl"))}


def _is_whole(root: Path) -> bool:
    """Whether the wheels of a bundle are those of its lock: a power cut may have emptied some."""
    file = root / LOCK
    return file.is_file() and file.read_text(encoding="utf-8") == lock(_in(root / WHEELS))


def constraints() -> str:
    """The versions that are installed here."""
    found = {
        re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower(): one.version
        for one in importlib.metadata.distributions()
    }
    found.pop(DISTRIBUTION, None)
    return "".join(f"{name}=={found[name]}\n" for name in sorted(found))


def lock(wheels: Mapping[str, bytes]) -> str:
    """Requirements with checksums, as `pip install --require-hashes` wants them.

    Args:
        wheels: content by file name.
    """
    lines = []
    for file in sorted(wheels):
        name, version = named(file)
        extra = f"[{EXTRA}]" if name == DISTRIBUTION else ""
        sha256 = hashlib.sha256(wheels[file]).hexdigest()
        lines.append(f"{name}{extra}=={version} --hash=sha256:{sha256}\n")
    return "".join(lines)


def locked(text: str) -> frozenset[str]:
    """SHA-256 of each wheel that a lock names."""
    return frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", text))


def named(file: str) -> tuple[str, str]:
    """Name and version of the package that a wheel holds.

    Raises:
        EngineError: it is called like no wheel.
    """
    match = _FILE.fullmatch(file)
    if match is None:
        raise EngineError(f"{file} is no name of a wheel", where=WHEELS)
    return re.sub(r"[-_.]+", "-", match[1]).lower(), match[2]


def _download(folder: Path, own_name: str) -> None:
    if importlib.util.find_spec("pip") is None:
        raise PreflightError(
            "there is no pip beside this Python, which brings the wheels",
            hint=f"{sys.executable} -m ensurepip; or leave the wheels out: --no-wheels",
        )
    done = run(
        [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input",
         "--quiet", "--only-binary", ":all:", "--constraint", "constraints.txt",
         "--dest", ".", f"./{own_name}[{EXTRA}]"],
        what="pip download",
        timeout=_TIMEOUT,
        cwd=folder,
        hint="run the same command again; or leave the wheels out: --no-wheels",
    )  # fmt: skip
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise EngineError(
            "pip cannot bring the wheels:\n  " + "\n  ".join(said[-5:]),
            where=str(folder),
            hint="run the same command again; or leave the wheels out: --no-wheels",
        )


def _record(files: Mapping[str, bytes], own_name: str) -> bytes:
    def line(name: str) -> str:
        found = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=")
        return f"{name},sha256={found.decode()},{len(files[name])}\n"

    return ("".join(line(name) for name in sorted(files)) + f"{own_name},,\n").encode()
