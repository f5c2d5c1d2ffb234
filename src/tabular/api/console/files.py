"""The console's files in memory, named after their content so that browsers may keep them.

All of them are at one address that holds the hash of them all: scripts that import each other
then always fit each other, and an address never means two contents.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

CONSOLE = "/console"
ASSETS = f"{CONSOLE}/assets"

_PAGE = "index.html"
_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_FOREVER = "public, max-age=31536000, immutable"
_ASK = "no-cache"
# The style sheet, scripts and the API are all from here; text never becomes markup or script.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


@dataclass(frozen=True)
class File:
    """A file as it is answered."""

    content: bytes
    media_type: str
    etag: str

    def headers(self, *, forever: bool) -> dict[str, str]:
        """Headers of the answer.

        Args:
            forever: its address holds the hash of its content, so it need not be asked for again.
        """
        return {
            "ETag": self.etag,
            "Cache-Control": _FOREVER if forever else _ASK,
            "Content-Security-Policy": _POLICY,
        }

    def is_known(self, if_none_match: str | None) -> bool:
        """Whether the browser has it already, by its ``If-None-Match`` header."""
        known = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
        return self.etag in known or known == ["*"]


class Console:
    """The page and what it loads.

    Args:
        settings: what the scripts must know before anybody has signed in; nothing secret.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        found = {item.name: item.read_bytes() for item in sorted(_web(), key=lambda i: i.name)}
        page = found.pop(_PAGE)
        self.version = _hash(*(part for pair in found.items() for part in pair))[:16]
        self._files = {name: _file(name, content) for name, content in found.items()}
        self.page = _file(_PAGE, self._filled(page.decode(), settings).encode())

    def asset(self, name: str) -> File | None:
        """The file of that name, if there is one."""
        return self._files.get(name)

    def _filled(self, page: str, settings: Mapping[str, Any]) -> str:
        base = f"{ASSETS}/{self.version}"
        modules = [name for name in self._files if name.endswith(".js")]
        preload = "\n".join(f'<link rel="modulepreload" href="{base}/{name}">' for name in modules)
        shown = escape(json.dumps(dict(settings), ensure_ascii=False))
        return (
            page.replace("{{base}}", base)
            .replace("{{modules}}", preload)
            .replace("{{settings}}", shown)
        )


def _web() -> list[Any]:
    folder = files(__package__).joinpath("web")
    return [item for item in folder.iterdir() if item.name.rpartition(".")[2] in _TYPES]


def _file(name: str, content: bytes) -> File:
    return File(content, _TYPES[name.rpartition(".")[2]], f'"{_hash(content)[:32]}"')


def _hash(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()
