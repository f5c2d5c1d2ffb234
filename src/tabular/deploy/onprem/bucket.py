"""``python -m tabular.deploy.onprem.bucket``: the bucket of the deployment's own store is there.

A MinIO that was just made has none, and the service makes none: a name that is misspelt would
otherwise be a new and empty store. An init container of the API runs this, so it waits for the
store, and finds the bucket there every time but the first.
"""

from __future__ import annotations

import os
import ssl
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import obstore
from obstore.store import S3Store

from tabular.errors import ConfigError, TabularError, UnavailableError
from tabular.infra.urls import options, split

_PATIENCE = 240.0
_OPTIONS = ("ca", "endpoint", "region")
_HERE = (httpx.codes.OK, httpx.codes.CONFLICT)  # 409: it was there, and it is ours


def make_bucket(
    url: str, *, credentials: Mapping[str, str] | None = None, patience: float = _PATIENCE
) -> None:
    """Make the bucket of a storage URL, or find it there.

    Args:
        url: ``s3://bucket/prefix?endpoint=…``.
        credentials: as `tabular.infra.storage.open_store` takes them; the environment's if None.
        patience: seconds to wait for a store that does not answer.

    Raises:
        ConfigError: no such URL, or the store refuses.
        UnavailableError: the store did not answer in time.
    """
    parts = split(url, ("s3",), what="storage")
    given = options(parts, _OPTIONS, what="storage")
    config: dict[str, Any] = {**(credentials or {}), "region": given.get("region", "us-east-1")}
    if "endpoint" in given:
        config["endpoint"] = given["endpoint"]
    store = S3Store(
        parts.netloc,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
        **config,
    )
    verify = ssl.create_default_context(cafile=given.get("ca"))
    where = f"s3://{parts.netloc}"
    deadline = time.monotonic() + patience
    with httpx.Client(verify=verify, timeout=10) as client:
        while True:
            state = _ask(client, store, where)
            if state is None:
                return
            if time.monotonic() > deadline:
                raise UnavailableError(f"the store does not answer: {state}", where=where)
            time.sleep(1)


def _ask(client: httpx.Client, store: S3Store, where: str) -> str | None:
    """None once the bucket is there, else why it is not yet."""
    signed = obstore.sign(store, "PUT", "", timedelta(minutes=1))
    try:
        answer = client.put(signed)
    except httpx.HTTPError as error:
        return type(error).__name__
    if answer.status_code in _HERE and "BucketAlreadyExists" not in answer.text:
        return None
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        return f"status {answer.status_code}"
    raise ConfigError(
        f"the store refuses the bucket: {answer.status_code} {answer.text[:300]}",
        where=where,
        hint="check storage-access-key and storage-secret-key of the deployment's secret",
    )


def main() -> int:
    """0 if the bucket of TABULAR_STORAGE_URL is there."""
    try:
        make_bucket(os.environ["TABULAR_STORAGE_URL"])
    except TabularError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
