"""The rules. Each is a plain function from spec and stack to findings; its name is its id."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from tabular.deploy.policy import network
from tabular.deploy.policy.finding import Finding, Severity
from tabular.deploy.spec import Deployment
from tabular.deploy.stack import Stack

Rule = Callable[[Deployment, Stack], Iterator[Finding]]

DEFAULT_PASSWORDS = frozenset(
    {
        "changeme",
        "change-me",
        "password",
        "admin",
        "secret",
        "default",
        "minioadmin",
        "prom-operator",
    }
)
TLS_ONLY = frozenset({443})
MIN_BACKUP_DAYS = 7
MIN_SECRET_INSIDE = 6  # a shorter one would be found within ordinary words
PRODUCTION = "production"

UNWAIVABLE = {
    "secret-in-template": "refer to a secret store instead: secretRef",
    "unknown-waiver": "remove it",
}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any], str, Any]]:
    """All (path, holding mapping, key, leaf) of plain data."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            here = f"{path}.{key}" if path else str(key)
            if isinstance(item, Mapping | list | tuple):
                yield from _leaves(item, here)
            else:
                yield here, value, str(key), item
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            here = f"{path}[{index}]"
            if isinstance(item, Mapping | list | tuple):
                yield from _leaves(item, here)
            else:
                yield here, {}, str(index), item


def _in_production(deployment: Deployment) -> bool:
    return deployment.spec.environment == PRODUCTION


def _by_environment(deployment: Deployment) -> Severity:
    return Severity.ERROR if _in_production(deployment) else Severity.WARNING


def plaintext_secret(deployment: Deployment, stack: Stack) -> Iterator[Finding]:
    """A secret is written out in the spec."""
    for path, _ in deployment.secret_literals():
        yield Finding(
            "plaintext-secret",
            _by_environment(deployment),
            path,
            "a secret is written out in the file",
            "use secretRef: env:NAME, file:/path or the platform's secret store",
        )


def default_password(deployment: Deployment, stack: Stack) -> Iterator[Finding]:
    """A password that everybody knows."""
    for path, secret in deployment.secret_literals():
        if secret.get_secret_value().lower() in DEFAULT_PASSWORDS:
            yield Finding(
                "default-password",
                Severity.WARNING
                if deployment.spec.environment == "development"
                else Severity.ERROR,
                path,
                "this password is a well-known default",
                "leave it out to have one generated",
            )


def secret_in_template(deployment: Deployment, stack: Stack) -> Iterator[Finding]:
    """A secret's value found its way into what would be applied and exported."""
    literals = [secret.get_secret_value() for _, secret in deployment.secret_literals()]
    for path, _, _, leaf in _leaves(stack.template):
        if isinstance(leaf, str) and any(_holds(leaf, literal) for literal in literals):
            yield Finding(
                "secret-in-template",
                Severity.ERROR,
                path,
                "the compiled template contains a secret",
                "refer to a secret store instead: secretRef",
            )


def _holds(leaf: str, secret: str) -> bool:
    """Whether the secret stands there: alone, within a URL, or as Kubernetes writes secrets."""
    if len(secret) < MIN_SECRET_INSIDE:
        return leaf == secret
    return any(form in leaf for form in (secret, quote(secret, safe=""), _base64(secret)))


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def open_ingress(deployment: Deployment, stack: Stack) -> Iterator[Finding]:
    """The whole world is let in elsewhere than at a TLS port."""
    said = [(opening.resource, opening) for opening in stack.openings]
    read = [
        (f"{resource.id}.{found.path}", found.opening)
        for resource in stack.resources
        for found in network.openings(resource)
    ]
    for where, opening in (*said, *read):
        if network.is_world(opening.peers) and network.port_numbers(opening.ports) != TLS_ONLY:
            ports = f"ports {', '.join(opening.ports)}" if opening.ports else "every port"
            yield Finding(
                "open-ingress",
                Severity.ERROR,
                where,
                f"open to the whole world ({', '.join(opening.peers)}) at {ports}",
                "name the peers, or publish through a TLS load balancer",
            )


