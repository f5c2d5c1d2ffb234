"""A bundle, made: everything that an installation takes, in one folder or file, or nothing at all.

It grows beside its place, as `NAME.partial`, and gets its name in one step when all of it was read
once more. A run that was killed is gone on with by running it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tabular.errors import ConflictError, IntegrityError, RefusedError
from tabular.transfer.copying import in_parallel
from tabular.version import __version__

from . import archive, chart, sbom, signing, wheels
from .contents import (
    CONTENTS,
    INDEX,
    LAYOUT,
    LOCK,
    PUBLIC_KEY,
    SBOM,
    SIGNATURE,
    SUMS,
    WHEELS,
    Base,
    Blob,
    Contents,
    Image,
    Release,
    digest_of,
    sums_to_bytes,
)
from .images import places
from .layout import MARKER, index
from .opened import Opened
from .sources import Found, Sources
from .store import Store, explained, megabytes
from .verify import promised

TAR = ".tar"
_MARGIN = 4_000_000  # bytes for the files whose size is not known before: lists and headers
_PIECE = 1024 * 1024
_WRITTEN = "written.tar"


@dataclass(frozen=True)
class Order:
    """What a bundle is to have.

    Attributes:
        release: that it installs.
        platform: of the images.
        sources: where they come from.
        wheels: whether the command line goes along.
        key: private key to sign with.
        since: an earlier bundle; what that has is left out.
    """

    release: Release
    platform: str = "linux/amd64"
    sources: Sources = field(default_factory=Sources)
    wheels: bool = True
    key: Path | None = None
    since: Path | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle that was made.

    Attributes:
        path: of it.
        digest: SHA-256 of its checksums.
        size: bytes of its files.
        images: how many it installs.
        left_out: files of images that only the earlier bundle has.
    """

    path: Path
    digest: str
    size: int
    images: int
    left_out: int


def create(order: Order, output: Path) -> Made:
    """Make a bundle.

    Args:
        order: what it is to have.
        output: its place: a tar file where the name ends so, else a folder.

    Raises:
        ConflictError: something is there.
        BusyError: another command makes the same.
        PreflightError: the disk is full, or will be.
        TabularError: an image or a wheel cannot be had.
    """
    work = output.with_name(f"{output.name}.partial")
    if os.path.lexists(output):
        raise ConflictError(
            "it is there already",
            where=str(output),
            hint=f"`inferloop-tabular bundle verify {output}` looks whether it is whole; another "
            "one gets another --output",
        )
    # What is wrong with the order is said before anything is brought.
    if order.key is not None:
        signing.private_key(order.key)
    names = tuple(sorted(places(order.release)))
    base = None if order.since is None else _base(order.since, order.platform)
    with Store.at(work) as store, explained(work):
        # Of a run that was killed late: as large as the bundle, and of no use.
        (store.parts / _WRITTEN).unlink(missing_ok=True)
        store.put(f"chart/{chart.FILE}", chart.packed())
        if order.wheels:
            wheels.collect(store, order.sources.tell)
        else:
            shutil.rmtree(work / WHEELS, ignore_errors=True)
        images = _bring(order, names, base, store, is_tar=output.suffix == TAR)
        contents = Contents(
            version=__version__,
            platform=order.platform,
            chart=f"chart/{chart.FILE}",
            release=order.release,
            images=images,
            base=base,
        )
        digest = _close(order, contents, store)
        return _put_in_place(contents, store, output, digest)


def _base(since: Path, platform: str) -> Base:
    """What an earlier bundle brings to the other side.

    Raises:
        IntegrityError: it is damaged where that matters here.
        RefusedError: it is for other processors.
    """
    bundle = Opened.open(since)
    contents = bundle.contents()
    if contents.platform != platform:
        raise RefusedError(
            f"the earlier bundle is for {contents.platform}, and this one for {platform}",
            where="--since",
        )
    path_of = {name: place.path for name, place in places(contents.release).items()}
    return Base(
        digest=bundle.digest,
        files={
            path: sha256
            for path, sha256 in sorted(contents.has(bundle.sums()).items())
            if path.startswith("images/blobs/") or path.endswith(".whl")
        },
        shelves=contents.shelves(path_of),
    )


def _bring(
    order: Order, names: tuple[str, ...], base: Base | None, store: Store, *, is_tar: bool
) -> tuple[Image, ...]:
    """Find all images, ask the disk, and bring what is not there."""
    left_out = frozenset(base.files) if base else frozenset()
    with ExitStack() as stack:
        found = [
            stack.enter_context(order.sources.open(name, order.platform, store)) for name in names
        ]
        lacking: dict[str, tuple[Found, Blob]] = {}
        for one in found:
            for blob in one.image.blobs:
                if blob.path not in left_out and not store.has(blob):
                    lacking.setdefault(blob.path, (one, blob))
        missing = sum(store.lacks(blob) for _, blob in lacking.values())
        whole = sum(blob.size for _, blob in lacking.values())
        there = sum(path.stat().st_size for path in _files(store)) if is_tar else 0
        store.require(missing + _MARGIN + (there + whole if is_tar else 0))
        if missing:
            order.sources.tell(f"bringing {megabytes(missing)} of {len(found)} images")

        def bring(item: tuple[Found, Blob]) -> None:
            one, blob = item
            one.bring(blob, store.part(blob))
            store.adopt(blob, one.where)

        alone = [item for item in lacking.values() if not item[0].parallel]
        for item in alone:
            bring(item)
        for _ in in_parallel(bring, [item for item in lacking.values() if item[0].parallel]):
            pass
        for one in found:
            _require_platform(one, order.platform, store)
        return tuple(one.image for one in found)


