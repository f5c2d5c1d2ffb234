"""Every address of a machine, of either kind, in networks of the test's own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.testbed import parts

# Says by which addresses the API and a worker's metrics are reached, and as whom clients are seen.
PROGRAM = """
import http.client, json, socket, sys, threading
from pathlib import Path
from tabular.api.serve import listen
from tabular.infra.config import load_settings
from tabular.infra.listening import addresses
from tabular.infra.monitoring import Metrics
from tabular.worker.exposed import Exposed, Pulse
from tests.platform import environment

found = {}
listeners = [listen(one, 8000) for one in addresses("*")]
for one in listeners:
    one.setblocking(True)
settings = environment(Path("/tmp"), TABULAR_HOST="*", TABULAR_METRICS_PORT="9464")
exposed = Exposed(load_settings(settings), Metrics(provider="p", region="r"), Pulse())
for client in ("127.0.0.1", "::1"):
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    try:
        with socket.create_connection((client, 8000), timeout=5):
            (taken,) = [one for one in listeners if one.family == family]
            found[client] = [taken.accept()[1][0]]
        asked = http.client.HTTPConnection(client, 9464, timeout=5)
        asked.request("GET", "/health")
        found[client].append(asked.getresponse().status)
    except OSError as error:
        found[client] = type(error).__name__
exposed.close()
print(json.dumps(found))
"""
OFF = "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6"


def _reached(before: str) -> dict[str, object]:
    """Run the program in a network that has a loopback alone, after a command in it."""
    unshare = parts.binary("unshare", package="util-linux")
    ip = parts.debian("ip", package="iproute2")
    script = f"{before}\n{ip} link set lo up\nexec {sys.executable} -c '{PROGRAM}'"
    done = subprocess.run(
        [unshare, "-rn", "sh", "-ec", script],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if "unshare failed" in done.stderr:
        parts.missing(f"networks of one's own: {done.stderr}")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_every_address_is_of_both_kinds_and_clients_are_seen_by_their_own() -> None:
    assert _reached(":") == {"127.0.0.1": ["127.0.0.1", 200], "::1": ["::1", 200]}


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_where_ipv6_is_turned_off_there_is_ipv4() -> None:
    found = _reached(OFF)
    assert found["127.0.0.1"] == ["127.0.0.1", 200]
    assert isinstance(found["::1"], str)
