"""The SDK's front door: names are looked up when first used, so that importing costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tabular.version import __version__

__all__ = ["Synthesizer", "__version__", "evaluate", "generate", "profile"]

if TYPE_CHECKING:
    from tabular.synth.evaluation import evaluate
    from tabular.synth.profile import profile
    from tabular.synth.synthesizer import Synthesizer, generate

_HOMES = {
    "Synthesizer": "tabular.synth.synthesizer",
    "generate": "tabular.synth.synthesizer",
    "evaluate": "tabular.synth.evaluation",
    "profile": "tabular.synth.profile",
}


def __getattr__(name: str) -> Any:
    """Imports a re-exported name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted(__all__)
