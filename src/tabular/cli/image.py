"""`image`: build the platform's container image, and bring it to a cloud's registry."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from tabular.cli.confirm import confirm
from tabular.cli.output import JsonFlag, print_json, stdout, tell
from tabular.cli.place import ProviderFlag, Reach, RegionFlag, YesFlag, reach_flags
from tabular.errors import UnsupportedError

if TYPE_CHECKING:  # what builds is imported by the command that does
    from tabular.deploy.image.builder import Builder
    from tabular.deploy.image.publishing import ImageRegistry, Publication, Shelved

EngineFlag = Annotated[
    str | None, typer.Option("--engine", help="podman or docker; the first that works if none.")
]
commands = typer.Typer(no_args_is_help=True, help="The platform's container image.")


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.add_typer(commands, name="image")


@commands.command()
def build(
    *,
    tag: Annotated[
        str | None,
        typer.Option("--tag", help="Reference of the image; version and code of this one if none."),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option("--base", help="Image of Python to build on; the official one if none."),
    ] = None,
    engine: EngineFlag = None,
    as_json: JsonFlag = False,
) -> None:
    """Build the image of the installed version, for x86-64. Needs podman or docker.

    It is the image that `deploy --runtime container` builds, and what `image push` pushes.
    """
    from tabular.deploy.image import publishing

    built = publishing.build(_builder(engine), tag=tag, base=base)
    if as_json:
        said = {"image": built.reference, "id": built.image.id, "size": built.image.size}
        print_json({**said, "code": built.code})
        return
    stdout.print(f"built {escape(built.reference)}, {built.image.size / 1e6:.0f} MB")


@commands.command()
@reach_flags
def push(
    *,
    reach: Reach,
    provider: ProviderFlag,
    region: RegionFlag = None,
    repository: Annotated[
        str | None,
        typer.Option("--repository", help="Name there; the one that deployments ask for if none."),
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option("--tag", help="Tag there; the version, which deployments ask for, if none."),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option("--image", help="An image of this machine; the installed version's if none."),
    ] = None,
    engine: EngineFlag = None,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Bring the image to a cloud's registry, where deployments take it from.

    Shows what it would do and asks. Builds the image where it is not built yet, and makes the
    repository where there is none. Does nothing where the image is there, and never gives a tag
    to another image. Needs podman or docker; signs in with your credentials of the cloud.
    """
    from tabular.deploy.image import publishing

    registry = _registry(replace(reach, region=region), provider, repository)
    builder = _builder(engine)
    planned = publishing.look(builder, registry, image=image, tag=tag)
    for step in planned.steps():
        tell(f"  {escape(step)}")
    if planned.there is None:
        confirm("Do this?", yes=yes)
    _report(planned, publishing.publish(builder, registry, planned), as_json=as_json)


def _builder(engine: str | None) -> Builder:
    from tabular.deploy.image.builder import Builder

    return Builder.find(engine, lambda line: tell(escape(line), style="dim"))


def _registry(reach: Reach, provider: str, repository: str | None) -> ImageRegistry:
    from tabular.deploy.provider import PublishesImages

    found = reach.connect(provider).provider
    if not isinstance(found, PublishesImages):
        raise UnsupportedError(
            f"{provider} has no registry of its own",
            where="--provider",
            hint="`image build` builds it here; push it with podman or docker to where the "
            "deployment takes it from, and name it: spec.image",
        )
    return found.images(repository)


def _report(planned: Publication, there: Shelved, *, as_json: bool) -> None:
    repository = planned.reference.rpartition(":")[0]
    if as_json:
        answer: dict[str, Any] = {"image": planned.reference, "digest": there.digest}
        print_json({**answer, "pushed": planned.there is None, "tags": sorted(there.tags)})
        return
    done = "pushed" if planned.there is None else "is there already:"
    stdout.print(f"{done} {escape(planned.reference)}")
    stdout.print(f"  digest  {there.digest}")
    pin = f"--set spec.image.repository={repository} --set spec.image.digest={there.digest}"
    stdout.print(f"  to pin a deployment to it: {escape(pin)}", style="dim")
