"""The certificate that people see: until when it is valid, and whether it is for the host.

An ingress controller shows its own certificate instead of one that does not fit, and one that has
ended as it is, and says nothing of either to whoever deploys.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.rendered.rendering import Object
from tabular.deploy.onprem.secrets.certificates import names_in
from tabular.deploy.policy import Finding, Severity
from tabular.errors import ConfigError
from tabular.infra.certificates import read

SOON = timedelta(days=14)  # as the alarm TabularCertificateEnds


@dataclass(frozen=True, slots=True)
class Shown:
    """What is to be said of one Secret's certificate.

    Attributes:
        secret: its name.
        hosts: that it is shown for.
        there: whether there is such a Secret; an issuer may not have made it yet.
        well: whether it is for every host and lasts.
        said: in words.
    """

    secret: str
    hosts: Sequence[str]
    there: bool
    well: bool
    said: str


def shown(cluster: Cluster, namespace: str, objects: Iterable[Object]) -> Iterator[Shown]:
    """The certificates that Ingresses and Routes show by a Secret."""
    now = cluster.now()
    for secret, hosts in _published(objects).items():
        found = cluster.get("v1", "Secret", secret, namespace)
        if found is None:
            yield Shown(secret, hosts, False, False, f"there is no Secret {secret}")
        else:
            yield Shown(secret, hosts, True, *_judged(found, hosts, now))


def told_of_hosts(cluster: Cluster, namespace: str, objects: Iterable[Object]) -> Iterator[Finding]:
    """Tell of certificates that are there and will not do."""
    for one in shown(cluster, namespace, objects):
        if one.there and not one.well:
            yield Finding(
                "host-certificate",
                Severity.WARNING,
                "spec.networking.certificate",
                f"the certificate of {', '.join(one.hosts)}: {one.said}",
                f"a new one into the Secret {one.secret}",
            )


def _published(objects: Iterable[Object]) -> dict[str, list[str]]:
    """The Secrets whose certificates people see, and the hosts that they are for."""
    found: dict[str, list[str]] = {}
    for one in objects:
        if one["kind"] == "Ingress":
            for tls in one["spec"].get("tls") or ():
                if tls.get("secretName"):
                    found.setdefault(tls["secretName"], []).extend(tls.get("hosts") or ())
        named = one["kind"] == "Route" and (one["spec"].get("tls") or {}).get("externalCertificate")
        if named:
            found.setdefault(named["name"], []).append(one["spec"]["host"])
    return found


def _judged(found: Object, hosts: Sequence[str], now: datetime) -> tuple[bool, str]:
    """Whether a Secret's certificate will do, and what is to be said of it."""
    text = base64.b64decode((found.get("data") or {}).get("tls.crt", ""))
    try:
        certificate, *_ = read(text, where=f"Secret/{found['metadata']['name']}")
    except ConfigError as error:
        return False, f"{error.where}: {error.message}"
    ends, known = certificate.not_valid_after_utc, names_in(certificate)
    other = [host for host in hosts if not _is_for(host, known)]
    said = f"ended on {ends:%Y-%m-%d}" if ends < now else f"until {ends:%Y-%m-%d}"
    said += f"; it is not for {', '.join(other)}" if other else ""
    return ends - now > SOON and not other, said


def _is_for(host: str, names: Iterable[str]) -> bool:
    """Whether a host is one of these names; a star is one label (RFC 6125)."""
    for name in (one.lower() for one in names):
        if name.startswith("*."):
            if host.lower().partition(".")[2] == name[2:]:
                return True
        elif host.lower() == name:
            return True
    return False
