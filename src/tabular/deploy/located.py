"""What a provider finds wrong with a spec, told by the line of the file that said it.

A provider sees the model and not the file, so its errors name keys. Here they meet the origins
that the reader kept, and what is wrong in a file becomes an error of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tabular.deploy.capability import FieldsError
from tabular.deploy.names import provider_names
from tabular.deploy.provider import ChecksOverrides
from tabular.deploy.registry import load_provider
from tabular.deploy.spec import Loaded
from tabular.deploy.spec.problems import Problem, spec_error
from tabular.errors import UnsupportedError, UsageError


@contextmanager
def located(loaded: Loaded) -> Iterator[None]:
    """Tell errors about keys of this spec by where each key was said.

    Raises:
        SpecError: a key whose value no provider takes, such as in its own overrides.
        UnsupportedError: with the place of every key that is refused.
    """
    try:
        yield
    except FieldsError as error:
        places = [(_place(loaded, path), path, note) for path, note in error.fields]
        if len(places) == 1:
            error.where, path, note = places[0]
            error.message = f"{error.provider} cannot give {path}: {note}"
        elif any(place for place, _, _ in places):
            lines = "".join(
                f"\n  {f'{place}: ' if place else ''}{path}: {note}" for place, path, note in places
            )
            error.message = (
                f"{error.provider} cannot give {len(places)} fields of this spec:{lines}"
            )
        raise
    except UnsupportedError as error:
        found = _problem(loaded, error)
        if found is not None:
            error.where, error.message = found.place, f"{found.key}: {error.message}"
        raise
    except UsageError as error:
        found = _problem(loaded, error)
        if found is None:
            raise
        raise spec_error(loaded.name, [found]) from error


def check_overrides(loaded: Loaded) -> None:
    """Have each installed provider look at its own overrides, whichever is deployed to.

    Raises:
        SpecError: something there is wrong, with the line of the file.
        ConfigError: a provider that is named there is installed and broken.
    """
    given = loaded.deployment.spec.overrides
    for name in (name for name in provider_names() if name in given) if given else ():
        provider = load_provider(name)
        if isinstance(provider, ChecksOverrides):
            with located(loaded):
                provider.check_overrides(given[name])


def _place(loaded: Loaded, path: str) -> str | None:
    found = loaded.problem(f"spec.{path}", "")
    return found.place if found else None


def _problem(loaded: Loaded, error: UnsupportedError | UsageError) -> Problem | None:
    """The error as a problem of the file; None where it is not about a key that was said."""
    if error.where is None or not error.where.startswith(("spec.", "metadata.")):
        return None
    return loaded.problem(error.where, error.message, error.hint or "")
