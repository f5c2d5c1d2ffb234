"""The provider for Kubernetes of one's own: the front that the registry finds."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tabular.deploy.capability import CapabilityTable
from tabular.deploy.cost import PriceBook
from tabular.deploy.provider import Check, ProviderOptions, refuse_options
from tabular.deploy.spec import Deployment
from tabular.deploy.stack import Stack
from tabular.deploy.target import Target

from .cluster.session import Cluster
from .compile import (
    check_overrides,
    compile_stack,
    given_secrets,
    target_of,
)
from .doctor import checks
from .engine import ClusterEngine, Tuning
from .export import FORMATS
from .names import PROVIDER
from .secrets.given import Given
from .support import CAPABILITIES

_FOREIGN = ("profile", "role_arn", "endpoint_url", "runtime")


class OnPremKubernetesProvider:
    """Kubernetes of one's own: vanilla, OpenShift, Rancher.

    Args:
        options: how to reach the cluster.
        tuning: times of the engine, for tests.

    Raises:
        UsageError: an option that belongs to a cloud or to this machine.
    """

    name = PROVIDER
    capabilities: CapabilityTable = CAPABILITIES
    prices: PriceBook | None = None

    def __init__(self, options: ProviderOptions, *, tuning: Tuning | None = None) -> None:
        refuse_options(PROVIDER, options, _FOREIGN, "a cluster is reached by --kubeconfig")
        self._options = options
        self._tuning = tuning
        self._given = Given()

    @functools.cached_property
    def cluster(self) -> Cluster:
        """The cluster, connected when it is first asked."""
        options = self._options
        # A target's region is its namespace, so who says a region means one.
        namespace = options.namespace or options.region
        return Cluster(options.kubeconfig, options.context, namespace)

    @functools.cached_property
    def engine(self) -> ClusterEngine:
        """Helm, or server-side apply, as each stack says."""
        return ClusterEngine(
            self.cluster,
            given=self._given,
            ready_timeout=self._options.ready_timeout,
            keep_failed=self._options.keep_failed,
            force_conflicts=self._options.force_conflicts,
            tuning=self._tuning,
        )

    def target(self, deployment: Deployment) -> Target:
        """Where this deployment goes: its region is the namespace."""
        return target_of(deployment)

    def compile(self, deployment: Deployment) -> Stack:
        """Spec to values of the chart; its secrets are kept in memory for the engine."""
        stack = compile_stack(deployment)
        self._given.put(stack.target, given_secrets(deployment))
        return stack

    def check_overrides(self, given: Mapping[str, Any]) -> None:
        """Look at ``spec.overrides.onprem``; see `compile.check_overrides`."""
        check_overrides(given)

    @property
    def formats(self) -> Mapping[str, Callable[[Stack], Mapping[str, bytes]]]:
        """Manifests, the chart with its values, Terraform, a tree for GitOps."""
        return FORMATS

    def running(self, target: Target) -> Stack:
        """The stack that runs there, as it was applied."""
        return self.engine.running(target)

    def doctor(self) -> Iterator[Check]:
        """Read-only look at what a deploy would need."""
        return checks(self.cluster)
