"""Backup, image, security and policy: how the deployment is kept, made and guarded."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from tabular.deploy.spec.model.amounts import Day, Days
from tabular.deploy.spec.model.base import AsTuple, Block, Label, Text, Version, Word, key
from tabular.deploy.spec.model.compute import Cron, TimeZone
from tabular.deploy.spec.secret import Secret

# As a Word, with the options of a storage URL.
Place = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:@+-]*(\?[A-Za-z0-9._/:%=&+-]+)?$", max_length=500),
]
# A path may have any sign in it but those that end a line.
File = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=1000)]


class Backup(Block):
    """Regular copies of database and objects."""

    enabled: bool = key(False, "Make regular backups.", True)
    schedule: Cron = key("0 2 * * *", "When: minute hour day month weekday.", "0 2 * * *")
    timezone: TimeZone = key("UTC", "Time zone of `schedule`.", "Europe/Berlin")
    retention: Days = key(timedelta(days=30), "Keep them for this long.", "30d")
    destination: Place | None = key(
        None, "Where to; the provider's own backup store if unset.", "s3://backups/tabular"
    )


class Image(Block):
    """The container image of the service."""

    repository: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._/:-]*$", max_length=255)] = key(
        "inferloop/tabular", "Where it is.", "inferloop/tabular"
    )
    tag: Version | None = key(None, "Which version, in quotes.", "1.0.0")
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = key(
        None, "Exactly which bytes; wins over `tag`.", "sha256:" + "0" * 64
    )
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = key(
        "IfNotPresent", "When Kubernetes asks the registry.", "IfNotPresent"
    )
    pull_secret: Secret | None = key(
        None, "Credentials of a private registry.", {"secretRef": "k8s:registry"}
    )


class Security(Block):
    """Guards beyond what is always on (encryption at rest and in transit cannot be turned off)."""

    kms_key: Word | None = key(
        None, "Encrypt with this existing key; one is made if unset.", "alias/tabular"
    )
    deletion_protection: bool | None = key(
        None, "Refuse to delete data stores; on in production if unset.", True
    )
    ca_bundle: File | None = key(
        None, "Certificates of your own authority to trust.", "/etc/ssl/certs/corp.pem"
    )
    permissions_boundary: Word | None = key(
        None, "The vendor's id of a boundary put on every role made.", "arn:aws:iam::123:policy/b"
    )


class Waiver(Block):
    """A policy rule that this deployment may break."""

    rule: Label = key(..., "Name of the rule.", "public-without-tls")
    reason: Annotated[str, Field(min_length=10, max_length=500)] = key(
        ..., "Why it may; shown in every plan.", "TLS ends at the load balancer of the network team"
    )
    expires: Day | None = key(None, "Last day it counts.", "2027-01-31")


class Policy(Block):
    """What this deployment must keep to."""

    waivers: Annotated[tuple[Waiver, ...], AsTuple] = key((), "Rules it may break, with reasons.")
    allowed_regions: Annotated[tuple[Text, ...], AsTuple] | None = key(
        None, "Regions that data may be in; any if unset.", ["eu-west-1", "eu-central-1"]
    )
    monthly_budget: int | None = key(
        None, "US dollars a month; the vendor tells when spending nears it.", 2000, ge=1
    )
