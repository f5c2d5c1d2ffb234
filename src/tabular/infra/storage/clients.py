"""From a storage URL to the client of its cloud.

Credentials are found the way each vendor's own tools find them: environment variables, profiles
of the machine or pod, metadata servers. Custom endpoints (MinIO and its like, private gateways,
emulators) and private certificate authorities are options of the URL.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult

from obstore import exceptions
from obstore.store import AzureStore, MemoryStore, S3Store

from tabular.errors import ConfigError, InputError
from tabular.infra.google import google_tokens
from tabular.infra.storage.backend import Backend
from tabular.infra.storage.cloud import CloudBackend, reason_of
from tabular.infra.storage.gcs import ENDPOINT, GcsBackend
from tabular.infra.storage.keys import check_prefix
from tabular.infra.storage.retries import FIRST_WAIT, LONGEST_WAIT, MAX_RETRIES, TIMEOUT
from tabular.infra.urls import options, public

_CONNECT_TIMEOUT = timedelta(seconds=5)
_ANSWER_TIMEOUT = 120.0  # seconds that one request may take, its body included
_RETRY = {
    "max_retries": MAX_RETRIES,
    "retry_timeout": timedelta(seconds=TIMEOUT),
    "backoff": {
        "init_backoff": timedelta(seconds=FIRST_WAIT),
        "max_backoff": timedelta(seconds=LONGEST_WAIT),
        "base": 2,
    },
}
_COMMON = ("anonymous", "ca", "endpoint", "timeout")
_OPTIONS = {
    "s3": (*_COMMON, "region", "virtual_host"),
    "gs": _COMMON,
    "az": (*_COMMON, "account"),
    "memory": (),
}
_GOOGLE_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"

_memories: dict[str, MemoryStore] = {}


def open_backend(parts: SplitResult, credentials: Mapping[str, str]) -> Backend:
    """The driver for a parsed ``s3``, ``gs``, ``az`` or ``memory`` URL.

    Raises:
        ConfigError: no bucket, an unknown option, or credentials of an unknown name.
    """
    given = options(parts, _OPTIONS[parts.scheme], what="storage")
    where = public(parts._replace(query="").geturl())
    if parts.username is not None:
        raise ConfigError(
            "the storage URL carries credentials",
            where=where,
            hint="set the store's own variables, such as AWS_ACCESS_KEY_ID, instead",
        )
    if not parts.netloc and parts.scheme != "memory":
        raise ConfigError("the storage URL names no bucket", where=where)
    try:
        prefix = check_prefix(parts.path.removeprefix("/"))
        return _OPENERS[parts.scheme](parts.netloc, prefix, where, given, dict(credentials))
    except ConfigError:
        raise
    except InputError as error:
        raise ConfigError("the storage URL has an illegal prefix", where=where) from error
    except (exceptions.BaseError, OSError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the storage cannot be set up: {reason_of(error)}",
            where=where,
            hint="see TABULAR_STORAGE_URL in docs/settings.md",
        ) from error


def _open_s3(
    bucket: str, prefix: str, where: str, given: dict[str, str], credentials: dict[str, str]
) -> Backend:
    config: dict[str, Any] = dict(credentials)
    endpoint = given.get("endpoint")
    if endpoint:
        config["endpoint"] = endpoint
        config["region"] = given.get("region", "us-east-1")
    elif "region" in given:
        config["region"] = given["region"]
    config["checksum_algorithm"] = "SHA256"  # a server refuses a part that changed on its way
    config["virtual_hosted_style_request"] = _flag(given, "virtual_host")
    if _flag(given, "anonymous"):
        config["skip_signature"] = True
    store = S3Store(bucket, prefix=prefix or None, **config, **_bounds(given))
    return CloudBackend(store, where)


def _open_gcs(
    bucket: str, prefix: str, where: str, given: dict[str, str], credentials: dict[str, str]
) -> Backend:
    unknown = set(credentials) - {"bearer_token", "service_account"}
    if unknown:
        raise ValueError(f"unknown credentials {', '.join(sorted(unknown))}")
    endpoint = given.get("endpoint", ENDPOINT)
    if not endpoint.startswith(("https://", "http://")):
        raise ValueError("the endpoint is not an http:// or https:// URL")
    tokens: Callable[[], str | None]
    if _flag(given, "anonymous"):
        tokens = _no_token
    elif "bearer_token" in credentials:
        tokens = _fixed(credentials["bearer_token"])
    else:
        file = credentials.get("service_account")
        tokens = google_tokens(_GOOGLE_SCOPE, where, needed_by="gs:// URLs", file=file)
    tls = ssl.create_default_context(cafile=given["ca"]) if "ca" in given else None
    return GcsBackend(
        bucket, prefix, where, tokens=tokens, endpoint=endpoint, tls=tls, timeout=_timeout(given)
    )


def _no_token() -> None:
    return None


def _fixed(token: str) -> Callable[[], str]:
    return lambda: token


def _open_azure(
    container: str, prefix: str, where: str, given: dict[str, str], credentials: dict[str, str]
) -> Backend:
    config: dict[str, Any] = dict(credentials)
    if "account" in given:
        config["account_name"] = given["account"]
    if given.get("endpoint"):
        config["endpoint"] = given["endpoint"]
    if _flag(given, "anonymous"):
        config["skip_signature"] = True
    store = AzureStore(container, prefix=prefix or None, **config, **_bounds(given))
    return CloudBackend(store, where)


def _open_memory(
    name: str, prefix: str, where: str, given: dict[str, str], credentials: dict[str, str]
) -> Backend:
    store = _memories.setdefault(name, MemoryStore()) if name else MemoryStore()
    return CloudBackend(store, where, folder=prefix)


_OPENERS = {"s3": _open_s3, "gs": _open_gcs, "az": _open_azure, "memory": _open_memory}


def _flag(given: Mapping[str, str], name: str) -> bool:
    value = given.get(name, "false")
    if value not in ("true", "false"):
        raise ValueError(f"the option {name} is true or false, not {value!r}")
    return value == "true"


def _timeout(given: Mapping[str, str]) -> float:
    value = given.get("timeout", str(_ANSWER_TIMEOUT))
    if not re.fullmatch(r"\d{1,4}(\.\d{1,3})?", value) or not float(value):
        raise ValueError(f"the option timeout is a number of seconds, not {value!r}")
    return float(value)


def _bounds(given: Mapping[str, str]) -> dict[str, Any]:
    client: dict[str, Any] = {
        "connect_timeout": _CONNECT_TIMEOUT,
        "timeout": timedelta(seconds=_timeout(given)),
        "allow_http": given.get("endpoint", "").startswith("http:"),
    }
    if "ca" in given:
        client["root_certificate"] = Path(given["ca"]).read_bytes()
    return {"client_options": client, "retry_config": _RETRY}
