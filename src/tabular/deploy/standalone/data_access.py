"""The data of a deployment on this machine, for whoever copies it: its settings and its secret.

A backup reads the database and the store directly, which on this machine are files of ours and a
server on the loopback; a restore brings the secret key along with which its API keys are right.
"""

from __future__ import annotations

import os
import signal
import time

from tabular.deploy.files import write_bytes
from tabular.deploy.standalone import vault
from tabular.deploy.standalone.container_steps import is_container
from tabular.deploy.standalone.identity import is_alive
from tabular.deploy.standalone.launch import environment
from tabular.deploy.standalone.layout import Layout
from tabular.deploy.standalone.model import Release, State
from tabular.errors import UnsupportedError, WaitTimeoutError
from tabular.infra.config import Settings, load_settings

_READERS = ("api", "worker")  # resources whose processes read the secret when they start
_PAUSE = 0.1  # seconds between two looks


def service_settings(layout: Layout, release: Release, record: State) -> Settings:
    """The settings of the platform as its own processes get them.

    Raises:
        UnsupportedError: it runs in containers, whose addresses hold within them alone.
    """
    if is_container(release):
        raise UnsupportedError(
            "a deployment in containers is backed up from within",
            hint="run `python -m tabular.transfer create --to URL` in its api container",
        )
    api = release.resource("api")
    variables = environment(layout, release, record, api, release.port)
    return load_settings({n: v for n, v in variables.items() if n.startswith("TABULAR_")})


def adopt_secret_key(
    layout: Layout, release: Release, record: State, secret: str, *, timeout: float
) -> None:
    """Give the platform another secret key, and have its processes start with it.

    Args:
        layout: paths.
        release: that serves.
        record: what runs.
        secret: the new one.
        timeout: seconds that the present processes may take to end.

    Raises:
        WaitTimeoutError: one of them still runs.
    """
    file = vault.secret_path(layout, release.resource("secret-key"), release.id)
    if vault.read(file) != secret:
        write_bytes(file, secret.encode() + b"\n")
    # Also where the file has it already: who wrote it may have been killed before this.
    old = [slot for slot in record.slots.values() if slot.resource in _READERS and not slot.task]
    for slot in old:
        if slot.pid is not None and is_alive(slot.pid, slot.born):
            os.kill(slot.pid, signal.SIGTERM)  # its supervisor starts it again
    deadline = time.monotonic() + timeout
    while left := [slot.component for slot in old if is_alive(slot.pid, slot.born)]:
        if time.monotonic() > deadline:
            raise WaitTimeoutError(
                f"{', '.join(left)} did not end within {timeout:.0f} s, and still knows the "
                "secret key of before",
                hint="`inferloop-tabular logs` shows why; run the same restore again",
            )
        time.sleep(_PAUSE)
