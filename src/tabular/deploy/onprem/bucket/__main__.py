"""``python -m tabular.deploy.onprem.bucket``: as init containers of API and workers run it.

The API's makes bucket and user, or finds them there. A worker's has the user's keys only and
waits (``--wait``): a job that is taken before the user exists would fail.
"""

from __future__ import annotations

import os
import sys

from tabular.errors import ConfigError, TabularError

from .store import Keys, ensure, wait

_WAIT = ["--wait"]


def main(arguments: list[str]) -> int:
    """0 if the service's user can work in the bucket of TABULAR_STORAGE_URL."""
    try:
        url, own = _said("TABULAR_STORAGE_URL"), _keys("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        if arguments == _WAIT:
            wait(url, own)
        else:
            ensure(url, own, _keys("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"))
    except TabularError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _keys(user: str, password: str) -> Keys:
    return Keys(_said(user), _said(password))


def _said(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigError("it is not set", where=name, hint="the chart's init container sets it")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
