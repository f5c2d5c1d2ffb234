"""A bundle, brought into a registry: by digest, nothing twice, and nothing where it is damaged.

What an earlier bundle brought is asked for before anything is sent: a registry that lacks it gets
no half of this one.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabular.deploy.onprem.airgap.registry.connection import Access, Shelf
from tabular.errors import ConflictError, PreflightError, TabularError
from tabular.transfer.copying import in_parallel

from . import images
from .contents import Blob, Contents, Image
from .opened import Opened
from .reference import Reference, root_of
from .registry import pushing
from .store import megabytes
from .verify import require_whole

_SHORT = 16  # digits of a digest in a tag: whoever writes into this registry is no stranger
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a registry has now.

    Attributes:
        values: of the chart, by which everything comes from there.
        references: of the images there by their names: repository, tag and digest.
        sent: bytes that were sent.
        kept: blobs that were there.
    """

    values: dict[str, Any]
    references: dict[str, str]
    sent: int
    kept: int


@dataclass(frozen=True, slots=True)
class _Way:
    """An image on its way.

    Attributes:
        image: it.
        shelf: where it goes.
        beside: by digest of a blob, paths of other repositories there that may have it.
    """

    image: Image
    shelf: Shelf
    beside: Mapping[str, tuple[str, ...]]


def load(
    path: Path,
    registry: str,
    access: Access,
    *,
    key: Path | None = None,
    tell: Tell = lambda line: None,
) -> Loaded:
    """Bring the images of a bundle into a registry.

    Args:
        path: of the bundle.
        registry: host of it, with its port and a path.
        access: how it is reached.
        key: public key that the bundle has to be signed with.
        tell: is given a line for each step.

    Raises:
        IntegrityError: the bundle is damaged.
        PreflightError: the registry lacks what an earlier bundle should have brought.
        AccessError: who asks may not.
        UnavailableError: the registry does not answer.
    """
    root = root_of(registry)
    bundle = Opened.open(path)
    tell(f"reading {path}")
    require_whole(bundle, key)
    contents = bundle.contents()
    digests = {image.name: image.manifest.digest for image in contents.images}
    values = images.values_for(contents.release, digests, root)
    sent: list[int] = []
    references: dict[str, str] = {}
    with ExitStack() as stack:
        ways = [stack.enter_context(_way(one, root, access)) for one in _planned(contents, root)]
        _require_base(bundle, contents, ways, root, access)
        for way in ways:
            tell(f"{way.image.name} to {way.shelf.where}")
            try:
                sent += in_parallel(functools.partial(_put, bundle, way), way.image.blobs)
                tag = _put_manifest(bundle, way)
            except TabularError:
                tell(f"{len(references)} of {len(ways)} images are there, and stay")
                raise
            digest = way.image.manifest.digest
            references[way.image.name] = f"{way.shelf.where}:{tag}@{digest}"
    return Loaded(values, references, sum(sent), sent.count(0))


def _planned(
    contents: Contents, root: str
) -> Iterator[tuple[Image, str, dict[str, tuple[str, ...]]]]:
    """Each image, the path of its repository there, and where else its blobs may be."""
    prefix = root.partition("/")[2]
    places = images.places(contents.release)
    path_of = {name: place.path for name, place in places.items()}
    shelves = contents.shelves(path_of)
    for image in contents.images:
        own = path_of[image.name]
        beside = {
            blob.digest: tuple(
                _joined(prefix, path) for path in shelves[blob.digest] if path != own
            )
            for blob in image.blobs
        }
        yield image, _joined(prefix, own), beside


@contextlib.contextmanager
def _way(
    planned: tuple[Image, str, Mapping[str, tuple[str, ...]]], root: str, access: Access
) -> Iterator[_Way]:
    image, path, beside = planned
    others = tuple(sorted({one for paths in beside.values() for one in paths}))
    with Shelf(root.partition("/")[0], path, access, push=True, beside=others) as shelf:
        yield _Way(image, shelf, beside)


def _joined(prefix: str, path: str) -> str:
    return f"{prefix}/{path}" if prefix else path


def _require_base(
    bundle: Opened, contents: Contents, ways: list[_Way], root: str, access: Access
) -> None:
    """See that the registry has what is not in the bundle, before anything is sent."""
    lacking: dict[str, int] = {}
    names: set[str] = set()
    for way in ways:
        for blob in way.image.blobs:
            if blob.path not in bundle.files and not _is_there(way, blob, access):
                lacking[blob.digest] = blob.size
                names.add(way.image.name)
    if contents.base is not None and lacking:
        raise PreflightError(
            f"the registry lacks {len(lacking)} files ({megabytes(sum(lacking.values()))}) of "
            f"{', '.join(sorted(names))}, which the bundle {contents.base.digest[:_SHORT]} brings",
            where=root,
            hint="load that bundle first; or make one without --since",
            code="engine.no-base",
        )


def _is_there(way: _Way, blob: Blob, access: Access) -> bool:
    if pushing.has(way.shelf, blob):
        return True
    for path in way.beside[blob.digest]:
        with Shelf(way.shelf.host, path, access) as shelf:
            if pushing.has(shelf, blob):
                return True
    return False


def _put(bundle: Opened, way: _Way, blob: Blob) -> int:
    """Have a blob there; how many bytes were sent for it."""
    if pushing.has(way.shelf, blob):
        return 0
    if any(pushing.take_over(way.shelf, blob, path) for path in way.beside[blob.digest]):
        return 0
    if blob.path not in bundle.files:
        raise PreflightError(
            f"the registry does not take {blob.digest} over from another of its repositories",
            where=way.shelf.where,
            hint="make a bundle without --since",
        )
    pushing.put(way.shelf, blob, lambda start: bundle.pieces(blob.path, start))
    return blob.size


def _put_manifest(bundle: Opened, way: _Way) -> str:
    """Give the image a name there, since many registries clear away what has none; its tag.

    A tag that is there is never given to another image.
    """
    digest = way.image.manifest.digest
    short = way.image.manifest.sha256[:_SHORT]
    tag = Reference.parse(way.image.name).tag
    for wanted in (tag, f"{tag}-{short}") if tag else (short,):
        there = pushing.tagged(way.shelf, wanted)
        if there == digest:
            return wanted
        if there is None:
            raw = bundle.read(way.image.manifest.path)
            pushing.put_manifest(way.shelf, wanted, digest, way.image.media_type, raw)
            return wanted
    raise ConflictError(
        f"the registry has other images under the tags {tag} and {tag}-{short}",
        where=way.shelf.where,
    )
