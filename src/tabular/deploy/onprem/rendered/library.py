"""Helm in this process, under its own name.

Helm tells the server who sets a field by the name of its process, as the first argument says it.
Within Python that is whatever somebody typed (``python``, ``python3.11``, a path), and two deploys
that were started in different ways would refuse each other's fields. So Helm is told its own name
when it is loaded; with the binary it is the same.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from pathlib import Path
from typing import Any

from tabular.infra.optional import require

NAME = "helm"
_SAID = ctypes.create_string_buffer(NAME.encode())  # Go keeps the address and makes no copy


def helm() -> Any:
    """The package ``helm_python``, loaded under the name of Helm.

    Raises:
        ConfigError: it is not installed.
    """
    return _loaded()[0]


def manager() -> str:
    """The field manager that Helm goes by in this process."""
    return str(_loaded()[1])


@functools.cache
def _loaded() -> tuple[Any, str]:
    arguments = _arguments()
    own = None if arguments is None else arguments[0]
    if arguments is not None:
        arguments[0] = ctypes.cast(_SAID, ctypes.c_void_p).value
    try:
        package = require("helm_python", extra="onprem", needed_by="deployments on Kubernetes")
        package.helm_c_version()  # returns when its runtime has read the arguments
    finally:
        if arguments is not None:
            arguments[0] = own
    return package, NAME if arguments is not None else Path(sys.orig_argv[0]).name


def _arguments() -> Any:
    """The process's arguments, as the loader of glibc hands them to a library; None elsewhere."""
    try:
        return ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), "_dl_argv")
    except (OSError, ValueError):
        return None
