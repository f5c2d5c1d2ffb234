"""A deployment in the words of other tools: what `inferloop-tabular export` offers.

Two kinds of formats. Those of `FORMATS` come from the spec alone and go with any provider. The
others are written from the stack, which is in a vendor's vocabulary, so the provider brings them.
The same deployment gives the same bytes, so that folders of exports can be compared. What a
deploy would be refused for must not go out by an export instead, so the same rules judge both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabular.deploy.export import monitoring
from tabular.deploy.policy import Finding, check
from tabular.deploy.provider import ExportsStacks, Provider
from tabular.deploy.spec import Deployment
from tabular.deploy.stack import Stack
from tabular.deploy.target import Target
from tabular.errors import UnsupportedError, UsageError, nearest

Files = Mapping[str, bytes]
_CHART = "Chart.yaml"  # which every chart's folder has

# Whose stacks can be written in which format; a provider of a plug-in may bring others.
VENDOR_FORMATS: Mapping[str, tuple[str, ...]] = {
    "cloudformation": ("aws",),
    "terraform": ("aws", "onprem"),
    "cdk": ("aws",),
    "k8s": ("onprem",),
    "helm": ("onprem",),
    "gitops": ("onprem",),
}
# Formats of providers that this version does not have.
_LATER = {"arm": "azure", "bicep": "azure"}


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        name: on the command line.
        summary: for people, one line.
        build: the files by their relative path.
        deploys: whether the files bring up the service, so that the policy has a say.
    """

    name: str
    summary: str
    build: Callable[[Deployment], Files]
    deploys: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of an export.

    Attributes:
        files: by their relative path.
        findings: of the policy; none for what runs, which was let through once.
    """

    files: Files
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """What is exported.

    Attributes:
        provider: name of its provider.
        deployment: its spec.
        connect: the provider itself, made when it is needed.
        target: where it runs; None for one that is only described in a file.
    """

    provider: str
    deployment: Deployment
    connect: Callable[[], Provider]
    target: Target | None = None


def _compose(deployment: Deployment) -> Files:
    from tabular.deploy.export.compose import compose

    return compose(deployment)


def _swarm(deployment: Deployment) -> Files:
    from tabular.deploy.export.swarm import swarm

    return swarm(deployment)


FORMATS: tuple[Format, ...] = (
    Format("grafana", "dashboards to import into Grafana", monitoring.grafana),
    Format("prometheus", "scrape configuration and the rules it names", monitoring.prometheus),
    Format("alerts", "alert rules of Prometheus", monitoring.alerts),
    Format("otel-collector", "configuration of an OpenTelemetry collector", monitoring.collector),
    Format("compose", "a compose file for docker or podman", _compose, True),
    Format("swarm", "a stack of Docker Swarm, and the script that deploys it", _swarm, True),
)


def exported(source: Source, name: str, flavour: str | None = None) -> Exported:
    """A deployment in a format, and what the policy says of it.

    Args:
        source: what is exported.
        name: of the format.
        flavour: which kind of it, where a format has several: its key is ``format/flavour``.

    Raises:
        UsageError: there is no such format, or no such flavour of it.
        UnsupportedError: it is another provider's.
    """
    for found in FORMATS:
        if found.name == name:
            _require_flavour(name, flavour, [])
            return Exported(found.build(source.deployment), _judged(source, found))
    provider = source.connect()
    formats = provider.formats if isinstance(provider, ExportsStacks) else {}
    if name not in {key.partition("/")[0] for key in formats}:
        raise _refused(source, name, formats)
    _require_flavour(name, flavour, [key for key in formats if key.startswith(f"{name}/")])
    build = formats[name if flavour is None else f"{name}/{flavour}"]
    if source.target is not None and isinstance(provider, ExportsStacks):
        return Exported(build(provider.running(source.target)))
    stack = provider.compile(source.deployment)
    findings = check(source.deployment, stack, capabilities=provider.capabilities)
    return Exported(build(stack), findings)


def _judged(source: Source, format: Format) -> tuple[Finding, ...]:
    """What the policy says of a spec from which no vendor's stack is made."""
    if not format.deploys or source.target is not None:
        return ()
    spec, name = source.deployment.spec, source.deployment.metadata.name
    target = Target(source.provider, name, spec.environment, spec.region, spec.account)
    return check(source.deployment, Stack(target, {}, (), {}))


def surplus(folder: Path, files: Files) -> list[str]:
    """What lies in a folder's charts and is no part of an export: Helm would render it as well.

    An earlier release's templates, say. What is hidden, Helm passes over.
    """
    charts = [name.removesuffix(_CHART) for name in files if Path(name).name == _CHART]
    there = {
        path.relative_to(folder)
        for chart in charts
        for path in (folder / chart).rglob("*")
        if path.is_file()
    }
    shown = {one.as_posix() for one in there if not any(part[0] == "." for part in one.parts)}
    return sorted(shown - files.keys())


def _require_flavour(name: str, flavour: str | None, keys: Sequence[str]) -> None:
    known = [key.partition("/")[2] for key in keys]
    if flavour is None and known:
        raise UsageError(
            f"{name} comes in flavours: {', '.join(known)}",
            where="--flavour",
            hint=f"--flavour {known[0]}",
        )
    if flavour is not None and flavour not in known:
        raise UsageError(
            f"{name} has no flavour {flavour!r}",
            where="--flavour",
            hint=f"{nearest(flavour, known)}known: {', '.join(known)}" if known else "leave it out",
        )


def _refused(source: Source, name: str, own: Mapping[str, Any]) -> UsageError | UnsupportedError:
    known = sorted({*(key.partition("/")[0] for key in own), *(found.name for found in FORMATS)})
    if name in VENDOR_FORMATS:
        whose = " and ".join(VENDOR_FORMATS[name])
        return UnsupportedError(
            f"{name} is written for deployments on {whose}, and this one is on {source.provider}",
            where="--format",
            hint=f"for {source.provider}: {', '.join(known)}; or another --provider",
        )
    every = sorted({*known, *VENDOR_FORMATS})
    if name in _LATER:
        return UsageError(
            f"the format {name} is not in this version",
            where="--format",
            hint=f"it comes with the provider {_LATER[name]}; known: {', '.join(every)}",
            code="usage.not-yet",
        )
    return UsageError(
        f"there is no format {name!r}",
        where="--format",
        hint=f"{nearest(name, every)}known: {', '.join(every)}",
    )
