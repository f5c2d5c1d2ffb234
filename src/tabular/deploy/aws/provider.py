"""The AWS provider: the front that the registry finds."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tabular.deploy.aws.account.registry import Ecr
from tabular.deploy.aws.account.session import Access, Session
from tabular.deploy.aws.compile import PROVIDER, compile_stack, target_of
from tabular.deploy.aws.doctor import checks
from tabular.deploy.aws.engine import CloudFormationEngine, Parts
from tabular.deploy.aws.export import FORMATS
from tabular.deploy.aws.prices import AwsPrices
from tabular.deploy.aws.support import CAPABILITIES
from tabular.deploy.aws.words import overrides
from tabular.deploy.capability import CapabilityTable
from tabular.deploy.cost import PriceBook
from tabular.deploy.image.publishing import ImageRegistry
from tabular.deploy.provider import (
    CLUSTER_OPTIONS,
    Check,
    Engine,
    ProviderOptions,
    refuse_options,
)
from tabular.deploy.spec import Deployment
from tabular.deploy.stack import Stack
from tabular.deploy.target import Target


class AWSProvider:
    """Amazon Web Services.

    Args:
        options: how to reach it.
        parts: what the engine is made of; of the options' credentials if None.
    """

    name = PROVIDER
    capabilities: CapabilityTable = CAPABILITIES

    def __init__(self, options: ProviderOptions, *, parts: Parts | None = None) -> None:
        refuse_options(PROVIDER, options, CLUSTER_OPTIONS, "it is no cluster")
        access = Access(
            profile=options.profile,
            role_arn=options.role_arn,
            endpoint_url=options.endpoint_url,
            region=options.region,
        )
        self._parts = parts or Parts.of(Session(access))
        self._engine = CloudFormationEngine(self._parts, keep_failed=options.keep_failed)

    @property
    def engine(self) -> Engine:
        """The client of CloudFormation."""
        return self._engine

    @functools.cached_property
    def prices(self) -> PriceBook | None:
        """The list that ships with us."""
        return AwsPrices()

    def live_prices(self) -> PriceBook:
        """What AWS itself asks today; needs credentials when it is asked."""
        return AwsPrices.live(self._parts.session)

    def target(self, deployment: Deployment) -> Target:
        """Where this deployment goes; the region of the credentials where the spec names none."""
        return target_of(deployment, self._region(deployment))

    def compile(self, deployment: Deployment) -> Stack:
        """Spec to template; see `compile.compile_stack`."""
        return compile_stack(deployment, self._region(deployment))

    def check_overrides(self, given: Mapping[str, Any]) -> None:
        """Look at ``spec.overrides.aws``; see `overrides.check`."""
        overrides.check(given)

    @property
    def formats(self) -> Mapping[str, Callable[[Stack], Mapping[str, bytes]]]:
        """CloudFormation as it is applied, Terraform, an app of the CDK."""
        return FORMATS

    def running(self, target: Target) -> Stack:
        """The stack that runs there, as it was applied."""
        return self._engine.running(target)

    def images(self, repository: str | None) -> ImageRegistry:
        """A repository of the account's registry, in the region of these options."""
        return Ecr(self._parts.session, self._parts.session.require_region(), repository)

    def doctor(self) -> Iterator[Check]:
        """Read-only look at what a deploy would need."""
        return checks(self._parts.session)

    def _region(self, deployment: Deployment) -> str | None:
        """Of the configuration, which is not even read where the spec names a region."""
        return deployment.spec.region or self._parts.session.region
