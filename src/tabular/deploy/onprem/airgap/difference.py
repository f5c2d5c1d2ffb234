"""What one bundle has that another has not: what an update brings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .contents import WHEELS, Contents
from .opened import Opened
from .wheels import named


@dataclass(frozen=True, slots=True)
class Change:
    """An image, a package or the chart that is not the same in both.

    Attributes:
        kind: ``image``, ``wheel`` or ``chart``.
        name: of it.
        old, new: digest or version; "" where it is not there.
    """

    kind: str
    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Between two bundles.

    Attributes:
        changes: sorted by kind and name.
        size: bytes of the files of images that the new one needs and the old one does not have.
    """

    changes: tuple[Change, ...]
    size: int

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def difference(old: Opened, new: Opened) -> Difference:
    """Compare two bundles; the files themselves are not read.

    Raises:
        IntegrityError: what one says of itself is damaged.
    """
    before, after = old.contents(), new.contents()
    had, has = before.has(old.sums()), after.has(new.sums())
    changes = [
        *_changes("chart", _chart(before, had), _chart(after, has)),
        *_changes("image", _images(before), _images(after)),
        *_changes("wheel", _wheels(had), _wheels(has)),
    ]
    needed = {blob.path: blob.size for image in after.images for blob in image.blobs}
    size = sum(size for path, size in needed.items() if path not in had)
    return Difference(tuple(changes), size)


def _chart(contents: Contents, files: dict[str, str]) -> dict[str, str]:
    return {"chart": files[contents.chart]} if contents.chart in files else {}


def _images(contents: Contents) -> dict[str, str]:
    return {image.name: image.manifest.digest for image in contents.images}


def _wheels(files: dict[str, str]) -> dict[str, str]:
    found = (path.removeprefix(f"{WHEELS}/") for path in files if path.startswith(f"{WHEELS}/"))
    return dict(named(file) for file in found if file.endswith(".whl"))


def _changes(kind: str, old: dict[str, str], new: dict[str, str]) -> list[Change]:
    return [
        Change(kind, name, old.get(name, ""), new.get(name, ""))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
