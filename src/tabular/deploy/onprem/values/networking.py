"""How the service is reached: within the cluster, or at a host, over TLS."""

from __future__ import annotations

from tabular.errors import UsageError

from .wanted import Values, Wanted, said


def values(wanted: Wanted) -> Values:
    """Values of the Ingress or Route; none where the service stays within the cluster.

    Raises:
        UsageError: a host without a certificate, or what only a host makes use of.
    """
    networking, onprem = wanted.spec.networking, wanted.spec.onprem
    if networking.domain is None:
        _refuse_unused(wanted)
        return {}
    found = said(
        host=networking.domain,
        className=onprem.ingress_class,
        allowedCidrs=list(networking.allowed_cidrs) or None,
        tls=_tls(wanted),
    )
    return {"ingress": found, **({"route": {"enabled": True}} if wanted.openshift else {})}


def _tls(wanted: Wanted) -> Values:
    certificate, issuer = wanted.spec.networking.certificate, wanted.spec.onprem.issuer
    if certificate is not None:
        return {"secretName": certificate}
    if issuer is not None:
        kind, slash, name = issuer.partition("/")
        if not slash:
            kind, name = "ClusterIssuer", issuer
        if kind not in ("ClusterIssuer", "Issuer"):
            raise UsageError(
                f"{kind} is no kind of issuer",
                where="spec.onprem.issuer",
                hint="a ClusterIssuer's name, or Issuer/NAME",
            )
        return {"issuer": name, "issuerKind": kind}
    if wanted.openshift:
        return {}  # the router has a certificate of its own
    raise UsageError(
        "a host is published over TLS, and no certificate is named",
        where="spec.networking.domain",
        hint="networking.certificate: NAME of a Secret (`kubectl create secret tls NAME …`), or "
        "onprem.issuer with cert-manager in onprem.operators",
    )


def _refuse_unused(wanted: Wanted) -> None:
    for path, value in (
        ("networking.certificate", wanted.spec.networking.certificate),
        ("networking.allowed_cidrs", wanted.spec.networking.allowed_cidrs),
        ("onprem.ingress_class", wanted.spec.onprem.ingress_class),
    ):
        if value:
            raise UsageError(
                "without a host nothing makes use of it",
                where=f"spec.{path}",
                hint="set networking.domain, or leave it out",
            )
