"""The certificate of TLS between pods, where no cert-manager makes it: made, kept, renewed.

One authority and one certificate with the names of every service lie in a Secret of the
deployment. The authority's key lies there too, and no pod mounts it: so a certificate is renewed
without anybody having to trust another authority. A deploy renews what ends soon; the service
tells how long its certificate is valid (`tabular_certificate_left_seconds`), and an alarm is
raised two weeks before its end.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from tabular.deploy.onprem.cluster import marks
from tabular.deploy.onprem.names import COMPONENT, INSTANCE, MANAGED_BY, tls_secret_name
from tabular.errors import ConfigError, EngineError
from tabular.infra.certificates import read
from tabular.infra.optional import require

from .secret_keys import other_secrets

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, CertificateBuilder

    from tabular.deploy.onprem.cluster.session import Cluster

Object = Mapping[str, Any]
AUTHORITY, CERTIFICATE, KEY, AUTHORITY_KEY = "ca.crt", "tls.crt", "tls.key", "ca.key"
LASTS = timedelta(days=365)
AUTHORITY_LASTS = timedelta(days=3650)
# Renewed by a deploy from then on; a certificate is never made for longer than its authority.
RENEW_BEFORE = timedelta(days=60)
_BACKDATED = timedelta(hours=1)  # hosts' clocks may be behind
_OWNER = "inferloop-tabular"
# Services that operators make of their own kinds, by what is put behind the name.
_TENANT = "-hl"
_OF_OPERATORS = {
    "Cluster": ("-rw", "-ro", "-r"),
    "postgresql": ("", "-repl"),
    "Tenant": ("", _TENANT),
}


@dataclass(frozen=True, slots=True)
class Held:
    """The certificate that a deployment has.

    Attributes:
        ends: last moment at which it and its authority are valid.
        made: whether it was made just now.
        ours: whether we renew it; else whoever made it does.
        checksum: changes with it, and tells nothing.
        lacking: services that it is not for.
    """

    ends: datetime
    made: bool
    ours: bool
    checksum: str
    lacking: tuple[str, ...] = ()


def is_wanted(name: str, objects: Iterable[Object]) -> bool:
    """Whether pods mount the certificate, and nobody among the objects makes it."""
    made = tuple(objects)
    secret = tls_secret_name(name)
    by_others = any(
        one["kind"] == "Certificate" and one["spec"].get("secretName") == secret for one in made
    )
    return not by_others and secret in other_secrets(made, "")


def names_of(objects: Iterable[Object], namespace: str) -> tuple[str, ...]:
    """What clients may call the services among the objects, sorted; and ``localhost``."""
    found = {"localhost"}
    for one in objects:
        name = one["metadata"]["name"]
        if one["kind"] == "Service":
            pods = one["spec"].get("clusterIP") == "None"
            found |= set(_called(name, namespace, pods=pods))
        for more in _OF_OPERATORS.get(one["kind"], ()):
            found |= set(_called(f"{name}{more}", namespace, pods=more == _TENANT))
    return tuple(sorted(found))


def _called(name: str, namespace: str, *, pods: bool) -> Iterator[str]:
    for suffix in ("", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local"):
        yield name + suffix
        if pods:
            yield f"*.{name}{suffix}"


def ensure(cluster: Cluster, name: str, namespace: str, objects: Iterable[Object]) -> Held | None:
    """Make or renew the certificate before the pods that mount it are applied.

    Args:
        cluster: where.
        name: of the deployment.
        namespace: of the deployment.
        objects: as they are rendered.

    Returns:
        What there is then; None where nobody needs it.

    Raises:
        EngineError: the Secret is there and holds something else.
        ConfigError: the package ``cryptography`` is missing.
    """
    made = tuple(objects)
    if not is_wanted(name, made):
        return None
    wanted, now = names_of(made, namespace), cluster.now()
    live = cluster.get("v1", "Secret", tls_secret_name(name), namespace)
    if live is not None:
        held = _held(live, wanted)
        if not held.ours or (held.ends - now > RENEW_BEFORE and not held.lacking):
            return held
    data = _made(name, wanted, now, _data(live) if live is not None else {})
    secret = _secret(name, namespace, data)
    cluster.apply(secret, force=True)
    found = _held(secret, wanted)
    return Held(found.ends, True, True, found.checksum)


def examine(
    cluster: Cluster, name: str, namespace: str, objects: Iterable[Object] = ()
) -> Held | None:
    """The certificate that is there; None where there is none. Nothing is changed.

    Raises:
        EngineError: the Secret holds something else.
    """
    live = cluster.get("v1", "Secret", tls_secret_name(name), namespace)
    return None if live is None else _held(live, names_of(objects, namespace))


def _held(secret: Object, wanted: Iterable[str]) -> Held:
    where = f"Secret/{secret['metadata']['name']}"
    data = _data(secret)
    try:
        certificate, *_ = read(data.get(CERTIFICATE, b""), where=where)
        authorities = read(data.get(AUTHORITY, b""), where=where)
    except ConfigError as error:
        raise EngineError(
            f"it has no {AUTHORITY} and {CERTIFICATE} that can be read",
            where=where,
            hint="remove it, and the next deploy makes another; or put yours there, with "
            f"{AUTHORITY}, {CERTIFICATE} and {KEY}",
        ) from error
    known = names_in(certificate)
    # Names that only some clients would use need not be in somebody else's certificate.
    lacking = tuple(sorted(set(wanted) - known))
    ends = min([certificate.not_valid_after_utc, authorities[0].not_valid_after_utc])
    checksum = hashlib.sha256(data[CERTIFICATE] + data[AUTHORITY]).hexdigest()[:16]
    # What a controller makes (Sealed Secrets) it puts back, so it is not for us to renew.
    ours = AUTHORITY_KEY in data and not marks.maker(secret)
    return Held(ends, False, ours, checksum, lacking)


def _data(secret: Object) -> dict[str, bytes]:
    return {key: base64.b64decode(text) for key, text in (secret.get("data") or {}).items()}


def _secret(name: str, namespace: str, data: Mapping[str, bytes]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": tls_secret_name(name),
            "namespace": namespace,
            "labels": {INSTANCE: name, COMPONENT: "internal-tls", MANAGED_BY: _OWNER},
        },
        "type": "kubernetes.io/tls",
        "data": {key: base64.b64encode(value).decode() for key, value in sorted(data.items())},
    }


def _made(
    name: str, names: Iterable[str], now: datetime, before: Mapping[str, bytes]
) -> dict[str, bytes]:
    """A certificate of the authority that there is, or of a new one.

    A new authority is put before the old one, which stays trusted: not all pods change at once.
    """
    require("cryptography", extra="onprem", needed_by="certificates between pods")
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    trusted = before.get(AUTHORITY, b"")
    authority_key: EllipticCurvePrivateKey
    if AUTHORITY_KEY in before and _lasts(trusted, now):
        authority_key = load_pem_private_key(before[AUTHORITY_KEY], None)  # type: ignore[assignment]
        authority = read(trusted, where=AUTHORITY)[0]
    else:
        authority_key = _new_key()
        authority = _authority(name, authority_key, now)
        trusted = _pem(authority) + _first(trusted)
    key = _new_key()
    certificate = _certificate(
        name, names, key, authority=authority, authority_key=authority_key, now=now
    )
    return {
        AUTHORITY: trusted,
        AUTHORITY_KEY: _key_pem(authority_key),
        CERTIFICATE: _pem(certificate),
        KEY: _key_pem(key),
    }


def _lasts(authority: bytes, now: datetime) -> bool:
    """Whether a certificate of full length can still be made."""
    return read(authority, where=AUTHORITY)[0].not_valid_after_utc - now > LASTS


def _first(pem: bytes) -> bytes:
    return _pem(read(pem, where=AUTHORITY)[0]) if pem else b""


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _authority(name: str, key: EllipticCurvePrivateKey, now: datetime) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    called = f"{name} authority {now:%Y-%m-%d}"
    built = (
        _begun(called, called, key, now, now + AUTHORITY_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return built.sign(key, hashes.SHA256())


def _certificate(
    name: str,
    names: Iterable[str],
    key: EllipticCurvePrivateKey,
    *,
    authority: Certificate,
    authority_key: EllipticCurvePrivateKey,
    now: datetime,
) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    issuer = authority.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    called = x509.SubjectAlternativeName(
        [*(x509.DNSName(one) for one in names), x509.IPAddress(ip_address("127.0.0.1"))]
    )
    served = x509.ExtendedKeyUsage(
        [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    )
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    built = (
        _begun(f"{name} pods", str(issuer), key, now, now + LASTS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(served, critical=False)
        .add_extension(called, critical=False)
        .add_extension(by, critical=False)
    )
    return built.sign(authority_key, hashes.SHA256())


def _begun(
    subject: str, issuer: str, key: EllipticCurvePrivateKey, now: datetime, ends: datetime
) -> CertificateBuilder:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    def called(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])

    return (
        x509.CertificateBuilder()
        .subject_name(called(subject))
        .issuer_name(called(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> Any:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def names_in(certificate: Certificate) -> set[str]:
    """The names of hosts that a certificate is for."""
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return set(found.value.get_values_for_type(x509.DNSName))


def _pem(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization as s

    # PKCS 8, which every server of the chart reads.
    return key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