def _require_platform(found: Found, platform: str, store: Store) -> None:
    """See that an image that names no platform in a list is made for the right one.

    Raises:
        RefusedError: it is not.
    """
    configuration = store.root / found.image.blobs[0].path
    if not configuration.is_file():
        return  # the earlier bundle has it, and looked
    try:
        said = json.loads(configuration.read_bytes())
        made_for = (str(said["os"]), str(said["architecture"]))
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError("its configuration is not understood", where=found.where) from error
    if made_for != tuple(platform.split("/")[:2]):
        raise RefusedError(
            f"{found.image.name} is made for {'/'.join(made_for)}, and the bundle for {platform}",
            where=found.where,
            hint="--platform names another",
        )


def _close(order: Order, contents: Contents, store: Store) -> str:
    """Write what tells of the rest, read everything once, and sign; the digest."""
    store.put(LAYOUT, MARKER)
    store.put(INDEX, index(contents.images, contents.platform))
    store.put(CONTENTS, contents.to_bytes())
    if order.key is not None:
        store.put(PUBLIC_KEY, signing.to_pem(signing.private_key(order.key).public_key()))
    left_out = contents.base.files if contents.base else {}
    wanted = _wanted(order, contents, store)
    sums = {name: _sha256(store.root / name) for name in sorted(wanted - {SBOM})}
    for name, sha256 in sums.items():
        if name.startswith("images/blobs/") and not name.endswith(sha256):
            (store.root / name).unlink()
            raise IntegrityError(
                f"{name} is damaged on this disk",
                where=str(store.root),
                hint="run the same command again: it is brought anew",
            )
    bill = sbom.document(contents, {**left_out, **sums})
    store.put(SBOM, bill)
    raw = sums_to_bytes({**sums, SBOM: digest_of(bill)})
    store.put(SUMS, raw)
    if order.key is not None:
        store.put(SIGNATURE, signing.private_key(order.key).sign(raw))
    return digest_of(raw)


def _wanted(order: Order, contents: Contents, store: Store) -> frozenset[str]:
    """Names of the files that checksums are made of."""
    left_out = contents.base.files if contents.base else {}
    wanted = {contents.chart, LAYOUT, INDEX, CONTENTS, SBOM}
    wanted |= {image.manifest.path for image in contents.images}
    wanted |= {
        blob.path for image in contents.images for blob in image.blobs if blob.path not in left_out
    }
    if order.wheels:
        found = {f"{WHEELS}/{path.name}" for path in (store.root / WHEELS).glob("*.whl")}
        wanted |= {name for name in found if left_out.get(name) != _sha256(store.root / name)}
        wanted.add(LOCK)
    if order.key is not None:
        wanted.add(PUBLIC_KEY)
    return frozenset(wanted)


def _put_in_place(contents: Contents, store: Store, output: Path, digest: str) -> Made:
    """Give the bundle its name, in one step."""
    sums = (store.root / SUMS).read_bytes().decode().splitlines()
    names = [line.partition("  ")[2] for line in sums]
    names += [SUMS, *((SIGNATURE,) if (store.root / PUBLIC_KEY).exists() else ())]
    sizes = {name: (store.root / name).stat().st_size for name in names}
    left_out = len(set(promised(contents)) - sizes.keys())
    made = Made(output, digest, sum(sizes.values()), len(contents.images), left_out)
    if output.suffix == TAR:
        _write_tar(store, sizes, output)
        shutil.rmtree(store.root)
        return made
    store.clear(frozenset(names))
    for path in (*store.root.rglob("*"), store.root):
        path.chmod(0o755 if path.is_dir() else 0o644)
        _sync(path)
        os.utime(path, (archive.TIME, archive.TIME))
    store.root.rename(output)
    _sync(output.parent)
    return made


def _write_tar(store: Store, sizes: Mapping[str, int], output: Path) -> None:
    """The small files that tell of the rest come first, so that a stream can be judged early."""
    first = [name for name in (SUMS, SIGNATURE, PUBLIC_KEY, CONTENTS, SBOM) if name in sizes]
    order = [*first, *sorted(sizes.keys() - set(first))]
    beside = store.parts / _WRITTEN
    store.require(archive.length(sizes.items()))
    try:
        with beside.open("wb") as file:
            archive.write(file, ((name, sizes[name], _pieces(store.root / name)) for name in order))
            file.flush()
            os.fsync(file.fileno())
        beside.rename(output)
    finally:
        beside.unlink(missing_ok=True)
    _sync(output.parent)


def _files(store: Store) -> Iterator[Path]:
    """What will be in the archive of what is there already."""
    for path in store.root.rglob("*"):
        if path.is_file() and store.parts not in path.parents:
            yield path


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some file systems sync no folders
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
