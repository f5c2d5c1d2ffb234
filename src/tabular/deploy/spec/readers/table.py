"""One engine for every translating reader: a table from keys of the file to keys of the model.

An entry's value is where its node goes, or a function where renaming is not enough. Below an
entry the keys keep their names unless a deeper entry says otherwise. What no entry covers is an
unknown key, never dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tabular.deploy.spec.readers.draft import Draft
from tabular.deploy.spec.source import Node
from tabular.deploy.spec.walk import Path, fields_at

Convert = Callable[[Draft, Node, str, Path], None]
Table = Mapping[str, str | tuple[str, Convert]]


def path_of(text: str) -> Path:
    """``spec.compute.cpu`` as a path; "" is the root."""
    return tuple(text.split(".")) if text else ()


def translate(
    draft: Draft, node: Node, table: Table, *, key: str = "", base: Path = (), rest: bool = False
) -> None:
    """Move everything below a mapping node to where the table says.

    Args:
        draft: receives values and problems.
        node: a mapping.
        table: keys relative to ``node``; targets relative to ``base``.
        key: key path of ``node`` in the file.
        base: path of the model that targets begin from.
        rest: keys of the block at ``base`` that the table does not list keep their names.
    """
    _Walk(draft, table, key, base).below(node, "", base if rest else None)


class _Walk:
    def __init__(self, draft: Draft, table: Table, key: str, base: Path) -> None:
        self._draft, self._table, self._key, self._base = draft, table, key, base

    def _absolute(self, relative: str) -> str:
        return ".".join(part for part in (self._key, relative) if part)

    def below(self, node: Node, relative: str, target: Path | None) -> None:
        """All children of a mapping; ``target`` is where unlisted ones go, None if nowhere."""
        for name, child in (node.entries or {}).items():
            here = f"{relative}.{name}".lstrip(".")
            entry = self._table.get(here)
            if isinstance(entry, tuple):
                where, convert = entry
                convert(self._draft, child, self._absolute(here), (*self._base, *path_of(where)))
            elif entry is not None:
                self._move(child, here, (*self._base, *path_of(entry)))
            elif self._deeper(here):
                self._move(child, here, None)
            elif target is not None and name in fields_at(target):
                self._draft.take((*target, name), child, self._absolute(here))
            else:
                self._draft.unknown(child, self._absolute(here), self._known(relative, target))

    def _move(self, node: Node, here: str, target: Path | None) -> None:
        if node.entries is not None and self._deeper(here):
            self.below(node, here, target)
        elif target is not None:
            self._draft.take(target, node, self._absolute(here))
        else:
            self._draft.problem(
                node, self._absolute(here), f"expected a block of keys, got {node.kind}"
            )

    def _deeper(self, here: str) -> bool:
        return any(name.startswith(f"{here}.") for name in self._table)

    def _known(self, relative: str, target: Path | None) -> list[str]:
        prefix = f"{relative}." if relative else ""
        listed = {n[len(prefix) :].split(".")[0] for n in self._table if n.startswith(prefix)}
        return sorted(listed | set(fields_at(target) if target else ()))
