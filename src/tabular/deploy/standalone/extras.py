"""Parts that only some deployments need, and the one way to refuse where such a part is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.util import find_spec

from tabular.errors import PreflightError

Finder = Callable[[str], ModuleSpec | None]


@dataclass(frozen=True, slots=True)
class Extra:
    """A part that comes with an extra of this package.

    Attributes:
        wanted: what asks for it, for the message.
        field: of the spec that asks for it.
        name: of the extra.
        otherwise: how to do without.
        missing: tells what is missing here; None if nothing is.
    """

    wanted: str
    field: str
    name: str
    otherwise: str
    missing: Callable[[Finder], str | None]

    @property
    def hint(self) -> str:
        """The command that mends it, and the way around."""
        return f"pip install 'inferloop-tabular[{self.name}]', or {self.otherwise}"

    def require(self, find: Finder = find_spec) -> None:
        """Refuse where the part cannot run.

        Raises:
            PreflightError: with the command that mends it.
        """
        lack = self.missing(find)
        if lack:
            raise PreflightError(
                f"{self.wanted} needs {lack}",
                where=self.field,
                hint=self.hint,
                code="engine.missing-extra",
            )
