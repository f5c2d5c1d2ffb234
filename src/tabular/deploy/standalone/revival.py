"""Bringing back what a reboot or a kill ended, and saying that it had been down.

A deployment has no entry in the system's list of services, so after a reboot the next command
that looks at it starts it again. Whoever typed that command must learn that it was down.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import psutil

from tabular.deploy.provider import State, Status
from tabular.deploy.standalone import identity, journal
from tabular.deploy.standalone.layout import Layout
from tabular.deploy.standalone.model import State as Record

LONGEST_WAIT = 20.0
_INTERVAL = 0.1


def outage(layout: Layout, record: Record) -> str:
    """What to tell of a deployment that nobody looks after; "" where somebody does.

    Args:
        layout: paths.
        record: as it was left.
    """
    if journal.is_locked(layout.supervisor_lock):
        return ""
    slots = [slot for slot in record.slots.values() if slot.pid is not None]
    lost = [slot for slot in slots if not identity.is_alive(slot.pid, slot.born)]
    if not lost:
        return "its supervisor had ended and was started again; its processes had gone on"
    boots = {slot.born.partition(":")[0] for slot in lost if ":" in slot.born}
    if boots and identity.boot() not in boots:
        since = f"the machine was started at {_moment(psutil.boot_time())}"
    else:
        since = f"its last sign of life is of {_moment(_last_sign(layout))}"
    return f"was down, {len(lost)} of {len(slots)} processes gone: {since}; started again"


def _last_sign(layout: Layout) -> float:
    """When anything of it last wrote something."""
    files = [layout.state_file, *(layout.state / "logs").glob("*.log")]
    return max(file.stat().st_mtime for file in files)


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def wait(look: Callable[[], Status], is_failing: Callable[[], bool]) -> Status:
    """Look until it is ready again, fails for good, or takes too long.

    Args:
        look: the present status.
        is_failing: whether a process dies in a row or cannot be started.
    """
    deadline = time.monotonic() + LONGEST_WAIT
    while True:
        found = look()
        if found.state is State.READY or time.monotonic() >= deadline or is_failing():
            return found
        time.sleep(_INTERVAL)
