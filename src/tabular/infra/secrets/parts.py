"""What the stores of secrets have in common: a key within a JSON secret, and the errors."""

from __future__ import annotations

import json

from tabular.errors import ConfigError, UnavailableError


def split_key(reference: str) -> tuple[str, str | None]:
    """The secret's name, and the key within it after ``#``."""
    name, hash_sign, key = reference.partition("#")
    return name, key if hash_sign else None


def value_at(text: str, key: str | None, where: str) -> str:
    """The secret, or what is at `key` of the JSON object that it is.

    Raises:
        ConfigError: there is no such key; the message repeats no value.
    """
    if key is None:
        return text
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    value = found.get(key) if isinstance(found, dict) else None
    if not isinstance(value, (str, int)):
        raise ConfigError(f"the secret has no key {key!r}", where=where)
    return str(value)


def missing(where: str) -> ConfigError:
    """The error of a name that leads to nothing."""
    return ConfigError("there is no such secret", where=where)


def denied(where: str, whom: str) -> ConfigError:
    """The error of a right that is missing."""
    return ConfigError(f"reading the secret is not allowed to {whom}", where=where)


def silent(where: str, why: str) -> UnavailableError:
    """The error of a store that does not answer, or not as it should."""
    return UnavailableError(f"the store of secrets does not answer: {why}", where=where)


def malformed(where: str, form: str) -> ConfigError:
    """The error of a reference that cannot be read."""
    return ConfigError("the reference cannot be read", where=where, hint=f"write {form}")
