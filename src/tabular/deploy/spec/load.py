"""The way of a spec: bytes, tree, form, draft, flags, model; with everything wrong told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from tabular.deploy.spec.model import Deployment
from tabular.deploy.spec.overrides import IDENTITY, Overrides, apply, require_same
from tabular.deploy.spec.problems import Problem, spec_error
from tabular.deploy.spec.readers import Draft, Origin, read
from tabular.deploy.spec.source import check_characters, parse, read_text
from tabular.deploy.spec.verdict import judge, nearest_origin
from tabular.deploy.spec.walk import Path, dotted

NO_FILE = "(no file)"
HELM_VALUES = "Helm values"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid deployment, and where each part of it was said.

    Attributes:
        deployment: the model.
        name: the file, as the user named it.
        form: ``portable``, ``flat``, ``multi-cloud`` or ``Helm values``.
        origins: by path in the model; what is not in it is a default.
        notes: what flags replaced, and what has no effect.
    """

    deployment: Deployment
    name: str
    form: str
    origins: Mapping[Path, Origin] = field(repr=False)
    notes: tuple[str, ...] = ()

    def place(self, key: str) -> str | None:
        """Where a key was said: ``file:line:column`` or the flag; None for a default.

        Args:
            key: dotted, as in ``spec.storage.replication``; of a block, where the block begins.
        """
        origin = self.origins.get(tuple(key.split(".")))
        return origin.place if origin else None

    def problem(self, key: str, message: str, hint: str = "") -> Problem | None:
        """What somebody found wrong with a key, at the line of the file that said it.

        Args:
            key: dotted, in the model; of what the file has not, the block around it counts.
            message: what is wrong.
            hint: how to mend it.

        Returns:
            None where nobody said the key nor anything around it: it is a default.
        """
        origin, rest = nearest_origin(self.origins, tuple(key.split(".")))
        if origin is None or len(rest) == key.count(".") + 1:
            return None
        said = ".".join(part for part in (origin.key, dotted(rest)) if part) if rest else origin.key
        node = origin.node
        if node is None:
            return Problem(0, 0, origin.place, key, message, hint)
        line, column = (
            (node.key_line, node.key_column) if node.key_line else (node.line, node.column)
        )
        return Problem(line, column, f"{origin.file}:{line}:{column}", said, message, hint)


def load(path: FilePath | str | None, overrides: Overrides | None = None) -> Loaded:
    """Read a deployment file of any form.

    Args:
        path: the file; None for a deployment of defaults and flags alone.
        overrides: what the flags say.

    Raises:
        SpecError: names every problem by file, line, column and key.
        UsageError: a flag contradicts the file.
    """
    overrides = overrides or Overrides()
    if path is None and overrides.values is None:
        return _finish("portable", Draft(NO_FILE), overrides)
    if path is None:
        return _finish(*_read_values(overrides.values), overrides)
    return load_text(read_text(FilePath(path)), str(path), overrides)


def load_text(text: str, name: str = "<text>", overrides: Overrides | None = None) -> Loaded:
    """Read a deployment from a text.

    Args:
        text: YAML.
        name: what to call it in messages.
        overrides: what the flags say.

    Raises:
        SpecError: names every problem by line, column and key.
        UsageError: a flag contradicts the text.
    """
    overrides = overrides or Overrides()
    form, draft = read(parse(check_characters(text, name), name), name)
    if overrides.values is not None:
        _, values = _read_values(overrides.values)
        for path in IDENTITY:
            if values.get(path) is not None:
                require_same(draft, path, values.get(path), values.origins[path].place)
        draft.merge(values)
    return _finish(form, draft, overrides)


def _read_values(path: FilePath | None) -> tuple[str, Draft]:
    name = str(path)
    return read(parse(read_text(FilePath(name)), name), name, HELM_VALUES)


def _finish(form: str, draft: Draft, overrides: Overrides) -> Loaded:
    apply(draft, overrides)
    made, problems = judge(draft)
    if made is None:
        raise spec_error(draft.name, problems)
    return Loaded(made, draft.name, form, draft.origins, tuple(draft.notes))


__all__ = ["Loaded", "Problem", "load", "load_text"]
