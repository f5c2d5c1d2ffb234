"""What a reader makes: plain data in the model's shape, and where each piece of it came from.

Readers only move and rename; whether a value is right is for the model to say, and the origin
kept here lets its verdict be told in the words and lines of the user's own file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tabular.deploy.spec.problems import Problem
from tabular.deploy.spec.source import Node
from tabular.deploy.spec.walk import Path
from tabular.errors import nearest


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from.

    Attributes:
        file: the file, or the flag.
        key: key path in the file; "" for a flag.
        node: the value in the file; None for a flag.
        note: what the reader did with it, "" when it was taken as it is.
    """

    file: str
    key: str
    node: Node | None = None
    note: str = ""

    @property
    def place(self) -> str:
        """``file:line:column``, or the flag."""
        node = self.node
        if node is None:
            return self.file
        if node.entries is not None and node.key_line:
            return f"{self.file}:{node.key_line}:{node.key_column}"
        return f"{self.file}:{node.line}:{node.column}"


@dataclass(slots=True)
class Draft:
    """Data on its way into the model.

    Attributes:
        name: the file, as the user named it.
        data: in the shape of the model.
        origins: by path in ``data``.
        problems: what the reader itself found wrong.
        notes: what a user should know though nothing is wrong.
    """

    name: str
    data: dict[str, Any] = field(default_factory=dict, repr=False)
    origins: dict[Path, Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def origin(self, node: Node, key: str, note: str = "") -> Origin:
        """The origin that a node of this file is."""
        return Origin(self.name, key, node, note)

    def put(self, path: Path, value: Any, origin: Origin) -> None:
        """Set one value; blocks on the way to it are made.

        Two keys of the file that mean the same key of the model are a problem.
        """
        before = self.origins.get(path)
        if before and before.node is not origin.node and self.get(path) is not None and origin.node:
            said = f"{before.key} in {before.place} says the same"
            self.problem(origin.node, origin.key, said, "keep one of the two")
            return
        self.replace(path, value, origin)

    def replace(self, path: Path, value: Any, origin: Origin) -> None:
        """Set one value, whatever was there before."""
        block = self.data
        for step in path[:-1]:
            below = block.setdefault(str(step), {})
            if not isinstance(below, dict):
                below = block[str(step)] = {}
            block = below
        block[str(path[-1])] = value
        self.origins[path] = origin
        for length in range(len(path) - 1, 0, -1):
            origin = dataclasses.replace(origin, key=origin.key.rpartition(".")[0])
            self.origins.setdefault(path[:length], origin)

    def take(self, path: Path, node: Node, key: str, note: str = "") -> None:
        """Copy a node with all below it, unchanged, to a place of the model."""
        self.put(path, node.plain(), self.origin(node, key, note))
        self._trace(path, node, key, note)

    def _trace(self, path: Path, node: Node, key: str, note: str) -> None:
        for name, item in (node.entries or {}).items():
            here = f"{key}.{name}"
            self.origins[(*path, name)] = self.origin(item, here, note)
            self._trace((*path, name), item, here, note)
        for index, item in enumerate(node.items or []):
            here = f"{key}[{index}]"
            self.origins[(*path, index)] = self.origin(item, here, note)
            self._trace((*path, index), item, here, note)

    def get(self, path: Path) -> Any:
        """The value at a path of the data, None where there is none."""
        value: Any = self.data
        for step in path:
            if not isinstance(value, dict) or step not in value:
                return None
            value = value[str(step)]
        return value

    def problem(self, node: Node, key: str, message: str, hint: str = "") -> None:
        """Note what is wrong with a value."""
        place = f"{self.name}:{node.line}:{node.column}"
        self.problems.append(Problem(node.line, node.column, place, key, message, hint))

    def unknown(self, node: Node, key: str, known: list[str]) -> None:
        """Note a key that this file shape does not have."""
        line, column = node.key_line or node.line, node.key_column or node.column
        place = f"{self.name}:{line}:{column}"
        hint = nearest(key.rpartition(".")[2], known).strip()
        self.problems.append(Problem(line, column, place, key, "unknown key", hint or _list(known)))

    def merge(self, over: Draft) -> None:
        """Lay another draft over this one; what it replaces is noted."""
        for path, value in list(leaves(over.data)):
            origin = over.origins[path]
            self.note_replaced(path, value, origin)
            self.replace(path, value, origin)
            below = {p: o for p, o in over.origins.items() if p[: len(path)] == path}
            self.origins.update(below)
        self.problems += over.problems
        self.notes += over.notes

    def note_replaced(self, path: Path, value: Any, origin: Origin) -> None:
        """Note that a value of the file gives way to another."""
        before, old = self.origins.get(path), self.get(path)
        if before is None or old is None or old == value:
            return
        if before.node is None and before.place == origin.place:
            self.notes.append(f"{origin.place} is given more than once: the last one counts")
            return
        there = f"{before.key} in {before.place}" if before.key else before.place
        self.notes.append(f"{origin.place} replaces {there}")


def leaves(data: dict[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Everything below that is no block; an empty block is a leaf."""
    for name, value in data.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value


def _list(known: list[str]) -> str:
    return f"known here: {', '.join(known[:12])}{', …' if len(known) > 12 else ''}" if known else ""
