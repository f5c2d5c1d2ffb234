"""One connection to a directory server: TLS, bind and search, each with an end in time.

The protocol itself is `sansldap`; sockets and certificates are handled here, so that what is
checked is to be seen. Filters are trees of the library, never text put together: a name can
not become a part of the question.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tabular.errors import ConfigError, UnavailableError
from tabular.infra.loopback import is_loopback
from tabular.infra.optional import require

if TYPE_CHECKING:
    import sansldap

PORTS = {"ldaps": 636, "ldap": 389}
MAX_ANSWER = 8 * 1024 * 1024
REFUSED = frozenset({19, 32, 34, 48, 49, 50})  # RFC 4511 4.1.9: it is the credential
# Of a person it is the account's state as well: 389 Directory Server and FreeIPA answer 53 of one
# that is inactivated, others 8 or 13 of one that may sign in by other means only.
REFUSED_PERSON = REFUSED | {8, 13, 53}


def library() -> Any:
    """The protocol library.

    Raises:
        ConfigError: the ``ldap`` extra is not installed.
    """
    return require("sansldap", extra="ldap", needed_by="TABULAR_LDAP_… settings")


@dataclass(frozen=True)
class Link:
    """How to reach a server.

    Attributes:
        url: ``ldaps://host[:port]``, or ``ldap://`` whose first word is StartTLS.
        ca_file: PEM file of the authority that signed its certificate; the system's when None.
        timeout: seconds for each operation.
        plain: no TLS, where `url` is ``ldap://`` on the loopback interface.
    """

    url: str
    ca_file: str | None = None
    timeout: float = 5.0
    plain: bool = False


@dataclass(frozen=True)
class Entry:
    """A found object; attribute names are in lower case, values as the server sent them."""

    dn: str
    attributes: Mapping[str, Sequence[bytes]]

    def texts(self, name: str) -> list[str]:
        """The values of an attribute that are text."""
        found = []
        for value in self.attributes.get(name.lower(), ()):
            with contextlib.suppress(UnicodeDecodeError):  # a binary value is no text
                found.append(value.decode())
        return found


def check_link(link: Link) -> Link:
    """The link, when nobody on the way can read passwords or answer in the server's place.

    Raises:
        ConfigError: no ``ldap`` URL, or one without TLS that leaves this machine.
    """
    parts = urlsplit(link.url)
    if parts.scheme not in PORTS or not parts.hostname or parts.username or parts.query:
        raise ConfigError(
            "not the URL of a directory server", hint="write ldaps://host or ldap://host"
        )
    if link.plain and (parts.scheme != "ldap" or not is_loopback(parts.hostname)):
        raise ConfigError(
            "a directory is asked without TLS on the loopback interface alone",
            where=link.url,
            hint="use ldaps://, or ldap:// with StartTLS (TABULAR_LDAP_PLAIN=false)",
        )
    return link


class LdapConnection:
    """An open connection; not to be shared by threads.

    Args:
        link: how to reach the server.

    Raises:
        UnavailableError: it does not answer in time, or its certificate is not good.
        ConfigError: the extra is not installed, or the authority's file cannot be read.
    """

    def __init__(self, link: Link) -> None:
        self._library = library()
        self._link = check_link(link)
        self._session: sansldap.LDAPClient = self._library.LDAPClient()
        self._deadline = time.monotonic() + link.timeout
        parts = urlsplit(link.url)
        host, port = str(parts.hostname), parts.port or PORTS[parts.scheme]
        tls = None if link.plain else _context(link.ca_file)
        try:
            self._socket = socket.create_connection((host, port), timeout=link.timeout)
        except OSError as error:
            raise self._failed(error) from error
        try:
            if tls is not None:
                if parts.scheme == "ldap":
                    self._start_tls()
                self._socket = tls.wrap_socket(self._socket, server_hostname=host)
        except (OSError, UnavailableError) as error:
            self._socket.close()
            raise error if isinstance(error, UnavailableError) else self._failed(error) from error

    def bind(self, dn: str, password: str, *, refused: Collection[int] = REFUSED) -> bool:
        """Prove who we are; False when the server does not believe it.

        Args:
            dn: the name.
            password: of it.
            refused: results (RFC 4511 4.1.9) by which the server says so.

        Raises:
            UnavailableError: the server cannot say.
            ValueError: no name or no password, which servers would take for a stranger's bind
                and accept.
        """
        if not dn or not password:
            raise ValueError("a bind needs a name and a password")
        self._begin()
        self._session.bind_simple(dn, password)
        (answer,) = self._exchange(self._library.BindResponse)
        code = int(answer.result.result_code)
        if code and code not in refused:
            raise self._failed(f"bind: result {code}")
        return code == 0

    def search(
        self,
        base: str,
        wanted: sansldap.LDAPFilter,
        attributes: Sequence[str],
        *,
        base_only: bool = False,
        limit: int = 0,
    ) -> list[Entry]:
        """What is found, without what referrals to other servers would give.

        Args:
            base: where to begin.
            wanted: which objects.
            attributes: what to read of them.
            base_only: only `base` itself.
            limit: at most so many are returned; 0 for all.

        Raises:
            UnavailableError: the server cannot say.
        """
        self._begin()
        scope = self._library.SearchScope
        self._session.search_request(
            base_object=base,
            scope=scope.BASE if base_only else scope.SUBTREE,
            size_limit=limit,
            time_limit=max(1, int(self._link.timeout)),
            filter=wanted,
            attributes=list(attributes),
        )
        *found, done = self._exchange(self._library.SearchResultDone)
        code = int(done.result.result_code)
        if code not in (0, 4, 32):  # 4: more than the limit, 32: no such base
            raise self._failed(f"search: result {code}")
        entries = [item for item in found if isinstance(item, self._library.SearchResultEntry)]
        return [
            Entry(item.object_name, {a.name.lower(): a.values for a in item.attributes})
            for item in entries
        ]

    @property
    def ends(self) -> datetime | None:
        """When the certificate that the server showed ends, UTC; None without TLS."""
        if not isinstance(self._socket, ssl.SSLSocket):
            return None
        said = (self._socket.getpeercert() or {})["notAfter"]
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(said)), UTC)

    def close(self) -> None:
        """Say good-bye and hang up."""
        with contextlib.suppress(OSError, self._library.LDAPError):  # it may have gone before us
            self._session.unbind()
            self._socket.sendall(self._session.data_to_send())
        self._socket.close()

    def _start_tls(self) -> None:
        self._session.extended_request(self._library.ExtendedOperations.LDAP_START_TLS.value)
        (answer,) = self._exchange(self._library.ExtendedResponse)
        if int(answer.result.result_code) != 0:
            raise self._failed("it refuses StartTLS")
        # Whatever came before the handshake may be of anybody: a new session knows none of it.
        self._session = self._library.LDAPClient()

    def _begin(self) -> None:
        self._deadline = time.monotonic() + self._link.timeout

    def _exchange(self, last: type[Any]) -> list[Any]:
        """Send what is waiting, and the messages up to one of the type `last`."""
        found: list[Any] = []
        received = 0
        try:
            self._socket.settimeout(self._left())
            self._socket.sendall(self._session.data_to_send())
            while not (found and isinstance(found[-1], last)):
                self._socket.settimeout(self._left())
                data = self._socket.recv(65536)
                received += len(data)
                if not data or received > MAX_ANSWER:
                    raise self._failed("it hung up" if not data else "its answer is too large")
                found += self._session.receive(data)
        except (OSError, self._library.LDAPError, self._library.ProtocolError) as error:
            raise self._failed(error) from error
        return found

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        return left

    def _failed(self, why: object) -> UnavailableError:
        return UnavailableError(
            f"the directory does not answer: {why}",
            where=self._link.url,
            code="unavailable.directory",
        )


def _context(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigError(
            "the file of the certificate authority cannot be read", where=ca_file
        ) from error
