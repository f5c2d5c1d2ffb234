"""Import of drivers that are extras, so that a missing one is a sentence and not a traceback."""

from __future__ import annotations

import importlib
from typing import Any

from tabular.errors import ConfigError


def require(module: str, *, extra: str, needed_by: str) -> Any:
    """Import `module`, which the pip extra `extra` installs.

    Args:
        module: the dotted name to import.
        extra: the extra of this distribution that brings it.
        needed_by: what asked for it, such as ``redis:// URLs``.

    Raises:
        ConfigError: it is not installed; the hint is the command that installs it.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ConfigError(
            f"{needed_by} need the package {package!r}, which is not installed",
            hint=f"pip install 'inferloop-tabular[{extra}]'",
            code="config.missing-extra",
        ) from error
