"""The log groups of the programs."""

from __future__ import annotations

from tabular.deploy.aws.infrastructure.log_groups import log_group
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Part


def group_names(wanted: Wanted) -> tuple[str, ...]:
    """Logical ids of the log groups, one for each program."""
    if wanted.kind == "lambda":
        return ("FunctionLogGroup",)
    if wanted.kind == "batch":
        return ("JobLogGroup",)
    return ("ApiLogGroup", "WorkerLogGroup")


def log_groups(wanted: Wanted) -> Part:
    """The log groups."""
    return {name: log_group(wanted) for name in group_names(wanted)}
