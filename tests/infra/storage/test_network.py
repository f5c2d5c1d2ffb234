"""Every operation on every cloud store across a network that fails, through a proxy of our own.

Each either succeeds with the right bytes or says what is wrong, soon; and whatever happened to an
upload, others see the old object or the new one, never half of one.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tabular.errors import IntegrityError, UnavailableError
from tabular.infra.storage import ObjectStore
from tabular.infra.storage.record import BLOCK
from tests.infra.storage.conftest import Place
from tests.testbed.faults import ALWAYS, Fault, FaultProxy, faults_before
from tests.testbed.tls import make_certificate, tls_in_front_of

pytestmark = pytest.mark.parametrize("place", ["s3", "gcs-go", "azure"], indirect=True)

OLD = random.Random(1).randbytes(2 * BLOCK + 12_345)
NEW = random.Random(2).randbytes(3 * BLOCK + 54_321)
SMALL = b"small" * 50
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
DATA = r"%40[0-9a-f]{16}|@[0-9a-f]{16}"  # in the path of a data blob
LIMIT = 20.0  # seconds for any operation, with answers given up after one


@dataclass
class Network:
    """A store behind a network, and the same without it."""

    proxy: FaultProxy
    store: ObjectStore
    direct: ObjectStore

    @contextlib.contextmanager
    def broken(self, fault: Fault) -> Iterator[Fault]:
        """Break it for the time of the block."""
        self.proxy.fault = fault
        try:
            yield fault
        finally:
            self.proxy.fault = None

    def seen(self) -> dict[str, bytes]:
        """Every object as others see it, verified."""
        return {info.key: b"".join(self.direct.get(info.key)) for info in self.direct.list()}


@pytest.fixture
def network(place: Place) -> Iterator[Network]:
    """A cloud store that has the object ``old``, behind the proxy."""
    endpoint = urlsplit(place.url.partition("endpoint=")[2].partition("&")[0])
    origin = f"http://{endpoint.netloc}"
    with faults_before(origin) as proxy:
        url = place.url.replace(origin, proxy.endpoint) + "&timeout=1"
        direct = place.open()
        direct.put("old", OLD)
        yield Network(proxy, replace(place, url=url).open(), direct)


OPERATIONS: dict[str, Callable[[ObjectStore], object]] = {
    "put a small one": lambda store: store.put("new", SMALL),
    "put a large one": lambda store: store.put("new", NEW),
    "replace": lambda store: store.put("old", NEW),
    "get": lambda store: b"".join(store.get("old")) == OLD,
    "range": lambda store: b"".join(store.get_range("old", 7, BLOCK)) == OLD[7 : BLOCK + 7],
    "head": lambda store: store.head("old").size == len(OLD),
    "list": lambda store: [info.key for info in store.list()] == ["old"],
    "delete": lambda store: store.delete("nothing"),
    "ping": lambda store: store.ping(),
}


def attempt(network: Network, name: str) -> UnavailableError | None:
    """Do it; what it gave must be right, and others see whole objects."""
    began, failure = time.monotonic(), None
    try:
        given = OPERATIONS[name](network.store)
        assert given is not False, "wrong bytes"
    except UnavailableError as error:
        failure = error
    assert time.monotonic() - began < LIMIT
    network.proxy.fault = None
    seen = network.seen()
    new = SMALL if name == "put a small one" else NEW
    assert seen.pop("old") in ((OLD, NEW) if name == "replace" else (OLD,))
    assert seen in ({}, {"new": new})
    if failure is None and name.startswith("put"):
        assert seen == {"new": new}
    return failure


BUSY = [
    Fault("refuse", headers={"Retry-After": "1"}, body=SLOW_DOWN),
    Fault("refuse", status=429, headers={"Retry-After": "0"}),
    Fault("refuse", status=500),
    Fault("lose", status=502),
]


@pytest.mark.parametrize("fault", BUSY, ids=["slow-down", "too-many", "error", "lost-answer"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_server_that_is_busy_once_is_asked_again(
    network: Network, name: str, fault: Fault
) -> None:
    with network.broken(replace(fault)) as fault:
        assert attempt(network, name) is None
    assert fault.fired == 1


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *itertools.product(("reset", "reset-after", "cut-up", "cut-down"), OPERATIONS),
        *itertools.product(("stall",), ("put a large one", "get")),
    ],
)
def test_a_connection_that_breaks_harms_nothing(network: Network, name: str, kind: str) -> None:
    with network.broken(Fault(kind)):
        attempt(network, name)
    with network.broken(Fault(kind, least=BLOCK // 2)):  # within the data
        attempt(network, name)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *itertools.product(("refuse", "reset"), OPERATIONS),
        *itertools.product(("stall",), ("put a small one", "get")),  # some seconds each
    ],
)
def test_a_server_that_stays_away_is_said_in_time(network: Network, name: str, kind: str) -> None:
    with network.broken(Fault(kind, times=ALWAYS)):
        failure = attempt(network, name)
    assert failure is not None
    assert "the store cannot" in str(failure)
    assert failure.hint


def test_downloads_that_break_again_and_again_are_continued(network: Network) -> None:
    fault = Fault("cut-down", method="GET", path=DATA, least=BLOCK // 8, times=3)
    with network.broken(fault):
        assert b"".join(network.store.get("old")) == OLD
    assert fault.fired == 3


def test_a_download_may_last_longer_than_one_answer(network: Network) -> None:
    with network.broken(Fault("slow-down", least=BLOCK, times=ALWAYS, seconds=5)):
        assert b"".join(network.store.get("old")) == OLD


@pytest.mark.slow
def test_a_download_that_drips_is_ended(network: Network) -> None:
    began = time.monotonic()
    with (
        network.broken(Fault("slow-down", path=DATA, times=ALWAYS, seconds=900)),
        pytest.raises(UnavailableError, match="cannot read"),
    ):
        b"".join(network.store.get("old"))
    assert time.monotonic() - began < 2 * LIMIT


@pytest.mark.parametrize("read", ["get", "range", "head"])
@pytest.mark.parametrize("least", [200, BLOCK // 2], ids=["record", "data"])
def test_a_bit_that_changes_on_its_way_to_us_is_found(
    network: Network, read: str, least: int
) -> None:
    with network.broken(Fault("flip-down", method="GET", least=least, times=ALWAYS)) as fault:
        failure = attempt(network, read)
    assert isinstance(failure, IntegrityError) == bool(fault.fired)


@pytest.mark.parametrize("name", ["put a small one", "put a large one", "replace"])
@pytest.mark.parametrize("least", [200, BLOCK // 2], ids=["first", "data"])
def test_a_bit_that_changes_on_its_way_to_the_store_is_found(
    network: Network, place: Place, name: str, least: int
) -> None:
    with network.broken(Fault("flip-up", method="PUT|POST", least=least)) as fault:
        if place.url.startswith("az"):  # which is sent no checksum: found by whoever reads it
            OPERATIONS[name](network.store)
            with pytest.raises(IntegrityError) if fault.fired else contextlib.nullcontext():
                b"".join(network.direct.get("old" if name == "replace" else "new"))
            return
        failure = attempt(network, name)
    assert (failure is not None) == bool(fault.fired)


def test_a_private_authority_is_an_option_of_every_cloud(place: Place, tmp_path: Path) -> None:
    endpoint = urlsplit(place.url.partition("endpoint=")[2].partition("&")[0])
    certificate, key = make_certificate(tmp_path, authority=False)
    with tls_in_front_of(endpoint.port or 0, certificate, key) as port:
        url = place.url.replace(f"http://{endpoint.netloc}", f"https://localhost:{port}")
        trusting = replace(place, url=f"{url}&ca={certificate}").open()
        trusting.put("k", NEW)
        assert b"".join(trusting.get("k")) == NEW
        with pytest.raises(UnavailableError):
            replace(place, url=url).open().ping()


_UPLOAD = """
import sys
from tabular.errors import UnavailableError
from tabular.infra.storage import open_store
def chunks():
    for number in range(200):
        print(number, flush=True)
        yield bytes([number]) * 1_000_000
try:
    open_store(sys.argv[1], credentials=eval(sys.argv[2])).put("old", chunks())
except UnavailableError as error:
    print("unavailable", error.code, flush=True)
"""


def test_a_network_that_ends_within_an_upload_leaves_the_old_object(
    network: Network, place: Place
) -> None:
    url = place.url.replace(
        f"http://{urlsplit(place.url.partition('endpoint=')[2].partition('&')[0]).netloc}",
        network.proxy.endpoint,
    )
    command = [sys.executable, "-c", _UPLOAD, f"{url}&timeout=1", repr(dict(place.credentials))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as upload:
        assert upload.stdout is not None
        for line in upload.stdout:
            if line.strip() == "40":
                network.proxy.fault = Fault("reset", times=ALWAYS)
        assert line.startswith("unavailable")
    network.proxy.fault = None
    assert network.seen() == {"old": OLD}
