"""Getting the image to where a cloud takes it from, once and never another one under its tag.

A registry has the version as a tag, which deployments ask for, and version and code as another:
so that any machine can tell whether what is there is the code that it has, without the image.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tabular.deploy.image.builder import ARCHITECTURE, Builder, LocalImage
from tabular.deploy.image.code import Code, digest
from tabular.deploy.image.names import PYTHON_IMAGE, own_image
from tabular.deploy.image.staging import stage
from tabular.errors import ConflictError, EngineError, IntegrityError, NotFoundError, PreflightError
from tabular.version import __version__


@dataclass(frozen=True, slots=True)
class Shelved:
    """An image of a registry.

    Attributes:
        digest: of its manifest: what a deployment can be pinned to.
        configuration: digest of its configuration, "" where the manifest names none.
        tags: all that it has.
    """

    digest: str
    configuration: str
    tags: frozenset[str]


class ImageRegistry(Protocol):
    """One repository of one account, as the vendor's API shows it."""

    @property
    def name(self) -> str:
        """What it is, for a sentence, with how it is made where it is not there."""
        ...

    def reference(self, tag: str) -> str:
        """Whole name of an image of it."""
        ...

    def is_there(self) -> bool:
        """Whether the repository exists."""
        ...

    def create(self) -> None:
        """Make it, closed as `name` says; no error where it exists."""
        ...

    def tagged(self, tag: str) -> Shelved | None:
        """The image under a tag; None where there is none, or no repository."""
        ...

    def auths(self) -> Mapping[str, str]:
        """The secret to push with, of each host; see `builder.Builder.push`."""
        ...


@dataclass(frozen=True, slots=True)
class Built:
    """An image that was built here.

    Attributes:
        reference: its name.
        code: digest of the code in it.
        image: itself.
    """

    reference: str
    code: str
    image: LocalImage


@dataclass(frozen=True, slots=True)
class Publication:
    """What a push comes to.

    Attributes:
        local: name of the image here.
        reference: name of the image there.
        tags: that it gets, in this order.
        build, create: whether the image, the repository, has to be made first.
        there: what is there already, where that is the very image or code.
        registry: words for it.
    """

    local: str
    reference: str
    tags: tuple[str, ...]
    build: bool
    create: bool
    there: Shelved | None
    registry: str

    def steps(self) -> Iterator[str]:
        """What will be done, a line for each."""
        if self.there is not None:
            return
        if self.build:
            yield f"build   {self.local}, which takes some minutes"
        if self.create:
            yield f"create  {self.registry}"
        yield f"push    {self.local} as {self.reference}"


def build(builder: Builder, *, tag: str | None = None, base: str | None = None) -> Built:
    """Build the image of the installed code.

    Args:
        builder: the container engine.
        tag: reference of the image; `names.own_image` if None.
        base: image of Python to build on; the official one if None.

    Raises:
        EngineError: it cannot be built, or the package cannot be read.
    """
    files = Code.installed().read()
    code = digest(files)
    reference = tag or own_image(code)
    with tempfile.TemporaryDirectory(prefix="inferloop-tabular-image-") as folder:
        context = Path(folder) / "image"
        stage(context, files)
        builder.build(reference, context, base or PYTHON_IMAGE)
    image = builder.look(reference)
    if image is None:
        raise EngineError(
            f"{builder.program} built {reference}, and does not have it",
            hint=f"`{builder.program} image ls`",
        )
    return Built(reference, code, image)


def look(
    builder: Builder, registry: ImageRegistry, *, image: str | None, tag: str | None
) -> Publication:
    """What a push would come to; touches nothing.

    Args:
        builder: the container engine.
        registry: where to.
        image: reference of an image here; the installed code's own if None.
        tag: that it is to have there; the version, which deployments ask for, if None.

    Raises:
        NotFoundError: there is no such image here.
        ConflictError: another one is there under this tag.
        PreflightError: it is made for other processors.
    """
    code = None if image else digest(Code.installed().read())
    local = image or own_image(code or "")
    by_code = f"{__version__}-{code}"
    wanted = tag or __version__
    found = builder.look(local)
    if found is None and image is not None:
        raise NotFoundError(
            f"{builder.program} has no image {image}",
            hint=f"`{builder.program} image ls` shows what it has",
        )
    if found is not None:
        _require_architecture(builder, local, found)
    tags = (wanted,) if code is None or wanted == by_code else (by_code, wanted)
    there = registry.tagged(wanted)
    if there is not None and not _is_the_same(there, found, by_code if code else None):
        raise ConflictError(
            f"the registry has another image under this tag: {there.digest}",
            where=registry.reference(wanted),
            hint=_another_tag(registry, by_code if code else "NAME"),
            code="conflict.image",
        )
    return Publication(
        local,
        registry.reference(wanted),
        tags,
        build=found is None,
        create=not registry.is_there(),
        there=there,
        registry=registry.name,
    )


def _is_the_same(there: Shelved, found: LocalImage | None, by_code: str | None) -> bool:
    if by_code is not None and by_code in there.tags:
        return True
    return found is not None and found.is_what(there.digest, there.configuration)


def _another_tag(registry: ImageRegistry, tag: str) -> str:
    repository = registry.reference(tag).rpartition(":")[0]
    return (
        f"a tag is never given to another image: push with --tag {tag}, and deploy with "
        f"--set spec.image.repository={repository} --set spec.image.tag={tag}"
    )


def _require_architecture(builder: Builder, local: str, found: LocalImage) -> None:
    if found.architecture != ARCHITECTURE:
        raise PreflightError(
            f"{local} is made for {found.architecture}, and deployments run on {ARCHITECTURE}",
            hint=f"`{builder.program} image rm {local}`, then `inferloop-tabular image build`",
            code="preflight.architecture",
        )


def publish(builder: Builder, registry: ImageRegistry, planned: Publication) -> Shelved:
    """Carry out what `look` found; what is there afterwards.

    Raises:
        EngineError: a step fails; the same command goes on after it.
        IntegrityError: what the registry has is not what was pushed.
    """
    if planned.there is not None:
        return planned.there
    if planned.build:
        _require_architecture(builder, planned.local, build(builder, tag=planned.local).image)
    if planned.create:
        registry.create()
    auths = registry.auths()
    for tag in planned.tags:
        builder.push(planned.local, registry.reference(tag), auths)
    local, there = builder.look(planned.local), registry.tagged(planned.tags[-1])
    if there is None or local is None or not local.is_what(there.digest, there.configuration):
        raise IntegrityError(
            f"the registry has {there.digest if there else 'nothing'} after the push, and "
            f"{local.id if local else 'nothing'} was pushed",
            where=planned.reference,
            hint="somebody else pushes the same tag at the same time? Run it again",
        )
    return there
