"""The certificates of a control plane, good ones and expired ones."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
LOCAL = "127.0.0.1"
SERVICE = "198.18.0.1"  # of the API server, for pods
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """A certificate authority; its files are ``ca.crt`` and ``ca.key`` of a folder."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def key(self) -> Path:
        return self.folder / "ca.key"

    def server(
        self, name: str, *, hosts: tuple[str, ...] = NAMES, address: str = LOCAL, days: int = 2
    ) -> Path:
        """A server's certificate, ``NAME.crt`` beside ``NAME.key``; expired if `days` < 0."""
        known = sorted({LOCAL, SERVICE, address})
        addresses = [x509.IPAddress(ipaddress.ip_address(one)) for one in known]
        hosted = x509.SubjectAlternativeName([*(x509.DNSName(host) for host in hosts), *addresses])
        return self._issue(name, _name(name), ExtendedKeyUsageOID.SERVER_AUTH, days, hosted)

    def client(self, user: str, *, groups: tuple[str, ...] = (), days: int = 2) -> Path:
        """A user's certificate, ``USER.crt`` beside ``USER.key``; expired if `days` < 0."""
        return self._issue(user, _name(user, *groups), ExtendedKeyUsageOID.CLIENT_AUTH, days)

    def _issue(
        self,
        file: str,
        subject: x509.Name,
        usage: x509.ObjectIdentifier,
        days: int,
        hosts: x509.SubjectAlternativeName | None = None,
    ) -> Path:
        authority = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        signer = serialization.load_pem_private_key(self.key.read_bytes(), password=None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        key = make_key(self.folder / f"{file}.key")
        made = _builder(subject, authority.subject, key, days).add_extension(
            x509.ExtendedKeyUsage([usage]), critical=False
        )
        if hosts is not None:
            made = made.add_extension(hosts, critical=False)
        return _write(made.sign(signer, hashes.SHA256()), self.folder / f"{file}.crt")


def make_authority(folder: Path) -> Authority:
    """Make an authority in a folder."""
    made = Authority(folder)
    key, name = make_key(made.key), _name("test authority")
    builder = _builder(name, name, key, days=3)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    _write(builder.sign(key, hashes.SHA256()), made.certificate)
    return made


def make_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """A private key, written to a file that only its owner reads."""
    key = ec.generate_private_key(ec.SECP256R1())
    path.touch(mode=0o600)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    plain = serialization.NoEncryption()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 10 * DAY)
        .not_valid_after(now + days * DAY)
    )


def _name(common: str, *groups: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _write(certificate: x509.Certificate, path: Path) -> Path:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path
