"""Everything that is wrong with one file, told at once and in the order of its lines.

A user who mends one typing error only to be told of the next stops reading; so readers and the
model collect, and one error is raised at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tabular.errors import SpecError

MAX_SHOWN = 20


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        line: line in the file, from 1; 0 when it is not about a line (a flag, the whole file).
        column: column in the line, from 1.
        place: ``file:line:column``, or the flag.
        key: the key path as the file has it, "" for the file as a whole.
        message: what is wrong and what was expected.
        hint: how to mend it, "" where the message says it all.
    """

    line: int
    column: int
    place: str
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        what = f"{self.key}: {self.message}" if self.key else self.message
        return f"{what} ({self.hint})" if self.hint else what

    def as_dict(self) -> dict[str, str | int | None]:
        """Plain data for ``--json``; line and column are null where there is none."""
        return {
            "where": self.place,
            "line": self.line or None,
            "column": self.column or None,
            "key": self.key,
            "message": self.message,
            "hint": self.hint,
        }


class ProblemsError(SpecError):
    """A spec error that still has its problems one by one.

    Args:
        message: all of them in words.
        where: the place of the only one, or the file.
        hint: of the only one.
        problems: in the order of their lines.
    """

    def __init__(
        self, message: str, *, where: str, hint: str | None, problems: tuple[Problem, ...]
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.problems = problems


def spec_error(name: str, problems: Sequence[Problem]) -> ProblemsError:
    """One error for all problems of a file.

    Args:
        name: the file, as the user named it.
        problems: at least one.
    """
    listed = tuple(sorted(set(problems)))
    if len(listed) == 1:
        only = listed[0]
        message = f"{only.key}: {only.message}" if only.key else only.message
        return ProblemsError(message, where=only.place, hint=only.hint or None, problems=listed)
    lines = [f"\n  {problem.place}: {problem}" for problem in listed[:MAX_SHOWN]]
    if len(listed) > MAX_SHOWN:
        lines.append(f"\n  … and {len(listed) - MAX_SHOWN} more")
    message = f"{len(listed)} problems{''.join(lines)}"
    return ProblemsError(message, where=name, hint=None, problems=listed)
