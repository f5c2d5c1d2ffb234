"""The way to an account: credentials as boto3 finds them.

Clients are made when they are first needed, so that compiling, validating and exporting need
neither credentials nor a network. An endpoint of one's own serves emulators and private ones.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tabular.deploy.aws.account.refusals import NEEDS, explained, require_whole
from tabular.errors import UsageError, nearest
from tabular.infra.optional import require

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")

_AT_ONCE = 8  # questions; AWS throttles what asks many more


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach AWS, as opposed to what to put there.

    Attributes:
        profile: of the shared configuration; the usual chain of boto3 if None.
        role_arn: a role to take on first, e.g. one in another account.
        endpoint_url: of every service, for emulators; ``AWS_ENDPOINT_URL`` if None.
        region: where the usual chain names none.
    """

    profile: str | None = None
    role_arn: str | None = None
    endpoint_url: str | None = None
    region: str | None = None


class Session:
    """Clients of one set of credentials.

    Args:
        access: how to reach AWS.
        base: a session of boto3 to go on from; one of the usual chain if None.

    Raises:
        UsageError: the endpoint is no address.
    """

    def __init__(self, access: Access | None = None, *, base: Any = None) -> None:
        self._access = access or Access()
        _require_address(self._access.endpoint_url, "--endpoint-url")
        _require_address(os.environ.get("AWS_ENDPOINT_URL"), "AWS_ENDPOINT_URL")
        self._given = base
        self._making = threading.Lock()  # boto3 makes clients in one thread only; they serve all

    @property
    def region(self) -> str | None:
        """The region that the credentials' configuration names."""
        if self._access.region:
            return self._access.region
        with explained("your AWS configuration"):
            found: str | None = self._base.region_name
            return found

    @property
    def regions(self) -> tuple[str, ...]:
        """Every region that this release of boto3 knows, in all partitions."""
        base = self._base
        found = {
            region
            for partition in base.get_available_partitions()
            for region in base.get_available_regions("cloudformation", partition)
        }
        return tuple(sorted(found))

    def require_region(self, region: str | None = None, *, where: str = "--region") -> str:
        """A region that there is; the configuration's if None.

        Raises:
            UsageError: none is named, or AWS has none of that name.
        """
        found = region or self.region
        if found is None:
            raise UsageError("no region is named", hint="--region eu-west-1, or AWS_REGION")
        if found not in self.regions:
            raise UsageError(
                f"AWS has no region {found!r}",
                where=where,
                hint=nearest(found, self.regions).strip() or f"known: {', '.join(self.regions)}",
            )
        return found

    def partition(self, region: str) -> str:
        """The part of AWS that a region belongs to, as ARNs name it, e.g. ``aws-cn``."""
        found: str = self._base.get_partition_for_region(region)
        return found

    @functools.cached_property
    def account(self) -> str:
        """Number of the account that the credentials belong to."""
        with explained("sts:GetCallerIdentity"):
            # The only call that every valid credential may make.
            region = self.region or "us-east-1"
            found: str = self.client("sts", region).get_caller_identity()["Account"]
            return found

    def require_account(self, account: str | None) -> None:
        """Refuse credentials of another account than the spec names.

        Raises:
            UsageError: they differ.
        """
        if account is not None and account != self.account:
            raise UsageError(
                f"the credentials are of account {self.account}, and the spec says {account}",
                where="spec.account",
                hint="choose another profile (AWS_PROFILE), or a --role-arn in that account",
                code="usage.account",
            )

    def client(self, service: str, region: str) -> Any:
        """A client of a service; one for each service and region."""
        with self._making:
            return self._clients(service, region)

    @functools.cache  # noqa: B019 - as long as the session, of which there is one for a command
    def _clients(self, service: str, region: str) -> Any:
        config = require("botocore.config", extra="aws", needed_by=NEEDS).Config(
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "total_max_attempts": 8},
            user_agent_extra="inferloop-tabular",
            s3={"addressing_style": "path"} if self._access.endpoint_url else {},
        )
        with explained(service):
            client = self._session.client(
                service,
                region_name=region,
                endpoint_url=self._access.endpoint_url,
                config=config,
            )
        client.meta.events.register("before-parse", require_whole)
        return client

    @functools.cached_property
    def _base(self) -> Any:
        if self._given is not None:
            return self._given
        boto3 = require("boto3", extra="aws", needed_by=NEEDS)
        # boto3 reads AWS_DEFAULT_REGION alone; AWS's command line and other SDKs go by this first.
        region = os.environ.get("AWS_REGION") or None
        return boto3.Session(profile_name=self._access.profile, region_name=region)

    @functools.cached_property
    def _session(self) -> Any:
        with explained("your AWS configuration"):
            role = self._access.role_arn
            return self._base if role is None else self._in_role(role)

    def _in_role(self, role: str) -> Any:
        """A session in a role, whose credentials are renewed before they run out."""
        boto3 = require("boto3", extra="aws", needed_by=NEEDS)
        credentials = require("botocore.credentials", extra="aws", needed_by=NEEDS)
        core = require("botocore.session", extra="aws", needed_by=NEEDS)
        region = self.region or "us-east-1"
        sts = self._base.client("sts", region_name=region, endpoint_url=self._access.endpoint_url)
        refresh = credentials.create_assume_role_refresher(
            sts, {"RoleArn": role, "RoleSessionName": "inferloop-tabular"}
        )
        inner = core.get_session()
        inner._credentials = credentials.DeferredRefreshableCredentials(
            method="assume-role", refresh_using=refresh
        )
        return boto3.Session(botocore_session=inner, region_name=region)


def _require_address(url: str | None, where: str) -> None:
    parts = urlsplit(url or "https://unset")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(
            f"{url!r} is no address of a service",
            where=where,
            hint="such as https://vpce-0abc.example.com, or http://127.0.0.1:4566 of an emulator",
        )


def at_once(ask: Callable[[Asked], Answered], about: Iterable[Asked]) -> list[Answered]:
    """Answers to several questions, in their order; a few are asked at the same time.

    Raises:
        TabularError: what the first one that failed raised.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(ask, about))
