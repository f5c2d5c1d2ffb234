"""The model's verdict on a draft, told in the words and lines of the user's file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tabular.deploy.names import known_names
from tabular.deploy.spec.model import Deployment
from tabular.deploy.spec.problems import Problem
from tabular.deploy.spec.readers import Draft, Origin
from tabular.deploy.spec.secret import SECRET_KEY
from tabular.deploy.spec.walk import Path, choices, dotted, fields_at, sorted_keys
from tabular.errors import nearest

EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "float_type": "a number",
    "model_type": "a block of keys",
    "model_attributes_type": "a block of keys",
    "dict_type": "a block of keys",
    "tuple_type": "a list",
}
PATTERNS = {
    "^[a-z]([-a-z0-9]*[a-z0-9])?$": "lower-case letters, digits and dashes, a letter first",
    "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$": "lower-case letters, digits, dots and dashes",
}
CONSEQUENCE = "default_factory_not_called"
MAX_KNOWN = 12


def judge(draft: Draft) -> tuple[Deployment | None, list[Problem]]:
    """The deployment that a draft is, or what is wrong with it.

    Names of the user's own (labels, providers, overrides) are brought in order first, so that
    the order of a file's lines changes nothing that is compiled from it.
    """
    try:
        made = Deployment.model_validate(sorted_keys(draft.data), by_alias=True, by_name=False)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        told = (d for d in details if d["type"] != CONSEQUENCE)
        found = [*draft.problems, *(_problem(draft, detail) for detail in told)]
        return None, [*found, *_strangers(draft)]
    problems = [*draft.problems, *_strangers(draft)]
    return (None if problems else made), problems


def _strangers(draft: Draft) -> Iterator[Problem]:
    """Overrides for a provider that nobody knows: they would be taken, and never be used."""
    path: Path = ("spec", "overrides")
    given = draft.get(path)
    unknown = sorted(set(given) - set(known_names())) if isinstance(given, dict) and given else ()
    for name in unknown:
        origin, _ = nearest_origin(draft.origins, (*path, name))
        if origin is None:
            continue
        node, known = origin.node, known_names()
        line, column = (node.key_line, node.key_column) if node else (0, 0)
        place = f"{origin.file}:{line}:{column}" if node else origin.place
        hint = f"{nearest(name, known)}known: {', '.join(known)}"
        key = origin.key or dotted((*path, name))
        yield Problem(line, column, place, key, f"there is no provider {name!r}", hint)


def nearest_origin(origins: Mapping[Path, Origin], path: Path) -> tuple[Origin | None, Path]:
    """The nearest thing in the file at or above a path, and what of the path it does not name."""
    for length in range(len(path), 0, -1):
        if path[:length] in origins:
            return origins[path[:length]], path[length:]
    return None, path


def _problem(draft: Draft, detail: ErrorDetails) -> Problem:
    context: dict[str, Any] = detail.get("ctx", {})
    path: Path = tuple(step for step in detail["loc"] if step != "[key]")
    if detail["type"] == "contradiction":
        path = (*path, context["key"])
    origin, rest = nearest_origin(draft.origins, path)
    if origin is None:
        return Problem(1, 1, f"{draft.name}:1:1", dotted(path), *_words(detail, path, None))
    key = origin.key
    if rest or not key:
        key = ".".join(filter(None, (key, dotted(rest)))) or dotted(path)
    node = origin.node
    message, hint = _words(detail, path, origin if not rest else None)
    if node is None:
        return Problem(0, 0, origin.place, dotted(path), message, hint)
    line, column = node.line, node.column
    at_key = detail["type"] in ("extra_forbidden", "contradiction") or detail["loc"][-1] == "[key]"
    at_key = at_key or node.kind == "nothing"
    if at_key and not rest and node.key_line:
        line, column = node.key_line, node.key_column
    return Problem(line, column, f"{origin.file}:{line}:{column}", key, message, hint)


def _words(detail: ErrorDetails, path: Path, origin: Origin | None) -> tuple[str, str]:
    """Message and hint of one of pydantic's errors, never with the value of a secret."""
    kind, context = detail["type"], detail.get("ctx", {})
    secret = any(isinstance(step, str) and SECRET_KEY.search(step) for step in path)
    node = origin.node if origin else None
    got = f", got {node.kind}" if node and not secret else ""
    if kind == "literal_error":
        return _choice(path, got, node.value if node else None)
    if kind in EXPECTED:
        return f"expected {EXPECTED[kind]}{got}", _type_hint(kind, origin)
    if kind == "string_pattern_mismatch":
        pattern = str(context["pattern"])
        return f"expected {PATTERNS.get(pattern, f'text like {pattern}')}{got}", ""
    simple = {"extra_forbidden": ("unknown key", _mend(path)), "missing": ("missing key", "")}
    if kind in simple:
        return simple[kind]
    message = _limit(kind, context) or detail["msg"]
    return (f"{message}{got}" if message.startswith("expected") else message), ""


def _type_hint(kind: str, origin: Origin | None) -> str:
    node = origin.node if origin else None
    if kind == "string_type" and origin and node is None:
        return f"""put it in quotes: '{origin.file.removeprefix("--set ")}="…"'"""
    if kind == "string_type" and node and node.raw and isinstance(node.value, int | float):
        return f'put it in quotes: "{node.raw}"'
    if kind == "bool_type" and node and (node.raw or "").lower() in ("yes", "no", "on", "off"):
        right = "true" if str(node.raw).lower() in ("yes", "on") else "false"
        return f"in YAML 1.2 {node.raw} is text: write {right}"
    if kind == "tuple_type":
        return "write - before each item, or [a, b]"
    return ""


def _limit(kind: str, context: dict[str, Any]) -> str:
    """The broken limit in words, "" for another kind of error."""
    words = {
        "greater_than_equal": "must be at least {ge}",
        "less_than_equal": "must be at most {le}",
        "string_too_short": "must have at least {min_length} characters",
        "string_too_long": "must have at most {max_length} characters",
        "too_short": "must have at least {min_length} entries",
    }
    return words[kind].format(**context) if kind in words else ""


# Keys that are looked for where they are not.
_ELSEWHERE: dict[Path, str] = {
    ("spec", "networking", "port"): "on this machine it is spec.overrides.standalone.port",
}


def _mend(path: Path) -> str:
    if path in _ELSEWHERE:
        return _ELSEWHERE[path]
    known = sorted(fields_at(path[:-1]))
    close = nearest(str(path[-1]), known).strip()
    if close or not known:
        return close
    more = ", …" if len(known) > MAX_KNOWN else ""
    return f"known here: {', '.join(known[:MAX_KNOWN])}{more}"


def _choice(path: Path, got: str, value: Any) -> tuple[str, str]:
    while path and isinstance(path[-1], int):
        path = path[:-1]
    field = fields_at(path[:-1]).get(str(path[-1])) if path else None
    known = choices(field.annotation) if field else ()
    return f"expected one of {', '.join(known)}{got}", nearest(str(value), known).strip()
