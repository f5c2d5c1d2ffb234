"""``az-kv:``: Azure Key Vault (REST 7.4), with the identity of the machine or environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from tabular.infra.loopback import is_loopback
from tabular.infra.optional import require
from tabular.infra.secrets.parts import malformed, silent, split_key, value_at
from tabular.infra.secrets.rest import get_json

FORM = "az-kv:VAULT/NAME[/VERSION][#KEY], or az-kv:https://VAULT.HOST/secrets/NAME[/VERSION]"
API = "7.4"
_SHORT = re.compile(r"([A-Za-z][A-Za-z0-9-]{2,23})/([A-Za-z0-9-]{1,127})(/[0-9a-f]{32})?\Z")
_PATH = re.compile(r"/secrets/[A-Za-z0-9-]{1,127}(/[0-9a-f]{32})?\Z")


def resolve(reference: str, environ: Mapping[str, str]) -> str:
    """The secret's version, the current one when none is named, or one key of it.

    Raises:
        ConfigError: no such secret or key, no right to it, or azure-identity is not installed.
        UnavailableError: the vault or the source of credentials does not answer.
    """
    name, key = split_key(reference)
    where = f"az-kv:{name}"
    url, host = _address(name, where)
    identity = require("azure.identity", extra="azure", needed_by="az-kv: references")
    core = require("azure.core.exceptions", extra="azure", needed_by="az-kv: references")
    # A vault's own cloud is its host without the vault's name: vault.azure.net, vault.azure.cn …
    cloud = "vault.azure.net" if is_loopback(host) else host.partition(".")[2]
    try:
        credential = identity.DefaultAzureCredential()
        token = credential.get_token(f"https://{cloud}/.default").token
    except core.AzureError as error:
        raise silent(where, type(error).__name__) from error
    found = get_json(f"{url}?api-version={API}", token, where, "this Azure identity")
    text = found.get("value")
    if not isinstance(text, str):
        raise silent(where, "its answer has no value")
    return value_at(text, key, where)


def _address(name: str, where: str) -> tuple[str, str]:
    short = _SHORT.match(name)
    if short is not None:
        host = f"{short[1]}.vault.azure.net"
        return f"https://{host}/secrets/{short[2]}{short[3] or ''}", host
    parts = urlsplit(name)
    host = parts.hostname or ""
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    if not safe or not host or parts.username or parts.query or not _PATH.match(parts.path):
        raise malformed(where, FORM)
    return name, host
