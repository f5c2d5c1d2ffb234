"""Every type that the compilers make, and the file in which Terraform's resources of it stand."""

from __future__ import annotations

from collections.abc import Mapping

from tabular.deploy.aws.export.terraform.kinds import (
    compute,
    containers,
    database,
    monitoring,
    network,
    scaling,
    security,
    storage,
)
from tabular.deploy.aws.export.terraform.rules import Kind

FILES: Mapping[str, Mapping[str, Kind]] = {
    "network.tf": network.KINDS,
    "security.tf": security.KINDS,
    "storage.tf": storage.KINDS,
    "database.tf": database.KINDS,
    "compute.tf": {**containers.KINDS, **compute.KINDS},
    "scaling.tf": scaling.KINDS,
    "monitoring.tf": monitoring.KINDS,
}
KINDS: Mapping[str, Kind] = {
    type_: kind for kinds in FILES.values() for type_, kind in kinds.items()
}
