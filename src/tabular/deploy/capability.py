"""What a provider can do with each field of the spec, so that no field is ever dropped silently.

A provider declares a table from spec paths to support. A path covers everything below it; the
longest match wins; a path that no entry covers is unsupported. Fail closed: a field added to the
spec tomorrow is refused by every provider until its author has thought about it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tabular.deploy.spec.secret import WITHHELD
from tabular.errors import UnsupportedError


class Support(StrEnum):
    """How a provider gives a feature."""

    NATIVE = "native"
    EMULATED = "emulated"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Capability:
    """Support of one spec path.

    Attributes:
        support: native (the vendor's own), emulated (ours, or in part), unsupported.
        note: what it becomes there, or why not and what to use instead.
    """

    support: Support
    note: str = ""


CapabilityTable = Mapping[str, Capability]


class FieldsError(UnsupportedError):
    """A refusal of fields of the spec that still has them one by one.

    Args:
        message: all of them in words.
        hint: what to do instead.
        provider: who refuses.
        fields: dotted paths below ``spec``, with the note of each.
    """

    def __init__(
        self, message: str, *, hint: str, provider: str, fields: tuple[tuple[str, str], ...]
    ) -> None:
        super().__init__(message, hint=hint)
        self.provider = provider
        self.fields = fields


# Honoured before any provider is asked: it chooses the provider, the target and the policy.
CORE_FIELDS = frozenset({"provider", "environment", "policy"})


def native(note: str = "") -> Capability:
    """The vendor has it."""
    return Capability(Support.NATIVE, note)


def emulated(note: str) -> Capability:
    """Given by other means or in part; the note says how."""
    return Capability(Support.EMULATED, note)


def unsupported(note: str) -> Capability:
    """Not given; the note says why and what to do instead."""
    return Capability(Support.UNSUPPORTED, note)


SEVERAL_PLACES = unsupported(
    "this version deploys to one place at a time: write one file for each, and deploy each"
)


def lookup(table: CapabilityTable, path: str) -> Capability:
    """The entry of the longest prefix of ``path``; unsupported if there is none."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        found = table.get(".".join(parts[:length]))
        if found is not None:
            return found
    return unsupported("this provider does not know the field")


def leaf_paths(spec: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted paths of all leaves of plain data; lists and withheld secrets are leaves."""
    for key, value in spec.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and value != WITHHELD:
            yield from leaf_paths(value, f"{path}.")
        else:
            yield path


def require_supported(provider: str, table: CapabilityTable, spec: Mapping[str, Any]) -> None:
    """Refuse a spec that asks for anything the table does not cover.

    Args:
        provider: name for the message.
        table: the provider's capabilities.
        spec: what the user asked for, plain data, without defaults.

    Raises:
        FieldsError: names every such field and what to do instead.
    """
    refused = tuple(
        (path, found.note)
        for path in leaf_paths(spec)
        if path.split(".")[0] not in CORE_FIELDS
        and (found := lookup(table, path)).support is Support.UNSUPPORTED
    )
    if refused:
        lines = "; ".join(f"{path}: {note}" for path, note in refused)
        raise FieldsError(
            f"{provider} cannot give {len(refused)} field(s) of this spec: {lines}",
            hint=f"remove them, or see `inferloop-tabular capabilities --provider {provider}`",
            provider=provider,
            fields=refused,
        )


def require_choices(provider: str, spec: object, choices: Mapping[str, Collection[object]]) -> None:
    """Refuse a word of a field whose other words the provider gives.

    Args:
        provider: name for the message.
        spec: the model of ``spec``.
        choices: dotted paths below it with the words that are given; None among them where the
            field may be left out. A block that is not there is not asked.

    Raises:
        UnsupportedError: names the field and the words that are given.
    """
    for path, allowed in choices.items():
        *blocks, name = path.split(".")
        holder: Any = spec
        for block in blocks:
            holder = getattr(holder, block, None)
        value = getattr(holder, name, None)
        if holder is not None and value not in allowed:
            raise UnsupportedError(
                f"{provider} cannot give {path}: {value}",
                where=f"spec.{path}",
                hint=f"choose one of: {', '.join(str(word) for word in allowed if word)}",
            )


def without_noes(spec: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """The spec without keys that say no to something: they ask for nothing.

    An empty block within a block asks for its defaults (``spot: {}``); an empty top block does not.
    """
    kept: dict[str, Any] = {}
    for name, value in spec.items():
        if isinstance(value, Mapping) and value:
            inner = without_noes(value, depth + 1)
            if inner:
                kept[name] = inner
        elif value is not None and value is not False and value != [] and (value != {} or depth):
            kept[name] = value
    return kept
