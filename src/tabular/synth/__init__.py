"""The science: learns a table, draws rows like it. Knows tables, nothing of clouds or HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tabular.synth.schema import ColumnSchema, TableSchema
    from tabular.synth.synthesizer import Synthesizer, generate

__all__ = ["ColumnSchema", "Synthesizer", "TableSchema", "generate"]


def __getattr__(name: str) -> Any:
    """Imports a re-exported name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = "schema" if name.endswith("Schema") else "synthesizer"
    return getattr(import_module(f"tabular.synth.{home}"), name)
