"""`bundle`: an installation on Kubernetes, packed for where there is no internet, and unpacked."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from tabular.cli.confirm import confirm
from tabular.cli.output import JsonFlag, print_json, print_text, stdout, tell
from tabular.cli.outputs import require_writable, write_text
from tabular.cli.place import YesFlag
from tabular.cli.spec_flags import read_spec, spec_flags
from tabular.deploy.names import KUBERNETES
from tabular.errors import UsageError, nearest

if TYPE_CHECKING:  # what packs is imported by the command that does
    from tabular.deploy.onprem.airgap.contents import Release
    from tabular.deploy.onprem.airgap.load import Loaded
    from tabular.deploy.onprem.airgap.registry.connection import Access
    from tabular.deploy.spec import Overrides

InsecureFlag = Annotated[
    bool,
    typer.Option("--insecure", help="Plain HTTP, which only registries of this machine may speak."),
]
AuthoritiesFlag = Annotated[
    Path | None,
    typer.Option("--ca-file", help="Certificates of the authority of a registry of your own."),
]
PublicKeyFlag = Annotated[
    Path | None,
    typer.Option("--key", help="Public Ed25519 key (PEM) that it has to be signed with."),
]
commands = typer.Typer(
    no_args_is_help=True, help="Installations for where there is no internet (Kubernetes)."
)


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.add_typer(commands, name="bundle")


@commands.command()
@spec_flags
def create(
    *,
    flags: Overrides,
    file: Annotated[
        Path | None, typer.Argument(help="The deployment file; defaults if none.")
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "--out", "-o", help="A .tar file, or else a folder; made anew."),
    ] = Path("bundle.tar"),
    only_list: Annotated[
        bool, typer.Option("--list", help="Print the images that it would have, and end.")
    ] = False,
    platform: Annotated[
        str, typer.Option("--platform", help="Processors of the cluster's nodes.")
    ] = "linux/amd64",
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image",
            metavar="NAME=SOURCE",
            help="Where one image comes from: podman:LOCAL, docker:LOCAL, archive:FILE, or another "
            "name. Can be repeated.",
        ),
    ] = None,
    mirror: Annotated[
        list[str] | None,
        typer.Option(
            "--mirror",
            metavar="HOST=REGISTRY",
            help="A registry, with a path, to ask instead of another one. Can be repeated.",
        ),
    ] = None,
    since: Annotated[
        Path | None,
        typer.Option("--since", help="An earlier bundle: what it has is left out of this one."),
    ] = None,
    wheels: Annotated[
        bool, typer.Option("--wheels/--no-wheels", help="Take this command line along.")
    ] = True,
    key: Annotated[
        Path | None, typer.Option("--key", help="Private Ed25519 key (PEM) to sign with.")
    ] = None,
    authorities: AuthoritiesFlag = None,
    insecure: InsecureFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Pack everything that an installation of a deployment takes.

    The chart, each image that it names, this command line with what it needs, checksums and a bill
    of materials. The same deployment and images give the same bytes. A run that was stopped goes
    on where it was when it is run again. Signs in to registries as podman and docker do.
    """
    from tabular.deploy.onprem.airgap import create as creating
    from tabular.deploy.onprem.airgap import images
    from tabular.deploy.onprem.airgap.sources import Sources

    release = _release(file, flags)
    names = images.of(release)
    if only_list:
        print_json({"images": list(names)}) if as_json else print_text("\n".join(names))
        return
    sources = Sources(
        _access(insecure, authorities),
        mirrors=_pairs("--mirror", mirror),
        chosen=_among(_pairs("--image", image), names),
        tell=_dim,
    )
    order = creating.Order(release, platform, sources, wheels=wheels, key=key, since=since)
    made = creating.create(order, output)
    if as_json:
        print_json(asdict(made))
        return
    left_out = f"; {made.left_out} of their files are in the earlier one" if made.left_out else ""
    stdout.print(f"made {escape(str(made.path))}, {made.size / 1e6:.1f} MB", end="")
    stdout.print(f" with {made.images} images{left_out}")
    stdout.print(f"  digest  {made.digest}")


@commands.command()
def verify(
    *,
    path: Annotated[Path, typer.Argument(help="The bundle: a .tar file or a folder.")],
    key: PublicKeyFlag = None,
    as_json: JsonFlag = False,
) -> None:
    """Read a bundle from end to end, and name everything that is wrong with it.

    Any byte that is not as it was written is found, and so is a file too many or too few. Without
    --key it is not known who made the bundle: compare the digest with the one that was told.
    """
    from tabular.deploy.onprem.airgap.opened import Opened
    from tabular.deploy.onprem.airgap.verify import verify as read

    verdict = read(Opened.open(path), key)
    if as_json:
        print_json({**asdict(verdict), "whole": not verdict.problems})
    elif not verdict.problems:
        stdout.print(f"{escape(str(path))} is whole")
        stdout.print(f"  digest  {verdict.digest}")
        stdout.print(f"  signed  {_signed(verdict.signer, trusted=verdict.trusted)}")
    else:
        for name, problem in verdict.problems.items():
            stdout.print(f"{name}: {problem}", markup=False)
    if verdict.problems:
        tell(f"{escape(str(path))} is damaged: carry it over again")
        raise typer.Exit(1)


