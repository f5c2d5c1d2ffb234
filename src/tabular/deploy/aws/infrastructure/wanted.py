"""What a spec comes to on AWS, worked out once, before anything is written down as a template.

The compilers beside it read this and nothing of the world; what the spec leaves open is
filled in here, so that no two of them fill it in differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tabular.deploy.aws.words.document import ref
from tabular.deploy.aws.words.encryption import key_arn
from tabular.deploy.spec import Deployment
from tabular.deploy.spec.model import Spec
from tabular.deploy.target import Target

Kind = Literal["ecs-fargate", "ec2", "lambda", "batch"]

PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much of one program runs.

    Attributes:
        desired: to start with.
        minimum: never fewer.
        maximum: never more.
        cpu: Fargate's units, 1024 for a core; of a container on any kind of compute.
        memory: MiB.
    """

    desired: int
    minimum: int
    maximum: int
    cpu: int
    memory: int

    @property
    def scales(self) -> bool:
        """Whether the number may change by itself."""
        return self.maximum > self.minimum


@dataclass(frozen=True, slots=True)
class Wanted:
    """One deployment on AWS.

    Attributes:
        deployment: the spec as read.
        target: where, with its region.
        kind: what it runs on.
        api: how much of the API.
        workers: how much of the workers.
        instance_type: of EC2, also for the instances of Batch; "" where there are none.
        zones: number of availability zones that are used.
        image: reference of the container image; may have a ``Fn::Sub``.
        overrides: ``spec.overrides.aws``, as it is.
    """

    deployment: Deployment
    target: Target
    kind: Kind
    api: Capacity
    workers: Capacity
    instance_type: str
    zones: int
    image: str | dict[str, Any]
    overrides: Mapping[str, Any]

    @property
    def spec(self) -> Spec:
        """The spec itself."""
        return self.deployment.spec

    @property
    def region(self) -> str:
        """Where, e.g. ``eu-west-1``."""
        return self.target.region or ""

    @property
    def tags(self) -> dict[str, str]:
        """Tags of everything that is made, sorted: the labels, and whose it is."""
        own = {
            "inferloop:deployment": self.target.name,
            "inferloop:environment": self.target.environment,
        }
        return dict(sorted({**self.deployment.metadata.labels, **own}.items()))

    @property
    def production(self) -> bool:
        """Whether guards are on."""
        return self.target.environment == PRODUCTION

    @property
    def ha(self) -> bool:
        """Survive the loss of one zone."""
        return self.spec.ha

    @property
    def protected(self) -> bool:
        """Whether data stores refuse to be deleted."""
        said = self.spec.security.deletion_protection
        return self.production if said is None else said

    @property
    def served(self) -> bool:
        """Whether an API runs all the time behind a load balancer."""
        return self.kind in ("ecs-fargate", "ec2")

    @property
    def on_instances(self) -> bool:
        """Whether programs run on instances of EC2: Batch does where the spec names their type."""
        named = self.spec.compute.instance_type is not None
        return self.kind == "ec2" or (self.kind == "batch" and named)

    @property
    def published(self) -> bool:
        """Whether the load balancer faces the internet: there is a name and so TLS."""
        networking = self.spec.networking
        return self.served and (networking.domain or networking.certificate) is not None

    @property
    def networked(self) -> bool:
        """Whether it stands in a network; a function is run outside of any."""
        return self.kind != "lambda"

    @property
    def own_network(self) -> bool:
        """Whether a VPC is made."""
        return self.networked and self.spec.networking.network is None

    @property
    def vpc(self) -> Any:
        """Id of the VPC."""
        return ref("Vpc") if self.own_network else self.spec.networking.network

    @property
    def private_subnets(self) -> list[Any]:
        """Ids of the subnets for what nobody reaches from outside."""
        if not self.own_network:
            return list(self.spec.networking.subnets)
        return [ref(f"PrivateSubnet{number}") for number in self.zone_numbers]

    @property
    def public_subnets(self) -> list[Any]:
        """Ids of the subnets for what faces the internet."""
        if not self.own_network:
            return list(self.spec.networking.public_subnets)
        return [ref(f"PublicSubnet{number}") for number in self.zone_numbers]

    @property
    def nat(self) -> Literal["single", "per-zone", "none"]:
        """How a private subnet of our own VPC reaches the internet."""
        return self.spec.networking.nat or ("per-zone" if self.ha else "single")

    @property
    def zone_numbers(self) -> range:
        """From 1, as they stand in logical ids."""
        return range(1, self.zones + 1)

    @property
    def database_engine(self) -> Literal["postgres", "mysql"] | None:
        """RDS's word for the engine; None where none is made: it exists, or nothing serves."""
        found = self.spec.database.type
        if found == "external" or not self.served:
            return None
        return "mysql" if found == "mysql" else "postgres"

    @property
    def cache_engine(self) -> Literal["valkey", "redis"] | None:
        """ElastiCache's word for the engine; None where there is no server.

        Several API processes count rate limits together only with a server, so there is one as
        soon as there is more than one of them, asked for or not.
        """
        cache = self.spec.cache
        if not self.served:
            return None
        if cache is None:
            return "valkey" if self.api.maximum > 1 else None
        if cache.type == "memory":
            return None
        return "redis" if cache.type == "redis" else "valkey"

    @property
    def bucket_name(self) -> Any:
        """Name of the bucket for objects, one's own or an existing one."""
        return self.spec.storage.bucket or ref("Bucket")

    @property
    def versioned(self) -> bool:
        """Whether the bucket keeps old versions: AWS Backup and replication take no other."""
        storage = self.spec.storage
        return storage.versioning or storage.cross_region or self.spec.backup.enabled

    @property
    def key_arn(self) -> Any:
        """ARN of the key that everything is encrypted with.

        Raises:
            UsageError: the spec names one, but not by an ARN of this region.
        """
        return key_arn(self.spec.security.kms_key, self.region)
