"""The installed package as bytes: what an image and the copies of a release are made of."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tabular.errors import EngineError

PACKAGE = "tabular"
DISTRIBUTION = "inferloop-tabular"
_DIGITS = 16  # of a digest: no stranger writes here, so only chance has to be met
Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Code:
    """A package as it is on this host.

    Attributes:
        folder: of the package itself.
        distribution: whose entry points and metadata go along; "" for none.
    """

    folder: Path
    distribution: str = ""

    @classmethod
    def installed(cls) -> Code:
        """The very package that runs here."""
        return cls(Path(__file__).resolve().parents[2], DISTRIBUTION)

    def read(self) -> dict[str, bytes]:
        """Every file by its place in a copy.

        Raises:
            EngineError: the package cannot be read, or changes at this moment.
        """
        try:
            found = {f"{PACKAGE}/{name}": content for name, content in files_in(self.folder)}
            return {**found, **self._metadata()}
        except (OSError, importlib.metadata.PackageNotFoundError) as error:
            raise EngineError(
                f"the installed package cannot be read: {error}",
                where=str(self.folder),
                hint="wait for an installation that runs, or install it anew",
                code="engine.code",
            ) from error

    def _metadata(self) -> dict[str, bytes]:
        """What says which plug-ins the package has: those of this code, not of a later one."""
        if not self.distribution:
            return {}
        found = importlib.metadata.distribution(self.distribution)
        folder = f"{self.distribution.replace('-', '_')}-{found.version}.dist-info"
        return {
            f"{folder}/{name}": (found.read_text(name) or "").encode()
            for name in ("METADATA", "entry_points.txt")
        }


def files_in(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file below a folder; not what Python and editors leave there."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(p == "__pycache__" or p.startswith(".") for p in parts):
            yield "/".join(parts), path.read_bytes()


def digest(files: Files) -> str:
    """What these files are called: the first digits of a SHA-256 over names and contents."""
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(name.encode() + b"\0" + hashlib.sha256(files[name]).digest())
    return whole.hexdigest()[:_DIGITS]
