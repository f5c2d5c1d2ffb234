"""The way of one deployment, with the example provider and a real HTTP service beside it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy import (
    Action,
    AuditLog,
    Change,
    Gate,
    Orchestrator,
    ProviderOptions,
    State,
    Status,
    Target,
    load_provider,
)
from tabular.deploy.stack import Reduction, Stack
from tabular.errors import (
    BudgetError,
    NotFoundError,
    PolicyError,
    RefusedError,
    StalePlanError,
    UnsupportedError,
    UsageError,
    WaitTimeoutError,
)
from tests.conformance.folder import describe, load_example

example: Any = load_example()


class Reducing(example.FolderProvider):  # type: ignore[misc]
    """Gives one thing only in part."""

    def compile(self, deployment: Any) -> Stack:
        reduced = Reduction("spec.storage.size", "1Ti", "1Gi", "the folder is small")
        return replace(super().compile(deployment), reductions=(reduced,))


@pytest.fixture
def orchestrator(tmp_path: Path) -> Orchestrator:
    provider = example.FolderProvider(ProviderOptions(home=tmp_path / "place"))
    return Orchestrator(provider, AuditLog(tmp_path / "audit.jsonl"))


def outcomes(tmp_path: Path) -> list[tuple[str, str]]:
    return [(r["action"], r["outcome"]) for r in AuditLog(tmp_path / "audit.jsonl").records()]


def test_every_action_is_recorded(orchestrator: Orchestrator, tmp_path: Path) -> None:
    plan = orchestrator.plan(describe("demo"))
    assert outcomes(tmp_path) == []
    list(orchestrator.apply(plan))
    list(orchestrator.destroy(plan.stack.target, delete_data=True))
    assert outcomes(tmp_path) == [
        ("deploy", "started"),
        ("deploy", "done"),
        ("destroy", "started"),
        ("destroy", "done"),
    ]


def test_a_policy_stops_the_apply_before_anything(
    orchestrator: Orchestrator, tmp_path: Path
) -> None:
    plan = orchestrator.plan(describe("demo", policy={"allowed_regions": ["eu-west-1"]}))
    with pytest.raises(PolicyError):
        list(orchestrator.apply(plan))
    assert not list((tmp_path / "place").rglob("*.json"))


def test_a_budget_without_prices_is_refused(orchestrator: Orchestrator) -> None:
    plan = orchestrator.plan(describe("demo"))
    with pytest.raises(BudgetError):
        list(orchestrator.apply(plan, Gate(max_monthly_cost=Decimal(100))))


def test_strict_refuses_what_is_reduced(tmp_path: Path) -> None:
    orchestrator = Orchestrator(
        Reducing(ProviderOptions(home=tmp_path)), AuditLog(tmp_path / "audit.jsonl")
    )
    plan = orchestrator.plan(describe("demo"))
    with pytest.raises(UnsupportedError, match="asked 1Ti, given 1Gi"):
        list(orchestrator.apply(plan, Gate(strict=True)))
    list(orchestrator.apply(plan))


def test_a_rollback_is_planned_gated_and_recorded(
    orchestrator: Orchestrator, tmp_path: Path
) -> None:
    for tag in ("1.0.0", "2.0.0"):
        list(orchestrator.apply(orchestrator.plan(describe("demo", image={"tag": tag}))))
    target = orchestrator.find(None, None).target
    plan = orchestrator.plan_rollback(target)
    (change,) = (c for c in plan.changes if c.resource == "api")
    assert [(p.path, p.before, p.after) for p in change.properties] == [
        ("version", "2.0.0", "1.0.0")
    ]
    lost = Change(Action.REPLACE, "data", "Folder::Data", stateful=True)
    losing = replace(plan, changes=(lost,))
    with pytest.raises(RefusedError, match="moves no data: what is in data now"):
        list(orchestrator.rollback(losing))
    assert outcomes(tmp_path)[-1] == ("deploy", "done"), "refused before it began"
    list(orchestrator.rollback(losing, Gate(allow_data_loss=True)))
    assert outcomes(tmp_path)[-2:] == [("rollback", "started"), ("rollback", "done")]
    with pytest.raises(StalePlanError):
        list(orchestrator.rollback(plan))


def test_a_spec_that_this_release_cannot_read_does_not_hold_up_a_rollback(
    orchestrator: Orchestrator,
) -> None:
    for tag in ("1.0.0", "2.0.0"):
        list(orchestrator.apply(orchestrator.plan(describe("demo", image={"tag": tag}))))
    target = orchestrator.find(None, None).target
    engine: Any = orchestrator.provider.engine
    records = engine.records
    release = records.read(target, "release")
    release["previous"]["spec"] = {"metadata": {"name": "demo"}, "spec": {"of-tomorrow": 1}}
    records.write(target, "release", release)
    plan = orchestrator.plan_rollback(target)
    assert [finding.rule for finding in plan.findings] == ["unread-spec"]
    list(orchestrator.rollback(plan))


def test_finding_a_deployment_by_its_words(orchestrator: Orchestrator) -> None:
    with pytest.raises(NotFoundError):
        orchestrator.find(None, None)
    for name in ("one", "two"):
        list(orchestrator.apply(orchestrator.plan(describe(name))))
    assert orchestrator.find("two", None).target.name == "two"
    with pytest.raises(UsageError, match="folder/development/one, folder/development/two"):
        orchestrator.find(None, None)
    with pytest.raises(NotFoundError, match="three"):
        orchestrator.find("three", None)
    target = orchestrator.find("one", None).target
    list(orchestrator.destroy(target))
    assert orchestrator.find(None, None).target.name == "two"
    assert orchestrator.find("one", None).state == "retained"


def test_an_unknown_provider_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        load_provider("standalon")
    assert caught.value.hint is not None
    assert "did you mean 'standalone'?" in caught.value.hint


class _Service(BaseHTTPRequestHandler):
    answers: list[int]

    def do_GET(self) -> None:
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.send_response(status if self.path == "/ready" else 404)
        self.end_headers()
        self.wfile.write(b'{"status": "migrating"}')

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def service() -> Iterator[tuple[str, type[_Service]]]:
    handler = type("Handler", (_Service,), {"answers": [200]})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    server.server_close()


class _Publishing(example.FolderEngine):  # type: ignore[misc]
    """Says where its service is, and in which state."""

    url: str
    state = State.READY

    def status(self, target: Target) -> Status:
        return replace(super().status(target), outputs={"url": self.url}, state=self.state)


def _published(orchestrator: Orchestrator, url: str) -> Target:
    """A deployment whose engine names the service's address."""
    provider: Any = orchestrator.provider
    list(orchestrator.apply(orchestrator.plan(describe("demo"))))
    provider.engine = _Publishing(provider.engine.root)
    provider.engine.url = url
    return orchestrator.find("demo", None).target


