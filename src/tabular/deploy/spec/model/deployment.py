"""The whole document: `apiVersion`, `kind`, `metadata`, `spec`.

The defaults written in this model belong to `apiVersion`: they do not change within v1, since a
deployed stack carries only what its user said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    JsonValue,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tabular.deploy.spec.model.base import LABEL, Block, Label, Word, contradiction, key
from tabular.deploy.spec.model.compute import Compute
from tabular.deploy.spec.model.messaging import Cache, Queue
from tabular.deploy.spec.model.monitoring import Monitoring
from tabular.deploy.spec.model.networking import Networking
from tabular.deploy.spec.model.operations import Backup, Image, Policy, Security
from tabular.deploy.spec.model.placement import Data, OnPrem, Placement, Topology
from tabular.deploy.spec.model.storage import Database, Storage
from tabular.deploy.spec.secret import SECRET_KEY, Secret
from tabular.errors import SpecError, UsageError

API_VERSION = "synthdata.inferloop.io/v1"
DEFAULT_NAME = "tabular"
DEVELOPMENT = "development"
MAX_NAME = 53


# Says where a secret is kept, in charts' usual words, and not what it is.
_NAMES_OF_SECRETS = frozenset({"existingSecret"})


# A password between name and host of a URL (RFC 3986, 3.2.1) that is no reference in braces.
_WITH_PASSWORD = re.compile(r"://[^/@\s{}$]*:[^/@\s{}$]+@")


def _no_secret(value: Any) -> Any:
    """Overrides go to templates as they are, so nothing secret may be in them."""
    if isinstance(value, str) and _WITH_PASSWORD.search(value):
        raise PydanticCustomError(
            "secret", "a URL has a password in it; name a secret store there instead"
        )
    if isinstance(value, dict):
        for name, item in value.items():
            named = SECRET_KEY.search(name) and name not in _NAMES_OF_SECRETS
            if named and isinstance(item, str | int | float) and item != "":
                raise PydanticCustomError(
                    "secret",
                    "{name} looks like a secret; name a secret store there instead",
                    {"name": name},
                )
            _no_secret(item)
    elif isinstance(value, list):
        for item in value:
            _no_secret(item)
    return value


Native = Annotated[dict[str, JsonValue], AfterValidator(_no_secret)]
Tag = Annotated[str, Field(max_length=255)]


class Metadata(Block):
    """Who this deployment is."""

    name: Annotated[str, Field(pattern=LABEL, max_length=MAX_NAME)] = key(
        DEFAULT_NAME, "Unique within provider, region and environment.", "tabular-production"
    )
    labels: dict[Label, Tag] = key({}, "Tags put on every resource.", {"team": "data"})
    annotations: dict[Word, Tag] = key({}, "Notes that go with it.", {"owner": "data-platform"})


class Spec(Block):
    """What to run and where."""

    provider: Label | None = key(
        None, "Where: aws, gcp, azure, onprem or standalone (this machine).", "aws"
    )
    environment: Label = key(
        DEVELOPMENT, "Isolates state; `production` turns guards on.", "production"
    )
    region: Word | None = key(None, "The vendor's region.", "us-east-1")
    account: Word | None = key(None, "Account, subscription or project.", "123456789012")
    ha: bool = key(False, "Survive the loss of one part; each provider says in the plan how.", True)
    compute: Compute = key(Compute(), "What the API and the workers run on.")
    storage: Storage = key(Storage(), "Where datasets, models and results are kept.")
    database: Database = key(Database(), "Where users, jobs and metadata are kept.")
    cache: Cache | None = key(
        None,
        "A cache shared by all instances; if unset, on a cloud or a cluster a small one where "
        "several instances of the API share it, else none.",
    )
    queue: Queue | None = key(
        None, "A queue server; if unset, a cloud's own, else the database alone."
    )
    monitoring: Monitoring = key(Monitoring(), "What is measured and who is told.")
    networking: Networking = key(Networking(), "How the service is reached.")
    backup: Backup = key(Backup(), "Regular copies of database and objects.")
    image: Image | None = key(None, "The container image; this release's own if unset.")
    security: Security = key(Security(), "Guards beyond what is always on.")
    policy: Policy = key(Policy(), "What this deployment must keep to.")
    onprem: OnPrem = key(OnPrem(), "Settings of a Kubernetes of one's own.")
    topology: Topology = key(
        "single", "One place, or several clouds together.", "multi-cloud-active-active"
    )
    providers: dict[Label, Placement] = key({}, "The places of a multi-cloud topology.")
    data: Data = key(Data(), "Copies of data between places.")
    overrides: dict[Label, Native] = key(
        {},
        "Settings in one vendor's own words, by provider; used as they are.",
        {"aws": {"AWS::RDS::DBInstance": {"AutoMinorVersionUpgrade": False}}},
    )

    @model_validator(mode="after")
    def _one_place_or_many(self) -> Spec:
        if self.topology != "single" and not self.providers:
            raise contradiction("topology", f"{self.topology} needs a block providers")
        if self.topology == "single" and self.providers:
            raise contradiction("providers", "several providers need a multi-cloud topology")
        return self


class Deployment(Block):
    """One deployment of the platform."""

    api_version: Literal["synthdata.inferloop.io/v1"] = key(
        API_VERSION, "Version of this format.", API_VERSION, alias="apiVersion"
    )
    kind: Literal["Deployment"] = key("Deployment", "Always `Deployment`.", "Deployment")
    metadata: Metadata = key(Metadata(), "Who this deployment is.")
    spec: Spec = key(Spec(), "What to run and where.")

    @classmethod
    def from_canonical(cls, data: Mapping[str, Any]) -> Self:
        """The deployment that :func:`tabular.deploy.spec.canonical` wrote out.

        Raises:
            SpecError: not something that this release's ``canonical`` writes.
        """
        try:
            return cls.model_validate(_plain(data), by_alias=True, by_name=False)
        except ValidationError as error:
            raise SpecError(
                f"the spec that was kept with the deployment cannot be read: {_listed(error)}",
                hint="use the release that deployed it, or a newer one",
                code="spec.canonical",
            ) from None

    @classmethod
    def scaled(cls, kept: Mapping[str, Any], numbers: Mapping[str, int]) -> Self:
        """A deployment that was kept, with other numbers in its block ``compute``.

        Args:
            kept: as for :meth:`from_canonical`.
            numbers: by key of the block.

        Raises:
            SpecError: what was kept cannot be read.
            UsageError: no deployment may have such numbers.
        """
        cls.from_canonical(kept)
        spec = dict(kept.get("spec", {}))
        spec["compute"] = {**spec.get("compute", {}), **numbers}
        try:
            return cls.model_validate(_plain({**kept, "spec": spec}), by_alias=True, by_name=False)
        except ValidationError as error:
            said = " ".join(f"--{key} {number}" for key, number in numbers.items())
            raise UsageError(
                f"this deployment cannot have that: {_listed(error)}",
                where=said,
                hint="name other numbers",
            ) from None

    def secret_literals(self) -> Iterator[tuple[str, SecretStr]]:
        """Key path and value of every secret that is written out in the file."""
        for path, secret in _secrets(self, ""):
            if secret.literal is not None:
                yield path, secret.literal


def _listed(error: ValidationError) -> str:
    """What is wrong, key by key."""
    details = error.errors(include_url=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, d['loc']))}: {d['msg']}" for d in details[:5])


def _plain(value: Any) -> Any:
    """Any mapping and sequence as dict and list, which is what strict validation takes."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _secrets(value: Any, path: str) -> Iterator[tuple[str, Secret]]:
    """Every secret below a value."""
    if isinstance(value, Secret):
        yield path, value
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            here = f"{path}.{field.alias or name}".lstrip(".")
            yield from _secrets(getattr(value, name), here)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _secrets(item, f"{path}.{name}")
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _secrets(item, f"{path}[{index}]")
