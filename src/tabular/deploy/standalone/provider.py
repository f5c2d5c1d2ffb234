"""The standalone provider: the front that the registry finds."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tabular.deploy.capability import CapabilityTable
from tabular.deploy.cost import PriceBook
from tabular.deploy.image.code import Code, digest
from tabular.deploy.provider import (
    CLOUD_OPTIONS,
    CLUSTER_OPTIONS,
    Check,
    Engine,
    ProviderOptions,
    refuse_options,
)
from tabular.deploy.spec import Deployment
from tabular.deploy.stack import Stack
from tabular.deploy.standalone import doctor
from tabular.deploy.standalone.compile import RUNTIMES, compile_stack, overrides_of, target_of
from tabular.deploy.standalone.engine import KEY_TIMEOUT, ProcessEngine, default_commands
from tabular.deploy.standalone.layout import PROVIDER, Home
from tabular.deploy.standalone.support import CAPABILITIES
from tabular.deploy.target import Target
from tabular.errors import UsageError, nearest

READY_TIMEOUT = 60.0


class StandaloneProvider:
    """This machine.

    Args:
        options: home and runtime.
        commands: what to run as ``api``, ``worker``, ``migrate``, ``create-key``; the
            installed platform by default.
        ready_timeout: seconds a new release may take to get ready where the options say none.
        code: what a release is given a copy of; the installed package by default.

    Raises:
        UsageError: no such runtime.
    """

    name = PROVIDER
    capabilities: CapabilityTable = CAPABILITIES
    prices: PriceBook | None = None

    def __init__(
        self,
        options: ProviderOptions,
        *,
        commands: Mapping[str, list[str]] | None = None,
        ready_timeout: float = READY_TIMEOUT,
        code: Code | None = None,
    ) -> None:
        if options.runtime not in (None, *RUNTIMES):
            raise UsageError(
                f"there is no runtime {options.runtime!r}",
                hint=f"{nearest(options.runtime, RUNTIMES)}choose one of: {', '.join(RUNTIMES)}",
            )
        refuse_options(PROVIDER, options, (*CLOUD_OPTIONS, *CLUSTER_OPTIONS), "it is this machine")
        self._runtime = options.runtime
        self._home = Home.at(options.home)
        self._code = code or Code.installed()
        self._engine = ProcessEngine(
            self._home,
            commands or default_commands(Path(sys.executable)),
            self._code,
            ready_timeout=options.ready_timeout or ready_timeout,
            key_timeout=max(KEY_TIMEOUT, options.ready_timeout or 0),
        )

    @property
    def engine(self) -> Engine:
        """The client of this machine's supervisors."""
        return self._engine

    def target(self, deployment: Deployment) -> Target:
        """Where this deployment goes: the host is the account and has no region."""
        return target_of(deployment)

    def compile(self, deployment: Deployment) -> Stack:
        """Spec and package to template; see `compile.compile_stack`."""
        return compile_stack(deployment, self._runtime, digest(self._code.read()))

    def check_overrides(self, given: Mapping[str, Any]) -> None:
        """Look at ``spec.overrides.standalone``; see `compile.overrides_of`."""
        overrides_of(given)

    def doctor(self) -> Iterator[Check]:
        """Read-only look at what a deploy would need."""
        return doctor.checks(self._home, self._runtime)
