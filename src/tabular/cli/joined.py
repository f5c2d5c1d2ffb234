"""Options that several commands share, written once and handed over as one value.

Typer takes a command's options from its signature. `join` puts shared options into the signature
of a command that asks for one value made of them.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, get_type_hints

Command = Callable[..., None]


def join(
    command: Command, name: str, flags: Mapping[str, Any], make: Callable[[dict[str, Any]], Any]
) -> Command:
    """Give a command the options that its parameter ``name`` is made of.

    Args:
        command: takes ``name`` as a keyword.
        name: the parameter, replaced by the options.
        flags: annotations by parameter; one with a default is a pair (annotation, default).
        make: the value of the parameter, from what was given.
    """
    # The type of the value itself may be one that is imported when the command runs.
    written = {n: a for n, a in command.__annotations__.items() if n != name}
    hints = get_type_hints(
        SimpleNamespace(__annotations__=written),
        globalns=vars(sys.modules[command.__module__]),
        include_extras=True,
    )
    own = [p for p in inspect.signature(command).parameters.values() if p.name != name]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        said = {flag: given.pop(flag) for flag in flags}
        command(**{name: make(said)}, **given)

    kind = inspect.Parameter.KEYWORD_ONLY
    mine = [p.replace(kind=kind, annotation=hints[p.name]) for p in own]
    shared = [_parameter(flag, said) for flag, said in flags.items()]
    parameters = [*mine, *shared]
    vars(run)["__signature__"] = inspect.Signature(parameters)
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    del vars(run)["__wrapped__"]
    return run


def _parameter(name: str, said: Any) -> inspect.Parameter:
    annotation, default = said if isinstance(said, tuple) else (said, None)
    if default is None and annotation.__origin__ is bool:
        default = False
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)
