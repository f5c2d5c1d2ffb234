"""One spec, any place to run it: compile, plan, apply.

The SDK of deployments. Needs no cloud SDK; a provider brings its own when it is used. Names are
looked up when first used, so that a command that deploys nothing does not wait for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tabular.deploy.names import DEFAULT_PROVIDER, provider_names

if TYPE_CHECKING:
    from tabular.deploy.audit import AuditLog
    from tabular.deploy.events import Event, EventStatus
    from tabular.deploy.gate import Gate
    from tabular.deploy.orchestrator import Orchestrator
    from tabular.deploy.plan import Action, Change, Plan
    from tabular.deploy.provider import Drift, ProviderOptions, State, Status
    from tabular.deploy.registry import load_provider
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

_HOMES = {
    "AuditLog": "audit",
    "Event": "events",
    "EventStatus": "events",
    "Gate": "gate",
    "Orchestrator": "orchestrator",
    "Action": "plan",
    "Change": "plan",
    "Plan": "plan",
    "Drift": "provider",
    "ProviderOptions": "provider",
    "State": "provider",
    "Status": "provider",
    "load_provider": "registry",
    "Deployment": "spec",
    "Resource": "stack",
    "Stack": "stack",
    "Target": "target",
}


def open_orchestrator(provider: str, options: ProviderOptions | None = None) -> Orchestrator:
    """An orchestrator for one provider, with the audit log at its usual place.

    Args:
        provider: entry-point name, e.g. ``standalone``.
        options: how to reach the place; ``options.home`` also moves the audit log, and
            ``options.ready_timeout`` holds for the last look too.

    Raises:
        UsageError: no such provider is installed.
        ConfigError: its extra is not installed, or it is broken.
    """
    from platformdirs import user_state_path

    from tabular.deploy.audit import AuditLog
    from tabular.deploy.orchestrator import READY_TIMEOUT, Orchestrator
    from tabular.deploy.provider import ProviderOptions
    from tabular.deploy.registry import load_provider

    options = options or ProviderOptions()
    home = options.home or user_state_path("inferloop-tabular")
    return Orchestrator(
        load_provider(provider, options),
        AuditLog(home / "audit.jsonl"),
        ready_timeout=options.ready_timeout or READY_TIMEOUT,
    )


def __getattr__(name: str) -> Any:
    """Imports a re-exported name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted(__all__)
