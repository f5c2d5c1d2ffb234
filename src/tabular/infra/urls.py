"""One reading of connection URLs, because every driver is chosen by one.

A URL may carry a password, so nothing prints one except through `public`: the same text
without what must not reach a log, an error or a health report.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from tabular.errors import ConfigError, nearest

# The pip extra that each scheme needs; none for an empty one. The other parts keep theirs beside
# their drivers; settings are checked without importing the libraries of databases.
DATABASE_SCHEMES = {
    "sqlite": "",
    "postgresql": "postgres",
    "postgresql+psycopg": "postgres",
    "mysql": "mysql",
    "mysql+pymysql": "mysql",
}

# Every repetition is bounded: these run over log text of any length, and an open one takes time
# that grows with its square.
# A password that was not percent-encoded may hold / ? # or @, so what follows `user:` is masked
# up to the last @; a port there (digits, then a slash) is the one thing that it cannot be.
_USERINFO = re.compile(
    r"(?P<scheme>[a-zA-Z][\w+.-]{0,31}://)"
    r"(?:[^/?#\s:@\"']{0,256}:(?!\d{1,5}/)[^\s\"'<>]{0,2048}|[^/?#\s]{0,2048})@"
)
_ENCODE = "write / ? # @ within a user or password as %2F %3F %23 %40"
_SECRET_QUERY = re.compile(
    r"(?P<key>[?&][^=&?\s]{0,40}"
    r"(?:password|secret|token|sig|signature|access_key|credential)[^=&?\s]{0,40}=)[^&\s#]*",
    re.IGNORECASE,
)

PUBLIC_HINTS = ("://", "password", "secret", "token", "sig", "access_key", "credential")
"""Lower-case text without any of these is left as it is by `public`."""


def public(url: str) -> str:
    """The URL without user, password and secret query values, fit for logs and errors."""
    return _SECRET_QUERY.sub(r"\g<key>***", _USERINFO.sub(r"\g<scheme>***@", url))


def _drivers(schemes: Collection[str]) -> str:
    """The schemes, and what installs those that need an extra."""
    listed = ", ".join(sorted(schemes))
    if not isinstance(schemes, Mapping):
        return listed
    extras = sorted({extra for extra in schemes.values() if extra})
    commands = ", ".join(f"pip install 'inferloop-tabular[{extra}]'" for extra in extras)
    return f"{listed} ({commands})" if commands else listed


def split(url: str, schemes: Collection[str], *, what: str) -> SplitResult:
    """Parse `url` and check that its scheme is one of `schemes`.

    Args:
        url: such as ``redis://localhost:6379/0``.
        schemes: the schemes that have a driver; a mapping names the extra that each needs.
        what: what the URL is for (``storage``), used in the error.

    Raises:
        ConfigError: no URL at all, or a scheme without a driver.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme != "memcached":  # whose host may be a list; its driver reads that
            _ = parts.port
    except ValueError:
        # Python's own message quotes what it took for the port, which may be half a password.
        raise ConfigError(
            f"the {what} URL cannot be read: its host or port is malformed",
            where=public(url),
            hint=_ENCODE,
        ) from None
    if not parts.scheme or "://" not in url:
        raise ConfigError(
            f"the {what} setting is not a URL",
            where=public(url),
            hint="write scheme://…, with one of: " + ", ".join(sorted(schemes)),
        )
    if parts.netloc and "@" in parts.path + parts.query + parts.fragment:
        raise ConfigError(
            f"the {what} URL has an @ after its host", where=f"{parts.scheme}://…", hint=_ENCODE
        )
    if parts.scheme not in schemes:
        raise ConfigError(
            f"no {what} driver for {parts.scheme}://",
            where=public(url),
            hint=f"{nearest(parts.scheme, schemes)}drivers: {_drivers(schemes)}",
        )
    return parts


def options(parts: SplitResult, known: Collection[str], *, what: str) -> dict[str, str]:
    """The query of a URL as a dict, refusing options that no driver reads.

    Raises:
        ConfigError: an unknown or repeated option.
    """
    found: dict[str, str] = {}
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key not in known:
            raise ConfigError(
                f"unknown option {key!r} in the {what} URL",
                where=public(parts.geturl()),
                hint=nearest(key, known).strip() or "known: " + ", ".join(sorted(known)),
            )
        if key in found:
            raise ConfigError(f"option {key!r} is given twice in the {what} URL")
        found[key] = value
    return found


def local_path(parts: SplitResult, *, what: str) -> Path:
    """The absolute folder of a ``file:///…`` or ``filesystem:///…`` URL.

    Raises:
        ConfigError: a host in the URL (two slashes instead of three) or no folder.
    """
    if parts.netloc not in ("", "localhost"):
        raise ConfigError(
            f"the {what} URL names a host",
            where=parts.geturl(),
            hint=f"write three slashes: {parts.scheme}:///absolute/folder",
        )
    path = Path(unquote(parts.path))
    if not path.is_absolute() or path == Path("/") or "\0" in str(path):
        raise ConfigError(
            f"the {what} URL names no folder",
            where=parts.geturl(),
            hint=f"write {parts.scheme}:///absolute/folder",
        )
    return path
