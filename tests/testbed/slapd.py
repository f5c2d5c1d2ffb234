"""A directory server (Debian's `slapd`): LDAPS and StartTLS by an authority of its own.

People: alice (in a group within a group), bob, carol (locked by the password policy), dave
(disabled as Active Directory does it), erin (in no group), and names with every sign that
means something in filters and DNs.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import parts
from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running

BASE = "dc=example,dc=org"
BIND_DN = f"cn=service,{BASE}"
BIND_PASSWORD = "the-service-itself-9"
USERS = f"ou=people,{BASE}"
GROUPS = f"ou=groups,{BASE}"
ODD = "o'dd*(na)me\\,+\"<>;#="

_CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl'
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 EQUALITY integerMatch SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName'
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 EQUALITY caseIgnoreMatch SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.4203.666.1 NAME 'msUser' SUP top AUXILIARY
  MAY ( userAccountControl $ sAMAccountName ) )
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
moduleload memberof
pidfile {folder}/slapd.pid
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
TLSCACertificateFile {folder}/ca.pem
sizelimit 500
database mdb
maxsize 16777216
suffix "{base}"
rootdn "cn=root,{base}"
rootpw root-password
directory {folder}/data
index objectClass,uid,member eq
overlay memberof
overlay ppolicy
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{bind}" read by * none
"""


@dataclass(frozen=True)
class Slapd:
    """A running server."""

    port: int
    tls_port: int
    ca_file: Path
    host: str

    @property
    def ldaps(self) -> str:
        """Its URL with TLS from the first byte."""
        return f"ldaps://{self.host}:{self.tls_port}"

    @property
    def ldap(self) -> str:
        """Its URL without, for StartTLS, on this machine."""
        return f"ldap://localhost:{self.port}"

    def modify(self, ldif: str) -> None:
        """Change what is in it."""
        _run("ldapmodify", f"ldap://127.0.0.1:{self.port}", ldif)


@contextlib.contextmanager
def slapd_server(
    folder: Path, *, host: str = "localhost", address: str = "127.0.0.1", days: int = 60
) -> Iterator[Slapd]:
    """Run a server for the time of the block.

    Args:
        folder: an empty one.
        host: that its certificate is for, and that its URLs name.
        address: that it listens at.
        days: for which its certificate is valid.
    """
    program = parts.debian("slapd", package="slapd")
    parts.debian("ldapmodify", package="ldap-utils")
    (folder / "data").mkdir()
    authority = make_authority(folder, host=host, days=days)
    config = folder / "slapd.conf"
    config.write_text(_CONFIG.format(folder=folder, base=BASE, bind=BIND_DN))
    port, tls_port = free_port(), free_port()
    addresses = f"ldap://127.0.0.1:{port} ldaps://{address}:{tls_port}"
    log = folder / "slapd.log"
    with running([program, "-d", "0", "-f", config, "-h", addresses], log=log) as process:
        wait_for_port(port)
        assert process.poll() is None, log.read_text()
        server = Slapd(port, tls_port, authority, host)
        _fill(server)
        yield server


def make_authority(folder: Path, *, host: str = "localhost", days: int = 60) -> Path:
    """An authority (``ca.pem``) and a certificate of it for a host (``server.pem``)."""
    openssl = str(parts.binary("openssl", package="openssl (Debian)"))
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    extensions = folder / "server.ext"
    kind = "IP" if host[0].isdigit() else "DNS"
    extensions.write_text(f"subjectAltName={kind}:{host}\n")
    for command in (
        f"req -x509 -days {days} -subj /CN=Authority -keyout ca.key -out ca.pem"
        " -addext keyUsage=critical,keyCertSign",
        "req -subj /CN=localhost -keyout server.key -out server.csr",
        f"x509 -req -in server.csr -CA ca.pem -CAkey ca.key -days {days} -CAcreateserial"
        " -extfile server.ext -out server.pem",
    ):
        more = new if command.startswith("req") else []
        subprocess.run(
            [openssl, *command.split(), *more], cwd=folder, check=True, capture_output=True
        )
    return folder / "ca.pem"


def _run(program: str, url: str, ldif: str) -> None:
    command = [program, "-x", "-H", url, "-D", f"cn=root,{BASE}", "-w", "root-password"]
    for attempt in range(20):
        done = subprocess.run(command, input=ldif, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        if "Can't contact" not in done.stderr or attempt == 19:
            raise RuntimeError(done.stderr)
        time.sleep(0.1)


def _fill(server: Slapd) -> None:
    people = {"alice": [], "bob": [], "carol": [], "erin": []}
    ldif = [
        f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example",
        f"dn: {USERS}\nobjectClass: organizationalUnit\nou: people",
        f"dn: {GROUPS}\nobjectClass: organizationalUnit\nou: groups",
        f"dn: {BIND_DN}\nobjectClass: applicationProcess\nobjectClass: simpleSecurityObject\n"
        f"cn: service\nuserPassword: {BIND_PASSWORD}",
    ]
    ldif += [_person(name) for name in people]
    ldif.append(
        _person("dave") + "\nobjectClass: msUser\nsAMAccountName: dave\nuserAccountControl: 514"
    )
    ldif.append(_person(ODD, dn=f"cn=odd,{USERS}").replace(f"cn: {ODD}", "cn: odd"))
    for number in (1, 2):
        ldif.append(
            _person("twin", dn=f"cn=twin{number},{USERS}").replace("cn: twin", f"cn: twin{number}")
        )
    ldif += [
        _group("tabular-admins", f"cn=engineers,{GROUPS}"),
        _group("engineers", f"cn=team,{GROUPS}", f"uid=dave,{USERS}"),
        _group("team", f"uid=alice,{USERS}", f"cn=tabular-admins,{GROUPS}"),  # a circle
        _group("tabular-viewers", f"uid=bob,{USERS}", f"uid=carol,{USERS}", f"cn=odd,{USERS}"),
        _group("others", f"uid=erin,{USERS}"),
    ]
    url = f"ldap://127.0.0.1:{server.port}"
    _run("ldapadd", url, "\n\n".join(ldif) + "\n")
    server.modify(
        f"dn: uid=carol,{USERS}\nchangetype: modify\n"
        "add: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n"
    )


def password_of(name: str) -> str:
    """The password of a person."""
    return f"password of {name.strip()}"


def _person(name: str, *, dn: str | None = None) -> str:
    return (
        f"dn: {dn or f'uid={name},{USERS}'}\nobjectClass: inetOrgPerson\n"
        f"cn: {name}\nsn: {name}\nuid: {name}\nuserPassword: {password_of(name)}"
    )


def _group(name: str, *members: str) -> str:
    listed = "\n".join(f"member: {member}" for member in members)
    return f"dn: cn={name},{GROUPS}\nobjectClass: groupOfNames\ncn: {name}\n{listed}"
