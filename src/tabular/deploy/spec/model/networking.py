"""`spec.networking`: how users reach the service, and what it may be reached from."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from tabular.deploy.spec.model.base import AsTuple, Block, Word, contradiction, key


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError:
        raise PydanticCustomError(
            "network", "expected a network such as 10.0.0.0/16 (no host bits set)"
        ) from None


Network = Annotated[str, AfterValidator(_network)]
Domain = Annotated[
    str,
    Field(pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$", max_length=253),
]


class Dns(Block):
    """Names of the service."""

    provider: Literal["route53", "cloud-dns", "azure-dns", "cloudflare", "external"] = key(
        ..., "Who keeps the zone.", "route53"
    )
    zone: Domain | None = key(None, "The zone; the domain's parent if unset.", "example.com")
    health_checks: bool = key(False, "Take an address out of the answers when it fails.", True)
    failover: Literal["automatic", "manual"] = key(
        "manual", "Who switches to the next place.", "automatic"
    )
    ttl: int = key(60, "Seconds an answer may be kept.", 60, ge=1, le=86_400)

    @model_validator(mode="after")
    def _failover(self) -> Dns:
        if self.failover == "automatic" and not self.health_checks:
            raise contradiction("failover", "automatic failover needs health_checks: true")
        return self


class Cdn(Block):
    """A content network in front."""

    provider: Literal["cloudflare", "cloudfront", "cloud-cdn", "front-door"] = key(
        ..., "Which network.", "cloudflare"
    )
    cache_rules: Literal["standard", "none"] = key(
        "standard", "`standard` keeps static files and documents, never answers of the API.", "none"
    )


class Networking(Block):
    """How the service is reached."""

    domain: Domain | None = key(
        None, "Public name of the service; without one it stays internal.", "data.example.com"
    )
    certificate: Word | None = key(
        None,
        "The vendor's id of a TLS certificate; one is made for the domain if unset.",
        "arn:aws:acm:us-east-1:123456789012:certificate/abc",
    )
    cidr: Network | None = key(None, "Addresses of the network to make.", "10.40.0.0/16")
    network: Word | None = key(None, "Use this existing network.", "vpc-0a1b2c3d")
    subnets: Annotated[tuple[Word, ...], AsTuple] = key(
        (), "Use these existing private subnets.", ["subnet-1", "subnet-2"]
    )
    public_subnets: Annotated[tuple[Word, ...], AsTuple] = key(
        (), "Use these existing public subnets.", ["subnet-3", "subnet-4"]
    )
    allowed_cidrs: Annotated[tuple[Network, ...], AsTuple] = key(
        (), "Who may reach the service; everyone that can see it if empty.", ["192.0.2.0/24"]
    )
    nat: Literal["single", "per-zone", "none"] | None = key(
        None, "Ways out of the private network; by `spec.ha` if unset.", "single"
    )
    flow_logs: bool = key(True, "Record who talked to whom.", True)
    waf: bool = key(False, "A web application firewall in front.", True)
    dns: Dns | None = key(None, "Who keeps the names, and failover between places.")
    cdn: Cdn | None = key(None, "A content network in front.")

    @model_validator(mode="after")
    def _one_network(self) -> Networking:
        if self.network is not None and self.cidr is not None:
            raise contradiction("cidr", "network names an existing network, cidr makes a new one")
        if self.network is None and (self.subnets or self.public_subnets):
            raise contradiction(
                "subnets" if self.subnets else "public_subnets", "name the network they are in"
            )
        return self
