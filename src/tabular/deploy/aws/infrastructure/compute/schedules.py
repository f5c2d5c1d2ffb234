"""Changes of size by the clock.

They are about the API, as `instances`, `min_instances` and `max_instances` are elsewhere in the
spec; the workers keep to the queue.
"""

from __future__ import annotations

from collections.abc import Iterator

from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words import cron
from tabular.deploy.aws.words.document import Document, Part, ref, resource
from tabular.deploy.spec.model.compute import Schedule
from tabular.deploy.stack import Reduction
from tabular.errors import UsageError

WHERE = "spec.compute.schedules"


def of_target(wanted: Wanted) -> list[Document]:
    """As part of a scalable target, which knows bounds but no present size."""
    return [
        {
            "ScheduledActionName": one.name,
            "Schedule": cron.expression(one.cron, where=f"{WHERE}.{number}.cron"),
            "Timezone": one.timezone,
            "ScalableTargetAction": _named(_bounds(wanted, one, number), "Capacity"),
        }
        for number, one in enumerate(_distinct(wanted))
    ]


def of_group(wanted: Wanted) -> Part:
    """As resources beside the group of instances."""
    found: Part = {}
    for number, one in enumerate(_distinct(wanted)):
        cron.read(one.cron, where=f"{WHERE}.{number}.cron")
        found[f"ApiSchedule{number + 1}"] = resource(
            "AWS::AutoScaling::ScheduledAction",
            {
                "AutoScalingGroupName": ref("ApiGroup"),
                "Recurrence": one.cron,
                "TimeZone": one.timezone,
                **_named(_bounds(wanted, one, number), "Size"),
                "DesiredCapacity": one.instances,
            },
        )
    return found


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """A scalable target of ECS takes bounds only."""
    for number, one in enumerate(wanted.spec.compute.schedules):
        bounded = one.min_instances is not None or one.max_instances is not None
        if wanted.kind == "ecs-fargate" and one.instances is not None and bounded:
            low, high = _bounds(wanted, one, number)
            yield Reduction(
                f"{WHERE}.{number}.instances",
                str(one.instances),
                f"what scaling makes of it, {low} to {high}",
                "a schedule of ECS sets the bounds, not the size between them",
            )


def _distinct(wanted: Wanted) -> tuple[Schedule, ...]:
    """The schedules.

    Raises:
        UsageError: two have one name; AWS would let the second replace the first.
    """
    found = wanted.spec.compute.schedules
    names = [one.name for one in found]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise UsageError(
                f"two schedules are called {name!r}",
                where=f"{WHERE}.{number}.name",
                hint="give each a name of its own",
            )
    return found


def _bounds(wanted: Wanted, one: Schedule, number: int) -> tuple[int | None, int | None]:
    """The smallest and the largest size from then on; None for no change.

    Raises:
        UsageError: the largest would be below the smallest.
    """
    low, high = one.min_instances, one.max_instances
    if low is None and high is None:
        return one.instances, one.instances
    least = wanted.api.minimum if low is None else low
    most = wanted.api.maximum if high is None else high
    if not least <= (least if one.instances is None else one.instances) <= most:
        said = f", and instances {one.instances}" if one.instances is not None else ""
        raise UsageError(
            f"the schedule {one.name!r} comes to min_instances {least}, max_instances {most}{said}",
            where=f"{WHERE}.{number}",
            hint="say both bounds in the schedule, with instances between them",
        )
    return low, high


def _named(bounds: tuple[int | None, int | None], suffix: str) -> Document:
    found = zip(("Min", "Max"), bounds, strict=True)
    return {f"{name}{suffix}": value for name, value in found if value is not None}
