"""The suite over every provider, and the proof that each check can fail."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.broken import BROKEN, Broken
from tests.conformance.folder import FolderHarness
from tests.conformance.harness import Harness
from tests.conformance.suite import (
    CHECKS,
    Check,
    ContractViolation,
    destroy_removes_all_and_only_its_own,
    failed_update_keeps_the_old_release,
    killed_client_reattaches,
    rollback_restores_the_release_before,
    same_spec_same_bytes,
)
from tests.deploy.aws.harness import AwsHarness
from tests.deploy.onprem.harness import OnPremHarness
from tests.deploy.standalone.harness import StandaloneHarness
from tests.testbed.helm import helm_program
from tests.testbed.kube.cluster import Kube


def _aws(root: Path, request: pytest.FixtureRequest) -> Harness:
    asked = ("ministack", "aws_account")
    return AwsHarness(root, *(request.getfixturevalue(name) for name in asked))


def _onprem(method: str) -> Callable[[Path, pytest.FixtureRequest], Harness]:
    return lambda root, request: OnPremHarness(root, request.getfixturevalue("kube"), method)


HARNESSES: dict[str, Callable[[Path, pytest.FixtureRequest], Harness]] = {
    "folder": lambda root, _: FolderHarness(root),
    "standalone": lambda root, _: StandaloneHarness(root),
    "aws": _aws,
    "onprem-helm": _onprem("helm"),
    "onprem-manifests": _onprem("manifests"),
}
# They need the control plane, which has a tier of its own.
PROVIDERS = [
    pytest.param(name, marks=pytest.mark.k8s) if name.startswith("onprem") else name
    for name in HARNESSES
]
# They start processes; that only their own providers break them is seen in a few.
SLOW = (same_spec_same_bytes, killed_client_reattaches)
# What a program does in the place of Helm in process: it installs, upgrades, rolls back, uninstalls
# and is killed. The rest of the contract is kept by what does not know which of them it has.
BY_HELM = (
    killed_client_reattaches,
    failed_update_keeps_the_old_release,
    rollback_restores_the_release_before,
    destroy_removes_all_and_only_its_own,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_provider_conforms(
    provider: str, check: Check, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    harness = HARNESSES[provider](tmp_path, request)
    try:
        check(harness)
    finally:
        harness.close()


@pytest.mark.k8s
@pytest.mark.parametrize("check", BY_HELM, ids=lambda check: check.__name__)
def test_helm_as_a_program_conforms_as_well(
    check: Check, tmp_path: Path, kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFERLOOP_TABULAR_HELM", str(helm_program()))
    harness = OnPremHarness(tmp_path, kube, "helm")
    try:
        check(harness)
    finally:
        harness.close()


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_a_provider_that_breaks_a_rule_is_caught_by_its_check(
    broken: Broken, tmp_path: Path
) -> None:
    with pytest.raises(ContractViolation, match=re.escape(broken.says)) as caught:
        broken.rule(broken.make(tmp_path))
    assert caught.value.rule == broken.rule.__name__


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_and_by_no_other(broken: Broken, tmp_path: Path) -> None:
    others = [check for check in CHECKS if check not in (broken.rule, *SLOW)]
    caught = []
    for check in others:
        try:
            check(broken.make(tmp_path / check.__name__))
        except ContractViolation:
            caught.append(check.__name__)
    assert caught == [check.__name__ for check in others if check in broken.also]


def test_every_rule_has_its_broken_provider() -> None:
    assert {broken.rule for broken in BROKEN} == set(CHECKS)
