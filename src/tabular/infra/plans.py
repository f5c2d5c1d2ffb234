"""Plans: how much each key and person may ask of the platform, read once from a file or a variable.

A key names its plan; people get theirs from a role or a group. A plan that was removed while keys
still name it must not become no limit at all: those keys then have the strictest of every limit
that any plan has, and the log and ``/ready`` say so.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tabular.errors import ConfigError, InputError, nearest
from tabular.infra.auth.principal import DEFAULT_PLAN, Principal
from tabular.infra.ratelimit import parse_rules

MAX_NAME = 64
_LOG = logging.getLogger(__name__)
_Count = Annotated[int | None, Field(strict=True, ge=0)]


class Plan(BaseModel):
    """What may be asked for; None is no limit of the plan's own.

    Attributes:
        rate_limit: requests, as TABULAR_RATE_LIMIT, which holds where this is None.
        rows_per_day, rows_per_month: generated rows, by the days and months of UTC.
        max_job_rows: rows of one generation.
        concurrent_jobs: jobs that wait or run.
        storage_bytes: datasets, models and generated rows that are kept.
        max_upload_bytes: of one upload; TABULAR_MAX_UPLOAD_BYTES holds too.
        max_websockets: open at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate_limit: str | None = None
    rows_per_day: _Count = None
    rows_per_month: _Count = None
    max_job_rows: _Count = None
    concurrent_jobs: _Count = None
    storage_bytes: _Count = None
    max_upload_bytes: _Count = None
    max_websockets: _Count = None

    @field_validator("rate_limit")
    @classmethod
    def _rules(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                parse_rules(value)
            except ConfigError as error:
                raise ValueError(f"{error.message}; {error.hint}") from error
        return value

    @property
    def counts_work(self) -> bool:
        """Whether a submission must look at what was used."""
        limits = (self.rows_per_day, self.rows_per_month, self.concurrent_jobs, self.storage_bytes)
        return any(limit is not None for limit in limits)


QUOTAS = tuple(name for name in Plan.model_fields if name != "rate_limit")


class Plans:
    """Every plan of a deployment.

    Args:
        plans: by name; ``default`` is there in any case.
        assigned: the plan of a group, claim value or ``role:NAME``, by `str.casefold`.
        rate_limit: of plans that have none of their own.
    """

    def __init__(
        self, plans: Mapping[str, Plan], assigned: Mapping[str, str], *, rate_limit: str
    ) -> None:
        known = {DEFAULT_PLAN: Plan(), **plans}
        self._plans = {
            name: plan.model_copy(update={"rate_limit": plan.rate_limit or rate_limit})
            for name, plan in known.items()
        }
        self._assigned = dict(assigned)
        self._strictest = _strictest(self._plans.values())
        self._missing: set[str] = set()

    @property
    def missing(self) -> tuple[str, ...]:
        """Plans that this process was asked for and that are not there."""
        return tuple(sorted(self._missing))

    def check(self, name: str) -> str:
        """The name of a plan.

        Raises:
            InputError: there is no such plan.
        """
        if name not in self._plans:
            known = ", ".join(self._plans)
            raise InputError(
                f"unknown plan {name[:MAX_NAME]!r}",
                where="plan",
                hint=f"{nearest(name, self._plans)}known: {known}; TABULAR_PLANS adds others",
                code="input.unknown-plan",
            )
        return name

    def of(self, principal: Principal) -> Plan:
        """The plan of who asks; of one that is gone, the strictest limits of all."""
        plan = self._plans.get(principal.plan)
        if plan is not None:
            return plan
        if principal.plan not in self._missing:
            self._missing.add(principal.plan)
            _LOG.warning(
                "the plan %r of %s is not in TABULAR_PLANS: the strictest limits of all hold",
                principal.plan,
                principal.id,
            )
        return self._strictest

    def assigned(self, principal: Principal) -> Principal:
        """A person with the plan of the first entry of the map that fits; keys as they are."""
        if principal.kind != "user" or not self._assigned:
            return principal
        held = {f"role:{role}" for role in principal.roles}
        for group in principal.groups:
            folded = group.casefold()
            held |= {folded, folded.partition(",")[0].removeprefix("cn=")}
        plan = next((plan for value, plan in self._assigned.items() if value in held), None)
        return principal if plan is None else replace(principal, plan=plan)


def read_plans(text: str, plan_map: str, *, rate_limit: str) -> Plans:
    """The plans of a deployment.

    Args:
        text: path of a YAML or JSON file, or a JSON object; empty for ``default`` alone.
        plan_map: ``VALUE=PLAN;…``.
        rate_limit: of plans that have none of their own.

    Raises:
        ConfigError: the file cannot be read, or says what is no plan; with place and reason.
    """
    source, document = _document(text.strip())
    plans: dict[str, Plan] = {}
    for name, body in document.items():
        place = f"{source}: {name}"
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
            raise ConfigError("the name of a plan is 1 to 64 printable characters", where=place)
        plans[name] = _plan(body, place)
    found = Plans(plans, {}, rate_limit=rate_limit)
    return Plans(plans, _parsed_map(plan_map, found), rate_limit=rate_limit)


def _document(text: str) -> tuple[str, Mapping[Any, Any]]:
    """Where it was read, and the mapping that is there."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if not text:
        return "TABULAR_PLANS", {}
    source, content = "TABULAR_PLANS", text
    if not text.startswith("{"):
        source = text
        try:
            content = Path(text).read_text("utf-8")
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"the plans cannot be read: {getattr(error, 'strerror', None) or error}",
                where=text[:200],
                hint="give the path of a YAML or JSON file, or a JSON object",
            ) from error
    try:
        found = YAML(typ="safe", pure=True).load(content)
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        place = source if mark is None else f"{source}:{mark.line + 1}:{mark.column + 1}"
        problem = getattr(error, "problem", None) or "it is no YAML"
        raise ConfigError(f"the plans cannot be read: {problem}", where=place) from error
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"the plans cannot be read: {error}", where=source) from error
    if not isinstance(found, Mapping):
        raise ConfigError(
            "the plans are no mapping",
            where=source,
            hint='write such as {"team": {"rows_per_day": 1000000}}',
        )
    return source, found


def _plan(body: Any, place: str) -> Plan:
    if body is not None and not isinstance(body, Mapping):
        raise ConfigError("a plan is a mapping of quotas", where=place)
    try:
        return Plan.model_validate(dict(body or {}))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0])
        hint = "a whole number, or null for no limit"
        if first["type"] == "extra_forbidden":
            hint = nearest(name, Plan.model_fields) + "known: " + ", ".join(Plan.model_fields)
            raise ConfigError(f"{name!r} is no quota", where=place, hint=hint) from error
        if name == "rate_limit":
            hint = "write such as 600/minute"
        message = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigError(f"{name}: {message}", where=place, hint=hint) from error


def _parsed_map(text: str, plans: Plans) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        value, equals, plan = (part.strip() for part in entry.rpartition("="))
        if not equals or not value:
            raise ConfigError(f"{entry!r} is not VALUE=PLAN", where="TABULAR_PLAN_MAP")
        try:
            plans.check(plan)
        except InputError as error:
            raise ConfigError(error.message, where="TABULAR_PLAN_MAP", hint=error.hint) from error
        if value.casefold() in found:
            raise ConfigError(f"{value!r} is given a plan twice", where="TABULAR_PLAN_MAP")
        found[value.casefold()] = plan
    return found


def _strictest(plans: Iterable[Plan]) -> Plan:
    """The least of every quota, and all rate limits at once."""
    known = list(plans)
    least: dict[str, Any] = {}
    for name in QUOTAS:
        given = [value for plan in known if (value := getattr(plan, name)) is not None]
        least[name] = min(given, default=None)
    rules = dict.fromkeys(plan.rate_limit for plan in known if plan.rate_limit)
    return Plan(**least, rate_limit=";".join(rules))
