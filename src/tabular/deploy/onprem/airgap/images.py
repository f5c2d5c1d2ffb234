"""Which images an installation takes, and which values of the chart say where each one lies.

Nothing here knows the chart's templates. It is rendered twice, the second time with a mark in place
of every digest that the values can name, and the two are compared: so an image that no value moves
is found when a bundle is made, and not when a pod waits for it behind the gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tabular.deploy.onprem.compile import chart_values
from tabular.deploy.onprem.rendered import rendering
from tabular.deploy.onprem.values import lay_over
from tabular.errors import EngineError

from .contents import Release
from .reference import Reference

# Of containers; of clusters of CloudNativePG; of Zalando's operator.
_KEYS = ("image", "imageName", "dockerImage")
_ANYWHERE = "registry.invalid"  # RFC 2606: no registry has this name
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image lies in a registry of one's own, and what says so.

    Attributes:
        path: of its repository, below what `imageRegistry` names.
        values: paths of the maps, within the chart's values, whose `digest` picks it.
    """

    path: str
    values: tuple[tuple[str, ...], ...]


def named(objects: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Images that rendered objects name, sorted."""
    return tuple(sorted(set(_occurrences(objects).values())))


def of(release: Release) -> tuple[str, ...]:
    """Images of an installation, sorted.

    Raises:
        EngineError: the chart refuses the values.
    """
    return named(_rendered(release, {}))


def places(release: Release) -> dict[str, Place]:
    """The place of each image by its name.

    Raises:
        EngineError: the chart refuses the values, or has an image that no value moves.
    """
    maps = sorted(_image_maps(lay_over(chart_values(), release.values)))
    marks = {f"sha256:{number:064x}": path for number, path in enumerate(maps)}
    changes: dict[str, Any] = {"imageRegistry": _ANYWHERE}
    for mark, path in marks.items():
        changes = lay_over(changes, _nested(path, mark))
    plain = _occurrences(_rendered(release, {}))
    moved = _occurrences(_rendered(release, changes))
    found: dict[str, tuple[str, set[tuple[str, ...]]]] = {}
    for at, name in plain.items():
        place = Reference.parse(moved.get(at, name))
        if place.host != _ANYWHERE or place.digest not in marks:
            raise EngineError(
                f"the chart has an image that no value moves to another registry: {name}",
                where="/".join(map(str, at)),
                hint="this is an error of the chart; please report it",
            )
        found.setdefault(name, (place.path, set()))[1].add(marks[place.digest])
    return {name: Place(path, tuple(sorted(maps))) for name, (path, maps) in found.items()}


def values_for(release: Release, digests: Mapping[str, str], root: str) -> dict[str, Any]:
    """Values by which every image comes from one registry, by its digest.

    Args:
        release: what is installed.
        digests: of the images there, by their names.
        root: the registry, with or without a path.

    Raises:
        EngineError: an image would come from elsewhere nevertheless.
    """
    found: dict[str, Any] = {"imageRegistry": root}
    known = places(release)
    for name, place in sorted(known.items()):
        if name not in digests:
            raise EngineError(
                f"the bundle does not have {name}, which this release of the chart installs",
                hint="install the wheels of the bundle, and run the same command with them",
            )
        for path in place.values:
            found = lay_over(found, _nested(path, digests[name]))
    wanted = {f"{root}/{place.path}@{digests[name]}" for name, place in known.items()}
    if others := set(named(_rendered(release, found))) - wanted:
        raise EngineError(
            f"images would come from elsewhere than {root}: {', '.join(sorted(others))}",
            hint="this is an error of the chart; please report it",
        )
    return found


def _rendered(release: Release, changes: Mapping[str, Any]) -> tuple[rendering.Object, ...]:
    # Values by hand may leave secrets to the chart; those of this rendering are thrown away.
    changes = lay_over(changes, {"secrets": {"generate": True}})
    return rendering.render(
        lay_over(release.values, changes),
        name=release.name,
        namespace=release.namespace,
        kube_version=release.kube_version,
    )


def _image_maps(values: Mapping[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(values.get("repository"), str) and at:
        yield at
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _image_maps(value, (*at, key))


def _nested(path: Sequence[str], digest: str) -> dict[str, Any]:
    inner: dict[str, Any] = {"digest": digest}
    for key in reversed(path):
        inner = {key: inner}
    return inner


def _occurrences(objects: Iterable[Mapping[str, Any]]) -> dict[Path, str]:
    found: dict[Path, str] = {}
    for one in objects:
        identity = (str(one["kind"]), str(one["metadata"]["name"]))
        found.update(_within(one, identity))
    return found


def _within(value: Any, at: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in _KEYS and isinstance(inner, str) and inner:
                yield (*at, key), inner
            else:
                yield from _within(inner, (*at, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _within(inner, (*at, number))
