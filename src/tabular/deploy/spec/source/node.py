"""A value of a file that knows where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml.error import StreamMark

from tabular.deploy.spec.source.scalars import Scalar


@dataclass(frozen=True, slots=True)
class Node:
    """One value of the file.

    Attributes:
        line, column: where the value begins, from 1.
        raw: the text of a scalar as written, without quotes; None for blocks and lists.
        value: the scalar's value.
        entries: of a mapping.
        items: of a list.
        key_line, key_column: where its key begins; 0 without a key.

    Values are not in the text form: one of them may be a secret.
    """

    line: int
    column: int
    raw: str | None = field(default=None, repr=False)
    value: Scalar = field(default=None, repr=False)
    entries: dict[str, Node] | None = None
    items: list[Node] | None = None
    key_line: int = 0
    key_column: int = 0

    @property
    def kind(self) -> str:
        """What it is, in a user's words; the text of a scalar is shortened."""
        if self.entries is not None:
            return "a block of keys"
        if self.items is not None:
            return "a list"
        if self.value is None:
            return "nothing"
        shown = (self.raw or "")[:40] + ("…" if len(self.raw or "") > 40 else "")
        return f"text {shown!r}" if isinstance(self.value, str) else shown

    def plain(self) -> Any:
        """The value below this node as plain data."""
        if self.entries is not None:
            return {name: node.plain() for name, node in self.entries.items()}
        if self.items is not None:
            return [node.plain() for node in self.items]
        return self.value


def at_key(node: Node, key: StreamMark) -> Node:
    """The same node, reached through a key at this place."""
    return Node(
        node.line, node.column, node.raw, node.value, node.entries, node.items,
        key.line + 1, key.column + 1,
    )  # fmt: skip


def depth_of(node: Node) -> int:
    """Levels of a tree, a scalar has one."""
    below = list(node.entries.values()) if node.entries else node.items or []
    return 1 + max((depth_of(item) for item in below), default=0)
