"""What is asked of Helm, wherever it runs, and what its words mean.

Helm runs in this process (`library`) or is a program of the user's (`binary`). Both tell
of the same release in the same way, and both say what is wrong in sentences alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tabular.deploy.onprem.cluster.refusals import OwnedElsewhereError, refused
from tabular.errors import EngineError, NotFoundError, TabularError, UnavailableError

NOT_FOUND = "release: not found"  # Helm's own words, in any of its versions
_OWNER = re.compile(r'conflicts? with "([^"]+)"[^:]*:\s*([^&]+)')

# A server that is busy, starts or is cut off, in the words of Go's clients of Kubernetes. Of what
# could not be deleted Helm says no more than that; whoever gives the command again has it deleted
# one by one by us, who say why it cannot be.
_PASSING = re.compile(
    r"\bEOF\b|connection (?:reset|refused)|broken pipe|timeout|http2: |try again later|etcdserver: "
    r"|too many requests|currently unable to handle|has prevented the request from succeeding"
    r"|unable to return a response in the time|failed to delete release",
    re.IGNORECASE,
)


class Helm(Protocol):
    """Helm, wherever it runs; answers are as `helm_python` has them."""

    def install(self, name: str, values: Mapping[str, Any], limit: float) -> None:
        """Make a release."""
        ...

    def upgrade(self, name: str, values: Mapping[str, Any], limit: float) -> None:
        """Make a release in the place of another one."""
        ...

    def rollback(self, name: str, revision: int, limit: float) -> None:
        """Make a release as an earlier one was."""
        ...

    def history(self, name: str) -> Sequence[Mapping[str, Any]]:
        """Releases, oldest first; none where there is none."""
        ...

    def get(self, name: str, revision: int) -> Mapping[str, Any]:
        """A release with its values, manifest and description."""
        ...

    def uninstall(self, name: str, limit: float) -> None:
        """Remove a release and its history; none is no error."""
        ...

    def cancel(self) -> None:
        """End an install or upgrade that runs in another thread."""
        ...


def explained(said: str, where: str) -> TabularError:
    """The error of ours for what Helm says.

    Args:
        said: its sentence.
        where: what was asked of it.
    """
    owners = tuple((manager, field.strip(" -\n")) for manager, field in _OWNER.findall(said))
    if owners:
        return OwnedElsewhereError(where, owners)
    if NOT_FOUND in said:
        return NotFoundError(said, where=where)
    if " is forbidden: " in said:
        return refused(403, {"message": said}, where)
    if _PASSING.search(said):
        return UnavailableError(
            f"the cluster did not answer Helm: {said}",
            where=where,
            hint="wait a minute and run the command again; it goes on where it was",
        )
    return EngineError(said, where=where, hint="the words are Helm's own: mend what they name")


def whole(limit: float) -> int:
    """A limit in whole seconds, one at least: Helm takes no limit for none."""
    return max(1, int(limit))