def test_readiness_is_asked_of_the_service_until_it_is(
    orchestrator: Orchestrator, service: tuple[str, type[_Service]]
) -> None:
    url, handler = service
    handler.answers = [503, 503, 200]
    orchestrator.verify(_published(orchestrator, url), timeout=10)
    assert handler.answers == [200]


def test_a_service_that_never_gets_ready_is_an_error_with_its_words(
    orchestrator: Orchestrator, service: tuple[str, type[_Service]]
) -> None:
    url, handler = service
    handler.answers = [503]
    with pytest.raises(WaitTimeoutError, match=r"503.*migrating"):
        orchestrator.verify(_published(orchestrator, url), timeout=1)


def test_another_service_at_the_address_does_not_make_a_degraded_deployment_ready(
    orchestrator: Orchestrator, service: tuple[str, type[_Service]]
) -> None:
    url, _ = service
    target = _published(orchestrator, url)
    engine: Any = orchestrator.provider.engine
    engine.state = State.DEGRADED
    with pytest.raises(WaitTimeoutError, match="degraded"):
        orchestrator.verify(target, timeout=1)


def test_an_update_that_loses_data_needs_a_word_of_its_own(orchestrator: Orchestrator) -> None:
    plan = orchestrator.plan(describe("demo"))
    lost = Change(Action.REPLACE, "data", "Folder::Data", stateful=True)
    with pytest.raises(RefusedError, match="data") as caught:
        list(orchestrator.apply(replace(plan, changes=(lost,))))
    assert caught.value.code == "refused.data-loss"
    Gate(allow_data_loss=True).require(replace(plan, changes=(lost,)))


def test_the_time_that_answers_take_counts(
    orchestrator: Orchestrator, service: tuple[str, type[_Service]], tmp_path: Path
) -> None:
    url, handler = service
    handler.answers = [503]
    target = _published(orchestrator, url)
    naps: list[float] = []
    seconds = itertools.count(0, 25)
    slow = Orchestrator(
        orchestrator.provider,
        AuditLog(tmp_path / "audit.jsonl"),
        sleep=naps.append,
        clock=lambda: next(seconds),
    )
    with pytest.raises(WaitTimeoutError):
        slow.verify(target, timeout=60)
    assert len(naps) == 2
