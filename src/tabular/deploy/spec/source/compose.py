"""YAML text to a tree in which every key and value knows its line and column.

Built from the parser's events and not through a loader: that way limits hold while reading,
nothing is ever constructed from a tag, and a bomb costs no more than its limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml import events as ev
from ruamel.yaml.error import MarkedYAMLError, StreamMark, YAMLError

from tabular.deploy.spec.problems import Problem, spec_error
from tabular.deploy.spec.source.node import Node, at_key, depth_of
from tabular.deploy.spec.source.scalars import Scalar, ScalarError, resolve
from tabular.deploy.spec.source.text import CONTROL
from tabular.errors import SpecError

MAX_DEPTH = 40
MAX_KEY = 300
MAX_NODES = 20_000
CORE_TAG = "tag:yaml.org,2002:"
CORE_TAGS = frozenset(f"{CORE_TAG}{name}" for name in ("str", "map", "seq"))


@dataclass(slots=True)
class _Composer:
    """State of reading one document."""

    name: str
    events: Iterator[Any]
    problems: list[Problem] = field(default_factory=list)
    anchors: dict[str, tuple[Node, int] | None] = field(default_factory=dict)
    nodes: int = 0

    def fatal(self, mark: StreamMark | None, message: str, hint: str = "") -> SpecError:
        """What is wrong so far and this, after which reading cannot go on."""
        self.note(mark, "", message, hint)
        return spec_error(self.name, self.problems)

    def note(self, mark: StreamMark | None, key: str, message: str, hint: str = "") -> None:
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        place = f"{self.name}:{line}:{column}" if mark else self.name
        self.problems.append(Problem(line, column, place, key, message, hint))

    def count(self, event: Any, nodes: int, depth: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise self.fatal(
                event.start_mark,
                f"more than {MAX_NODES} values, aliases expanded",
                "write repeated parts out, or split the deployment",
            )
        if depth > MAX_DEPTH:
            raise self.fatal(event.start_mark, f"nested more than {MAX_DEPTH} levels deep")

    def node(self, event: Any, path: str, depth: int) -> Node:
        """The node that begins with this event."""
        self.count(event, 1, depth)
        if isinstance(event, ev.AliasEvent):
            return self.alias(event, depth)
        before = self.nodes
        tag = str(event.tag) if event.tag is not None else None
        if tag is not None and tag not in CORE_TAGS and tag != "!":
            shown = tag.replace(CORE_TAG, "!!")[:60]
            self.note(event.start_mark, path, f"the tag {shown} is not supported", "remove it")
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        if isinstance(event, ev.MappingStartEvent):
            made = self.mapping(event, path, depth)
        elif isinstance(event, ev.SequenceStartEvent):
            made = self.sequence(event, path, depth)
        else:
            made = self.scalar(event, path, tag)
        if event.anchor is not None:
            self.anchors[event.anchor] = (made, self.nodes - before + 1)
        return made

    def alias(self, event: Any, depth: int) -> Node:
        if event.anchor not in self.anchors:
            raise self.fatal(event.start_mark, f"there is no anchor &{event.anchor} above")
        known = self.anchors[event.anchor]
        if known is None:
            raise self.fatal(event.start_mark, f"*{event.anchor} refers to what it is part of")
        self.count(event, known[1], depth + depth_of(known[0]))
        return known[0]

    def scalar(self, event: Any, path: str, tag: str | None) -> Node:
        mark, text = event.start_mark, str(event.value)
        if CONTROL.search(text):
            raise self.fatal(mark, "an escape makes a character that may not stand in a file")
        value: Scalar = text
        if event.implicit[0] and tag is None:
            try:
                value = resolve(text)
            except ScalarError as error:
                self.note(mark, path, str(error))
        return Node(mark.line + 1, mark.column + 1, text, value)

    def sequence(self, event: Any, path: str, depth: int) -> Node:
        items: list[Node] = []
        while not isinstance(item := next(self.events), ev.SequenceEndEvent):
            items.append(self.node(item, f"{path}[{len(items)}]", depth + 1))
        return Node(event.start_mark.line + 1, event.start_mark.column + 1, items=items)

    def mapping(self, event: Any, path: str, depth: int) -> Node:
        entries: dict[str, Node] = {}
        while not isinstance(name := next(self.events), ev.MappingEndEvent):
            key = self.key(name, path, depth)
            value = self.node(next(self.events), f"{path}.{key}".lstrip("."), depth + 1)
            if key is None:
                continue
            here = f"{path}.{key}".lstrip(".")
            if key == "<<" and name.style is None:
                self.note(
                    name.start_mark, here, "merge keys are not part of YAML 1.2", "write them out"
                )
            elif key in entries:
                first = entries[key]
                self.note(
                    name.start_mark, here, f"the key is there twice, first in line {first.key_line}"
                )
            else:
                entries[key] = at_key(value, name.start_mark)
        return Node(event.start_mark.line + 1, event.start_mark.column + 1, entries=entries)

    def key(self, event: Any, path: str, depth: int) -> str | None:
        """The text of a key; None, with a problem noted, if it is something else."""
        node = self.node(event, path, depth + 1)
        if node.raw is None or not isinstance(node.value, str):
            self.note(
                event.start_mark,
                path,
                f"a key must be text, this is {node.kind}",
                "put it in quotes" if node.raw else "",
            )
            return None
        if len(node.value) > MAX_KEY:
            raise self.fatal(event.start_mark, f"a key is longer than {MAX_KEY} characters")
        return node.value


def parse(text: str, name: str) -> Node:
    """The one document of a YAML text.

    Args:
        text: at most 256 KiB of checked characters.
        name: the file, for messages.

    Raises:
        SpecError: no YAML, empty, several documents, no mapping at the root, or over a limit;
            names every problem that does not stop the reading.
    """
    composer = _Composer(name, YAML(typ="safe", pure=True).parse(text))
    try:
        return _document(composer)
    except MarkedYAMLError as error:
        what = " ".join(part for part in (error.problem, error.context) if part)
        mark = error.problem_mark or error.context_mark
        tab = "use spaces, YAML allows no tabs there" if "\\t" in what else ""
        raise composer.fatal(mark, f"not YAML: {what}", tab) from None
    except (YAMLError, ValueError) as error:
        raise composer.fatal(None, f"not YAML: {error}") from None


def _document(composer: _Composer) -> Node:
    next(composer.events)
    start = next(composer.events)
    if isinstance(start, ev.StreamEndEvent):
        raise composer.fatal(None, "the file is empty", "`inferloop-tabular init` writes a start")
    if getattr(start, "version", None) not in (None, (1, 2)):
        composer.note(start.start_mark, "", "only YAML 1.2 is read", "remove the %YAML line")
    root = composer.node(next(composer.events), "", 0)
    next(composer.events)
    more = next(composer.events)
    if not isinstance(more, ev.StreamEndEvent):
        raise composer.fatal(
            more.start_mark, "a second document begins here", "one deployment is one file"
        )
    if root.entries is None:
        where = StreamMark(None, 0, root.line - 1, root.column - 1)
        hint = "begin with apiVersion, kind, metadata, spec"
        raise composer.fatal(where, f"expected a block of keys, got {root.kind}", hint)
    if composer.problems:
        raise spec_error(composer.name, composer.problems)
    return root
