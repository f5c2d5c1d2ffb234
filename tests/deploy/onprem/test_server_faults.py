"""A server at its worst, behind a proxy: busy, failing, cut off, or its answer lost.

Whatever happens to a question, the command either comes to its end or says that it can be given
again, and given again it comes to its end: nothing is lost, nothing is there twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tabular.deploy.onprem.engine import ClusterEngine
from tabular.deploy.provider import State
from tabular.errors import BusyError, UnavailableError
from tests.deploy.onprem.place import NAME, Place
from tests.testbed.faults import Fault, FaultProxy, faults_before
from tests.testbed.kube.cluster import Kube
from tests.testbed.kube.kubeconfig import write_kubeconfig
from tests.testbed.kube.pki import Authority, make_authority

pytestmark = pytest.mark.k8s

CHANGED = {"compute": {"workers": 2}}
TRIES = 4
THROTTLED = {"status": 429, "headers": {"Retry-After": "1", "Content-Type": "text/plain"}}
WRITES = "POST|PUT|PATCH|DELETE"
FAULTS: Mapping[str, Callable[[], Fault]] = {
    "throttled": lambda: Fault("refuse", times=4, after=12, **THROTTLED),
    "writes refused": lambda: Fault("refuse", WRITES, times=3, after=2),
    "carried out, and told as failed": lambda: Fault("lose", WRITES, times=3, after=1, status=500),
    "carried out, and cut off": lambda: Fault("reset-after", WRITES, times=3, after=1),
    "cut off": lambda: Fault("reset", times=3, after=9),
    "half an answer": lambda: Fault("cut-down", times=3, after=9, least=2),
    "half a question": lambda: Fault("cut-up", WRITES, times=3, after=1, least=2),
}
# What is tried in the usual run, each by one of the methods.
WORST = ("carried out, and cut off", "half an answer")
TRIED = [
    fault if fault in WORST else pytest.param(fault, marks=pytest.mark.exhaustive)
    for fault in FAULTS
]


@pytest.fixture
def proxy(kube: Kube, tmp_path: Path) -> Iterator[FaultProxy]:
    certificate = make_authority(tmp_path).server("proxy")
    with faults_before(kube.server, certificate) as between:
        yield between


@pytest.fixture
def behind(kube: Kube, proxy: FaultProxy, tmp_path: Path) -> Path:
    """A kubeconfig that leads through the proxy, which passes tokens on but no certificates."""
    user = {"token": kube.plane.token}
    return write_kubeconfig(
        tmp_path / "behind.kubeconfig", proxy.endpoint, Authority(tmp_path), user
    )


@pytest.mark.parametrize("fault", TRIED)
def test_a_whole_life(place: Place, proxy: FaultProxy, behind: Path, fault: str) -> None:
    def engine() -> ClusterEngine:
        return place.engine(kubeconfig=behind)

    def deploy(**spec: object) -> None:
        stack = place.stack(**spec)
        list(engine().apply(engine().preview(stack)))

    def roll_back() -> None:
        list(engine().rollback(engine().preview_rollback(place.target)))

    def destroy() -> None:
        list(engine().destroy(place.target, delete_data=True))

    def insist(command: Callable[[], None]) -> None:
        broken = FAULTS[fault]()
        proxy.fault = broken
        for _ in range(TRIES):
            try:
                command()
                break
            except (UnavailableError, BusyError) as error:
                assert "again" in str(error.hint), error
        else:
            raise AssertionError(f"no end after {TRIES} tries")
        proxy.fault = None
        assert broken.fired, "the fault never came"

    insist(deploy)
    first, secret = place.release(), place.secret()
    insist(lambda: deploy(**CHANGED))
    assert place.release() != first
    assert place.plan(**CHANGED).is_empty
    insist(roll_back)
    assert place.release() == first
    assert place.secret() == secret
    assert place.engine().status(place.target).state is State.READY
    insist(destroy)
    assert place.claims() == set()
    assert not place.pods()
    assert place.get("secrets", f"{NAME}-secrets") is None
