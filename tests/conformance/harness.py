"""What the conformance suite needs to know of a provider besides the contract.

A harness is one provider at one place of its own (a folder, an emulator's account). It can look
at that place past the provider, as the other side of the wire sees it, and it can do what no
client would: kill one in the middle, move the world behind its back, break the next release.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from tabular.deploy.plan import Plan
from tabular.deploy.provider import Provider
from tabular.deploy.spec import Deployment


class Harness(Protocol):
    """One provider under test.

    Attributes:
        maker: ``module:Class`` of a harness that another process makes, with the folder alone,
            to compile the same spec there.
        root: the folder it was made with.
    """

    maker: str
    root: Path

    def provider(self) -> Provider:
        """A new client, as another person's process would make one."""
        ...

    def deployment(self, name: str = "conform") -> Deployment:
        """A spec that deploys."""
        ...

    def changed(self) -> Deployment:
        """The same deployment with an update that keeps its data."""
        ...

    def failing(self) -> Deployment:
        """The same deployment with an update that compiles and then fails to come up."""
        ...

    def unsupported(self) -> Deployment:
        """A spec that asks for something this provider cannot give."""
        ...

    def observe(self) -> Mapping[str, Any]:
        """All that exists at this place, asked of the place itself; stable between two calls."""
        ...

    def observed(self, deployment: Deployment) -> frozenset[str]:
        """Ids of the resources of one deployment that exist, asked of the place itself."""
        ...

    def serving(self, deployment: Deployment) -> str | None:
        """Identity of what answers to users now; None when nothing does."""
        ...

    def disturb(self, deployment: Deployment) -> None:
        """Change something that runs, behind the provider's back."""
        ...

    def add_foreign(self, deployment: Deployment) -> None:
        """Put something beside the deployment that looks like its own and is not."""
        ...

    def apply_and_die(self, plan: Plan) -> None:
        """Start the apply in a process of its own and kill -9 it in the middle."""
        ...

    def close(self) -> None:
        """End whatever still runs at this place."""
        ...
