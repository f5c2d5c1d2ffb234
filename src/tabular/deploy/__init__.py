"""One spec, any place to run it: compile, plan, apply.

The SDK of deployments. Needs no cloud SDK; a provider brings its own when it is used.
"""

from __future__ import annotations

from platformdirs import user_state_path

from tabular.deploy.audit import AuditLog
from tabular.deploy.events import Event, EventStatus
from tabular.deploy.orchestrator import Gate, Orchestrator
from tabular.deploy.plan import Action, Change, Plan
from tabular.deploy.provider import Drift, ProviderOptions, State, Status
from tabular.deploy.registry import DEFAULT_PROVIDER, load_provider, provider_names
from tabular.deploy.spec import Deployment
from tabular.deploy.stack import Resource, Stack
from tabular.deploy.target import Target

__all__ = [
    "DEFAULT_PROVIDER",
    "Action",
    "AuditLog",
    "Change",
    "Deployment",
    "Drift",
    "Event",
    "EventStatus",
    "Gate",
    "Orchestrator",
    "Plan",
    "ProviderOptions",
    "Resource",
    "Stack",
    "State",
    "Status",
    "Target",
    "load_provider",
    "open_orchestrator",
    "provider_names",
]


def open_orchestrator(provider: str, options: ProviderOptions | None = None) -> Orchestrator:
    """An orchestrator for one provider, with the audit log at its usual place.

    Args:
        provider: entry-point name, e.g. ``standalone``.
        options: how to reach the place; ``options.home`` also moves the audit log.

    Raises:
        UsageError: no such provider is installed.
        ConfigError: its extra is not installed, or it is broken.
    """
    options = options or ProviderOptions()
    home = options.home or user_state_path("inferloop-tabular")
    return Orchestrator(load_provider(provider, options), AuditLog(home / "audit.jsonl"))
