"""Every effective value and where it came from: the answer to "why is it 3?"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tabular.deploy.spec.load import Loaded
from tabular.deploy.spec.secret import WITHHELD
from tabular.deploy.spec.walk import Path, dotted

DEFAULT = "default"
HIDDEN = "********"


@dataclass(frozen=True, slots=True)
class Explained:
    """One value.

    Attributes:
        key: dotted path in the model.
        value: plain data; a secret that was written out is hidden.
        origin: ``default``, ``file:line:column`` or the flag.
        note: key in the file and what the reader did with it, "" where nothing was done.
    """

    key: str
    value: Any
    origin: str
    note: str = ""


def explain(loaded: Loaded) -> Iterator[Explained]:
    """All values of a deployment in the order of the model; unset ones have the value None."""
    data = loaded.deployment.model_dump(mode="json", by_alias=True)
    for path, value in _leaves(data, ()):
        origin = loaded.origins.get(path)
        key = dotted(path)
        if origin is None:
            yield Explained(key, value, DEFAULT)
            continue
        renamed = origin.key if origin.key != key else ""
        note = f"{renamed} ({origin.note})" if renamed and origin.note else renamed or origin.note
        yield Explained(key, value, origin.place, note)


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if value == WITHHELD:
        yield path, HIDDEN
    elif isinstance(value, dict) and value and set(value) != {"secretRef"}:
        for name, item in value.items():
            yield from _leaves(item, (*path, name))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, value
