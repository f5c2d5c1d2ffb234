"""A deployment in the words of other tools: what `inferloop-tabular export` offers.

Two kinds of formats. Those of `FORMATS` come from the spec alone and go with any provider. The
others are written from the stack, which is in a vendor's vocabulary, so the provider brings them.
The same deployment gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tabular.deploy.export import monitoring
from tabular.deploy.provider import ExportsStacks, Provider
from tabular.deploy.spec import Deployment
from tabular.deploy.target import Target
from tabular.errors import UnsupportedError, UsageError, nearest

Files = Mapping[str, bytes]

# Whose stacks can be written in which format; a provider of a plug-in may bring others.
VENDOR_FORMATS: Mapping[str, tuple[str, ...]] = {
    "cloudformation": ("aws",),
    "terraform": ("aws",),
    "cdk": ("aws",),
}


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        name: on the command line.
        summary: for people, one line.
        build: the files by their relative path.
    """

    name: str
    summary: str
    build: Callable[[Deployment], Files]


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


FORMATS: tuple[Format, ...] = (
    Format("grafana", "dashboards to import into Grafana", monitoring.grafana),
    Format("prometheus", "scrape configuration and the rules it names", monitoring.prometheus),
    Format("alerts", "alert rules of Prometheus", monitoring.alerts),
    Format("otel-collector", "configuration of an OpenTelemetry collector", monitoring.collector),
)


def files_of(source: Source, name: str) -> Files:
    """The files of a deployment in a format.

    Raises:
        UsageError: there is no such format.
        UnsupportedError: it is another provider's.
    """
    for found in FORMATS:
        if found.name == name:
            return found.build(source.deployment)
    provider = source.connect()
    if not isinstance(provider, ExportsStacks):
        raise _refused(source, name, {})
    if name not in provider.formats:
        raise _refused(source, name, provider.formats)
    if source.target is not None:
        return provider.formats[name](provider.running(source.target))
    return provider.formats[name](provider.compile(source.deployment))


def _refused(source: Source, name: str, own: Mapping[str, Any]) -> UsageError | UnsupportedError:
    known = sorted({*own, *(found.name for found in FORMATS)})
    if name in VENDOR_FORMATS:
        whose = " and ".join(VENDOR_FORMATS[name])
        return UnsupportedError(
            f"{name} is written for deployments on {whose}, and this one is on {source.provider}",
            where="--format",
            hint=f"for {source.provider}: {', '.join(known)}; or another --provider",
        )
    return UsageError(
        f"there is no format {name!r}",
        where="--format",
        hint=f"{nearest(name, known)}known: {', '.join(known)}",
    )
