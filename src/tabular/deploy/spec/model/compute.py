"""`spec.compute`: what the API and the workers run on, in words every provider can map."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from tabular.deploy.spec.model.amounts import Cores, Duration, Size
from tabular.deploy.spec.model.base import (
    AsTuple,
    Block,
    Label,
    Percent,
    Word,
    contradiction,
    key,
)

ComputeType = Literal[
    "ecs-fargate",
    "ec2",
    "lambda",
    "batch",
    "cloud-run",
    "compute-engine",
    "gke",
    "cloud-functions",
    "container-instances",
    "virtual-machines",
    "aks",
    "azure-functions",
    "kubernetes",
    "swarm",
    "process",
    "container",
]
_CRON_FIELD = re.compile(r"[0-9*,/\-A-Za-z]+")


def _gpu(value: Any) -> Any:
    """Kubernetes-minded users write true and false."""
    return ("required" if value else "none") if isinstance(value, bool) else value


def _cron(value: str) -> str:
    fields = value.split()
    if len(fields) != 5 or not all(_CRON_FIELD.fullmatch(field) for field in fields):
        raise PydanticCustomError(
            "cron", "expected five fields: minute hour day month weekday, e.g. 0 20 * * 1-5"
        )
    return " ".join(fields)


def _timezone(value: str) -> str:
    known = available_timezones()
    if known and value not in known:
        raise PydanticCustomError("timezone", "there is no such time zone; e.g. Europe/Berlin")
    return value


_GPU_SCHEMA = {"anyOf": [{"enum": ["none", "optional", "required"]}, {"type": "boolean"}]}
Gpu = Annotated[
    Literal["none", "optional", "required"], BeforeValidator(_gpu), WithJsonSchema(_GPU_SCHEMA)
]
Cron = Annotated[str, AfterValidator(_cron)]
TimeZone = Annotated[str, AfterValidator(_timezone)]


class Spot(Block):
    """Cheaper machines that the vendor may take away at short notice."""

    share: Percent = key(100, "Share of the machines above the base that are spot, percent.", 80)
    on_demand_base: int = key(0, "How many machines are always ordinary ones.", 1, ge=0, le=10_000)
    max_price: Word | None = key(
        None, "Highest price for one machine and hour, US dollars; the vendor's if unset.", "0.20"
    )


class Autoscaling(Block):
    """When to add and remove machines between `min_instances` and `max_instances`."""

    cpu_target: Percent = key(70, "Processor use to aim at, percent.", 70)
    memory_target: Percent | None = key(None, "Memory use to aim at, percent.", 80)
    concurrency: int | None = key(
        None, "Requests that one instance serves at the same time.", 80, ge=1, le=1000
    )
    cooldown: Duration | None = key(None, "Shortest time between two changes.", "5m")


class Schedule(Block):
    """A change of size at fixed times, such as fewer machines off-hours."""

    name: Label = key(..., "Name of the schedule.", "off-hours")
    cron: Cron = key(..., "When: minute hour day month weekday.", "0 20 * * 1-5")
    timezone: TimeZone = key("UTC", "Time zone of `cron`.", "Europe/Berlin")
    instances: int | None = key(None, "Size from then on.", 1, ge=0, le=10_000)
    min_instances: int | None = key(None, "Lower bound from then on.", 0, ge=0, le=10_000)
    max_instances: int | None = key(None, "Upper bound from then on.", 2, ge=0, le=10_000)

    @model_validator(mode="after")
    def _changes_something(self) -> Schedule:
        if self.instances is self.min_instances is self.max_instances is None:
            raise contradiction(
                "name", "a schedule sets instances, min_instances or max_instances; this sets none"
            )
        return self


class Compute(Block):
    """What the API and the workers run on."""

    type: ComputeType | None = key(
        None, "Which of the provider's services; the provider's usual one if unset.", "ecs-fargate"
    )
    min_instances: int | None = key(None, "Scale down to this many.", 3, ge=0, le=10_000)
    instances: int = Field(
        default_factory=lambda said: max(1, said.get("min_instances") or 1),
        description="How many API instances to start with; `min_instances`, or 1, if unset.",
        examples=[3],
        ge=0,
        le=10_000,
    )
    max_instances: int | None = key(None, "Scale up to this many.", 10, ge=1, le=10_000)
    workers: int = key(1, "How many workers run jobs.", 2, ge=0, le=10_000)
    cpu: Cores | None = key(
        None, "Cores for each instance; the provider's smallest fitting size if unset.", 4, "500m"
    )
    memory: Size | None = key(None, "Memory for each instance.", "16Gi")
    cpu_limit: Cores | None = key(None, "Cores an instance may use at most, if more.", 8)
    memory_limit: Size | None = key(None, "Memory an instance may use at most, if more.", "32Gi")
    disk: Size | None = key(None, "Encrypted disk of each instance.", "100Gi")
    gpu: Gpu = key(
        "none",
        "A graphics processor: `none`, `optional` (used where there is one) or `required`; "
        "`true` means required and `false` none.",
        "optional",
    )
    instance_type: Word | None = key(
        None, "The vendor's name of the machine, instead of cpu and memory.", "m5.2xlarge"
    )
    availability_zones: int | None = key(
        None, "Spread over this many zones; provider's default if unset.", 3, ge=1, le=10
    )
    mode: Literal["autopilot", "standard"] | None = key(
        None, "How a managed Kubernetes is run.", "autopilot"
    )
    autoscaling: Autoscaling = key(Autoscaling(), "When to add and remove instances.")
    spot: Spot | None = key(None, "Use machines that may be taken away; never if unset.")
    schedules: Annotated[tuple[Schedule, ...], AsTuple] = key((), "Changes of size by the clock.")

    @model_validator(mode="after")
    def _bounds(self) -> Compute:
        low, high = self.min_instances, self.max_instances
        if low is not None and high is not None and low > high:
            raise contradiction("max_instances", f"{high} is less than min_instances ({low})")
        pairs = (("cpu", self.cpu, self.cpu_limit), ("memory", self.memory, self.memory_limit))
        for name, asked, limit in pairs:
            if asked is not None and limit is not None and limit < asked:
                raise contradiction(f"{name}_limit", f"the limit is less than {name} itself")
        if "instances" in self.model_fields_set:
            if high is not None and self.instances > high:
                raise contradiction(
                    "instances", f"{self.instances} is above max_instances ({high})"
                )
            if low is not None and self.instances < low:
                raise contradiction("instances", f"{self.instances} is below min_instances ({low})")
        return self
