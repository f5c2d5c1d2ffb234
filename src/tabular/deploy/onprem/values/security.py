"""TLS between pods, and the authorities that they trust."""

from __future__ import annotations

from pathlib import Path

from tabular.deploy.onprem.names import tls_secret_name
from tabular.errors import UsageError
from tabular.infra.certificates import read

from .existing import SCHEME
from .wanted import Values, Wanted

CERT_MANAGER = "cert-manager"
_WHERE = "spec.security.ca_bundle"


def values(wanted: Wanted) -> Values:
    """Values of security: TLS is always on; by cert-manager where that is named, else by us.

    The issuer of the spec is for the host: a public one makes no certificates for names of a
    cluster. So cert-manager makes an authority of the deployment's own.

    Raises:
        UsageError: the authorities cannot be read.
    """
    if CERT_MANAGER in wanted.operators:
        tls: Values = {"enabled": True, "certManager": {"enabled": True}}
    else:
        tls = {"enabled": True, "existingSecret": tls_secret_name(wanted.target.name)}
    found: Values = {"tls": tls}
    bundle = wanted.spec.security.ca_bundle
    if bundle is not None:
        found["ca"] = _authorities(bundle)
    return found


def _authorities(named: str) -> Values:
    if named.startswith(SCHEME):
        name, _, key = named.removeprefix(SCHEME).partition("/")
        return {"existingSecret": name, "key": key or "ca.crt"}
    path = Path(named).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the certificates of {named} cannot be read: {error}",
            where=_WHERE,
            hint="a PEM file, seen from this folder; or k8s:NAME/KEY of a Secret that has it",
        ) from error
    read(text.encode(), where=_WHERE)
    return {"bundle": text}