@commands.command()
def load(
    *,
    path: Annotated[Path, typer.Argument(help="The bundle: a .tar file or a folder.")],
    registry: Annotated[
        str,
        typer.Option(
            "--registry", help="Where the cluster pulls from, such as registry.corp:5000/platform."
        ),
    ],
    key: PublicKeyFlag = None,
    write: Annotated[
        Path | None,
        typer.Option("--write", help="File for the values by which all images come from there."),
    ] = None,
    authorities: AuthoritiesFlag = None,
    insecure: InsecureFlag = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Bring the images of a bundle into a registry, and tell how to deploy from there.

    Reads the whole bundle first, and touches nothing where it is damaged, or where the registry
    lacks what an earlier bundle should have brought. Sends nothing that is there; a tag that is
    there is never given to another image. Signs in as podman and docker do.
    """
    from tabular.deploy.onprem.airgap import load as loading
    from tabular.deploy.onprem.airgap.opened import Opened

    if write is not None:
        require_writable(write, path)
    contents = Opened.open(path).contents()
    for image in contents.images:
        _dim(f"  {image.name}")
    confirm(f"Bring these {len(contents.images)} images to {registry}?", yes=yes)
    loaded = loading.load(path, registry, _access(insecure, authorities), key=key, tell=_dim)
    if write is not None:
        write_text(write, json.dumps(loaded.values, indent=2) + "\n")
    if as_json:
        print_json({"registry": registry, **asdict(loaded)})
        return
    _report(loaded, registry, write)


@commands.command()
def diff(
    *,
    old: Annotated[Path, typer.Argument(help="A bundle.")],
    new: Annotated[Path, typer.Argument(help="A later one.")],
    as_json: JsonFlag = False,
) -> None:
    """Show what a bundle brings that another does not have."""
    from tabular.deploy.onprem.airgap.difference import difference
    from tabular.deploy.onprem.airgap.opened import Opened

    found = difference(Opened.open(old), Opened.open(new))
    if as_json:
        print_json(found.as_dict())
        return
    for one in found.changes:
        shift = f"{one.old or 'not there'} -> {one.new or 'not there'}"
        stdout.print(f"{one.kind}  {one.name}  {shift}", markup=False)
    stdout.print(f"{found.size / 1e6:.1f} MB of images that the old one does not have")


def _release(file: Path | None, flags: Overrides) -> Release:
    """What is installed; a bundle is always for Kubernetes, whatever else the file is used for."""
    from tabular.deploy.onprem.airgap.contents import Release
    from tabular.deploy.onprem.compile import compile_stack

    if flags.provider not in (None, KUBERNETES):
        raise UsageError(
            f"bundles are for {KUBERNETES}, and --provider says {flags.provider}",
            where="--provider",
            hint="leave it out",
        )
    loaded = read_spec(file, replace(flags, provider=KUBERNETES))
    template = compile_stack(loaded.deployment).template
    return Release(
        **template["release"], kube_version=template["kubeVersion"], values=template["values"]
    )


def _access(insecure: bool, authorities: Path | None) -> Access:
    from tabular.deploy.onprem.airgap.registry.connection import Access

    return Access(insecure=insecure, authorities=authorities)


def _pairs(flag: str, given: list[str] | None) -> dict[str, str]:
    found = {}
    for one in given or ():
        name, equals, value = one.partition("=")
        if not (name and equals and value):
            raise UsageError(f"{flag} {one}: expected NAME=VALUE", where=flag)
        found[name] = value
    return found


def _among(chosen: dict[str, str], names: Iterable[str]) -> dict[str, str]:
    for name in chosen:
        if name not in names:
            raise UsageError(
                f"the installation has no image {name}",
                where="--image",
                hint=f"{nearest(name, names)}--list shows them",
            )
    return chosen


def _report(loaded: Loaded, registry: str, write: Path | None) -> None:
    stdout.print(
        f"{len(loaded.references)} images are in {escape(registry)}: {loaded.sent / 1e6:.1f} MB "
        f"were sent, and {loaded.kept} files were there"
    )
    for reference in loaded.references.values():
        stdout.print(f"  {reference}", markup=False)
    if write is None:
        at = f"--set spec.overrides.{KUBERNETES}.values"
        said = " ".join(f"{at}.{one}" for one in _flat(loaded.values))
    else:
        said = f"--values {write}"
    stdout.print(f"  to deploy from there: {said}", style="dim", markup=False)


def _flat(values: dict[str, Any], at: str = "") -> Iterable[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{at}{key}.")
        else:
            yield f"{at}{key}={value}"


def _signed(signer: str, *, trusted: bool) -> str:
    if not signer:
        return "no"
    return f"by the key {signer[:16]}" + ("" if trusted else "; --key tells whether it is yours")


def _dim(line: str) -> None:
    tell(escape(line), style="dim")