def public_without_tls(deployment: Deployment, stack: Stack) -> Iterator[Finding]:
    """A service bound to all addresses, or a public name, without TLS."""
    for resource in stack.resources:
        for path, holder, key, leaf in _leaves(resource.properties):
            if key == "host" and leaf in ("0.0.0.0", "::") and not holder.get("tls"):  # noqa: S104
                yield Finding(
                    "public-without-tls",
                    Severity.ERROR,
                    f"{resource.id}.{path}",
                    f"listens on every address ({leaf}) without TLS",
                    "listen on 127.0.0.1, or put a TLS proxy in front and bind to its network",
                )


def privileged_container(deployment: Deployment, stack: Stack) -> Iterator[Finding]:
    """A container that runs as root or may become it."""
    switches = {"privileged", "allowPrivilegeEscalation"}
    users = {"user", "runAsUser"}
    for resource in stack.resources:
        for path, _, key, leaf in _leaves(resource.properties):
            as_root = str(leaf).partition(":")[0] in ("root", "0") and not isinstance(leaf, bool)
            if (key in switches and leaf is True) or (key in users and as_root):
                yield Finding(
                    "privileged-container",
                    Severity.ERROR,
                    f"{resource.id}.{path}",
                    f"{key}: {leaf} gives a container the rights of root",
                    "run as an ordinary user, without privilege escalation",
                )


def mutable_image(deployment: Deployment, stack: Stack) -> Iterator[Finding]:
    """An image tag that means something else tomorrow."""
    image = deployment.spec.image
    if image is not None and image.digest is None and image.tag in (None, "latest"):
        yield Finding(
            "mutable-image",
            _by_environment(deployment),
            "spec.image.tag",
            f"{image.tag or 'no tag'} can mean another image tomorrow",
            "name a version, or a digest",
        )


def production_backup(deployment: Deployment, stack: Stack) -> Iterator[Finding]:
    """Production data without backups, or with too short a memory."""
    if not _in_production(deployment):
        return
    days = deployment.spec.database.backup_retention_days
    if not deployment.spec.backup.enabled and days is None:
        yield Finding(
            "production-backup",
            Severity.WARNING,
            "spec.backup.enabled",
            "production data is not backed up",
            "set spec.backup.enabled: true, or pass --enable-backup",
        )
    elif days is not None and days < MIN_BACKUP_DAYS:
        yield Finding(
            "production-backup",
            Severity.WARNING,
            "spec.database.backup_retention",
            f"backups are kept for {days} day(s) only",
            f"keep them for at least {MIN_BACKUP_DAYS} days",
        )


def production_ha(deployment: Deployment, stack: Stack) -> Iterator[Finding]:
    """A production database that one failure takes down."""
    if _in_production(deployment) and not deployment.spec.database.ha:
        yield Finding(
            "production-ha",
            Severity.WARNING,
            "spec.database.ha",
            "one failure takes the production database down",
            "set spec.database.ha: true, or pass --enable-ha",
        )


def production_monitoring(deployment: Deployment, stack: Stack) -> Iterator[Finding]:
    """Nobody is told when production fails."""
    if _in_production(deployment) and not deployment.spec.monitoring.enabled:
        yield Finding(
            "production-monitoring",
            Severity.WARNING,
            "spec.monitoring.enabled",
            "nobody is told when production fails",
            "set spec.monitoring.enabled: true, or pass --enable-monitoring",
        )


def region_not_allowed(deployment: Deployment, stack: Stack) -> Iterator[Finding]:
    """Data would be where the spec says it must not be."""
    allowed = deployment.spec.policy.allowed_regions
    region = stack.target.region
    if allowed is not None and region not in allowed:
        yield Finding(
            "region-not-allowed",
            Severity.ERROR,
            "spec.policy.allowed_regions",
            f"data would be in {region or 'a place without a region'}",
            f"deploy to one of {', '.join(allowed)}",
        )


_ALL: tuple[Rule, ...] = (
    plaintext_secret,
    default_password,
    secret_in_template,
    open_ingress,
    public_without_tls,
    privileged_container,
    mutable_image,
    production_backup,
    production_ha,
    production_monitoring,
    region_not_allowed,
)
RULES: Mapping[str, Rule] = {rule.__name__.replace("_", "-"): rule for rule in _ALL}
