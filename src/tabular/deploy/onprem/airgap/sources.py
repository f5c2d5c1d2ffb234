"""Where the images of a bundle come from: registries, this machine's podman or docker, archives.

Each kind tells first what an image consists of, so that the disk can be asked before anything large
is brought, and brings the parts then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tabular.deploy.image.builder import ENGINES, Builder
from tabular.deploy.onprem.airgap.registry.connection import Access, Shelf
from tabular.deploy.onprem.airgap.registry.pulling import Manifest
from tabular.deploy.programs import run
from tabular.errors import EngineError, NotFoundError

from .contents import Blob, Image
from .layout import ImageArchive
from .reference import DOCKER_HUB, Reference
from .registry import pulling
from .store import Store

_ARCHIVE = "archive"
_SAVE_TIMEOUT = 3600.0  # seconds
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """An image that can be had.

    Attributes:
        image: it.
        bring: writes one of its files into a part.
        where: it comes from, for errors.
        parallel: whether several may be brought at a time.
    """

    image: Image
    bring: Callable[[Blob, Path], None]
    where: str
    parallel: bool = True


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is looked for, and where it goes."""

    name: str
    platform: str
    store: Store
    stack: ExitStack

    def image(self, manifest: Manifest, where: str) -> Image:
        """The image of a manifest, which is in the store then."""
        said = Blob(digest=manifest.digest, size=len(manifest.raw))
        if not self.store.has(said):
            self.store.put(said.path, manifest.raw)
        blobs = tuple(dict.fromkeys(manifest.blobs(where)))
        return Image(name=self.name, media_type=manifest.media_type, manifest=said, blobs=blobs)


@dataclass(frozen=True)
class Sources:
    """What decides where each image comes from.

    Attributes:
        access: how registries are reached.
        mirrors: registry and path by the registry that it stands for.
        chosen: by the name of an image, where that one comes from: ``podman:NAME``,
            ``docker:NAME``, ``archive:FILE``, or another name.
        tell: is given a line for what takes long.
    """

    access: Access = field(default_factory=Access)
    mirrors: Mapping[str, str] = field(default_factory=dict)
    chosen: Mapping[str, str] = field(default_factory=dict)
    tell: Tell = lambda line: None

    @contextlib.contextmanager
    def open(self, name: str, platform: str, store: Store) -> Iterator[Found]:
        """Find an image, and keep what it is brought with open for the block.

        Its manifest is in the store then.

        Raises:
            TabularError: it cannot be had; see the kinds.
        """
        with ExitStack() as stack:
            asked = _Asked(name, platform, store, stack)
            chosen = self.chosen.get(name, name)
            kind, _, rest = chosen.partition(":")
            if kind == _ARCHIVE:
                yield _of_archive(asked, Path(rest))
            elif kind in ENGINES:
                yield self._of_engine(asked, kind, rest)
            else:
                yield self._of_registry(asked, chosen)

    def _of_registry(self, asked: _Asked, chosen: str) -> Found:
        reference = self._mirrored(Reference.parse(chosen))
        shelf = asked.stack.enter_context(Shelf(reference.registry, reference.shelf, self.access))
        manifest = pulling.manifest(shelf, reference.wanted, asked.platform)
        image = asked.image(manifest, shelf.where)

        def bring(blob: Blob, part: Path) -> None:
            pulling.fetch(shelf, blob, part)

        return Found(image, bring, shelf.where)

    def _mirrored(self, reference: Reference) -> Reference:
        root = self.mirrors.get(reference.host or DOCKER_HUB)
        if root is None:
            return reference
        return Reference("", reference.shelf, reference.tag, reference.digest).under(root)

    def _of_engine(self, asked: _Asked, engine: str, local: str) -> Found:
        """An image of this machine; saved only where an earlier run did not get all of it."""
        builder = Builder.find(engine, self.tell)
        here = builder.look(local)
        if here is None:
            raise NotFoundError(
                f"{engine} has no image {local}",
                where="--image",
                hint=f"`{engine} image ls` shows what it has; `inferloop-tabular image build` "
                "makes the platform's own",
            )
        store = asked.store
        if (noted := store.noted().get(here.id)) is not None:
            image = Image.model_validate({**noted, "name": asked.name})
            if all(store.has(blob) for blob in (image.manifest, *image.blobs)):
                return Found(image, _nothing, local)
        store.require(here.size)
        file = store.parts / f"{here.id.rpartition(':')[2]}.tar"
        self.tell(f"saving {local} from {engine}, {here.size / 1e6:.0f} MB")
        _save(engine, local, file)
        asked.stack.callback(file.unlink, missing_ok=True)
        found = _of_archive(asked, file)
        asked.stack.callback(store.note, here.id, found.image.model_dump(mode="json"))
        return found


def _of_archive(asked: _Asked, path: Path) -> Found:
    archive = ImageArchive(path)
    asked.stack.callback(archive.close)
    image = asked.image(archive.manifest(asked.platform), str(path))
    return Found(image, archive.copy, str(path), parallel=False)


def _save(engine: str, local: str, file: Path) -> None:
    how = ["--format", "oci-archive"] if engine == "podman" else []
    # podman adds to an archive that is there.
    file.unlink(missing_ok=True)
    done = run(
        [engine, "save", *how, "--output", str(file), local],
        what=f"{engine} save",
        timeout=_SAVE_TIMEOUT,
    )
    if done.returncode != 0:
        raise EngineError(f"{engine} save failed: {done.stderr.strip()[-300:]}", where=local)


def _nothing(blob: Blob, part: Path) -> None:
    raise AssertionError(f"{blob.digest} is there")
