"""Each rule on a spec or template that breaks it, on one that keeps it, and with a waiver."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tabular.deploy.policy import RULES, Severity, check, require_allowed
from tabular.deploy.policy.finding import Finding
from tabular.deploy.spec import Deployment
from tabular.deploy.stack import Opening, Resource, Stack
from tabular.deploy.target import Target
from tabular.errors import PolicyError

TODAY = date(2026, 6, 1)
SAFE_PRODUCTION = {
    "environment": "production",
    "backup": {"enabled": True},
    "database": {"ha": True},
    "monitoring": {"enabled": True},
}


def find(
    spec: dict[str, Any], properties: dict[str, Any] | None = None, region: str | None = None
) -> tuple[Finding, ...]:
    deployment = Deployment.from_canonical({"metadata": {"name": "x"}, "spec": spec})
    resource = Resource("api", "Service", properties or {})
    template = {"api": dict(resource.properties)}
    target = Target("test", "x", deployment.spec.environment, region)
    stack = Stack(target, template, (resource,), spec={})
    return check(deployment, stack, today=TODAY)


def rules(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.rule for finding in findings}


def test_a_safe_production_spec_has_no_finding() -> None:
    assert find(SAFE_PRODUCTION, {"host": "127.0.0.1", "port": 8000}) == ()


URL_OF_IT = {"url": "postgresql://app:hunter%2F22%2Fhunter@db/app"}
BASE64_OF_IT = {"data": {"password": "aHVudGVyMjJodW50ZXI="}}

BREAKS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("plaintext-secret", {"database": {"password": "hunter22hunter"}}, {}),
    ("default-password", {"database": {"password": "changeme"}}, {}),
    ("secret-in-template", {"database": {"password": "hunter22hunter"}}, {"x": "hunter22hunter"}),
    ("secret-in-template", {"database": {"password": "hunter/22/hunter"}}, URL_OF_IT),
    ("secret-in-template", {"database": {"password": "hunter22hunter"}}, BASE64_OF_IT),
    ("open-ingress", {}, {"ingress": [{"cidr": "0.0.0.0/0", "port": 22}]}),
    ("open-ingress", {}, {"ingress": [{"cidr": "0.0.0.0/0", "fromPort": 22, "toPort": 443}]}),
    ("open-ingress", {}, {"ingress": [{"cidr": "0.0.0.0/0", "timeout": 443}]}),
    ("open-ingress", {}, {"ingress": [{"cidr": "::/0", "port": 5432}]}),
    ("open-ingress", {}, {"ingress": [{"cidrs": ["10.0.0.0/8", "0.0.0.0/0"], "port": 80}]}),
    ("open-ingress", {}, {"ingress": [{"cidrs": ["0.0.0.0/1", "128.0.0.0/1"], "port": 80}]}),
    ("open-ingress", {}, {"sourceRanges": ["::/0"], "allowed": [{"ports": ["443", "22"]}]}),
    ("open-ingress", {}, {"sourceRanges": ["0.0.0.0/0"], "allowed": [{"IPProtocol": "all"}]}),
    ("open-ingress", {}, {"sourceAddressPrefix": "*", "destinationPortRange": "22"}),
    ("open-ingress", {}, {"sourceAddressPrefix": "Internet", "destinationPortRange": "*"}),
    ("open-ingress", {}, {"sourceAddressPrefixes": ["*"], "destinationPortRanges": ["443", "80"]}),
    ("open-ingress", {}, {"ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}),
    (
        "open-ingress",
        {},
        # A rule without ports is open at all of them, whatever its neighbour says.
        {"ingress": [{"cidr": "10.0.0.0/8", "port": 443}, {"cidr": "0.0.0.0/0"}]},
    ),
    ("public-without-tls", {}, {"host": "0.0.0.0"}),
    ("privileged-container", {}, {"securityContext": {"privileged": True}}),
    ("privileged-container", {}, {"securityContext": {"runAsUser": 0}}),
    ("privileged-container", {}, {"user": "0:0"}),
    ("mutable-image", {"image": {"tag": "latest"}}, {}),
    ("production-backup", {"environment": "production"}, {}),
    ("production-backup", {**SAFE_PRODUCTION, "database": {"backup_retention": "1d"}}, {}),
    ("production-ha", {"environment": "production"}, {}),
    ("production-monitoring", {"environment": "production", "monitoring": {"enabled": False}}, {}),
    ("region-not-allowed", {"policy": {"allowed_regions": ["eu-west-1"]}}, {}),
]


@pytest.mark.parametrize(("rule", "spec", "properties"), BREAKS, ids=lambda value: str(value)[:40])
def test_what_breaks_a_rule_is_found(
    rule: str, spec: dict[str, Any], properties: dict[str, Any]
) -> None:
    found = [finding for finding in find(spec, properties) if finding.rule == rule]
    assert found
    assert all(finding.hint and finding.where for finding in found)


def test_every_rule_is_broken_above() -> None:
    assert {rule for rule, _, _ in BREAKS} == set(RULES)


def test_no_finding_shows_the_secret() -> None:
    found = find({"database": {"password": "hunter22hunter"}}, {"x": "hunter22hunter"})
    assert found
    assert "hunter22hunter" not in str(found)


@pytest.mark.parametrize(
    ("spec", "properties"),
    [
        ({}, {"ingress": [{"cidr": "0.0.0.0/0", "port": 443}]}),
        ({}, {"ingress": [{"cidr": "0.0.0.0/0", "fromPort": 443, "toPort": 443, "prio": 9}]}),
        ({}, {"ingress": [{"cidr": "::/0", "ports": ["443"], "sourcePortRange": "*"}]}),
        ({}, {"ingress": [{"cidr": "10.0.0.0/8", "port": 22}]}),
        ({}, {"egress": [{"cidr": "0.0.0.0/0", "port": 22}]}),
        ({}, {"SecurityGroupEgress": [{"CidrIp": "0.0.0.0/0", "IpProtocol": "-1"}]}),
        ({}, {"direction": "EGRESS", "destinationRanges": ["0.0.0.0/0"]}),
        ({}, {"direction": "Outbound", "sourceAddressPrefix": "*"}),
        ({}, {"access": "Deny", "sourceAddressPrefix": "*", "destinationPortRange": "*"}),
        ({}, {"routes": [{"DestinationCidrBlock": "0.0.0.0/0"}]}),
        ({}, {"sourceRanges": ["0.0.0.0/0"], "allowed": [{"ports": ["443"]}]}),
        ({}, {"access": "Allow", "sourceAddressPrefix": "*", "destinationPortRange": "443"}),
        (
            {},
            {"ingress": [{"from": [{"ipBlock": {"cidr": "::/0"}}], "ports": [{"port": 443}]}]},
        ),
        ({}, {"sourceRanges": ["0.0.0.0/1"], "allowed": [{"ports": ["22"]}]}),
        ({}, {"logPrefix": "*", "IpProtocol": "any"}),
        ({}, {"host": "0.0.0.0", "tls": True}),
        ({}, {"securityContext": {"runAsUser": 1000, "privileged": False}}),
        ({"image": {"tag": "1.0.0"}}, {}),
        ({"database": {"password": {"secretRef": "env:DB_PASSWORD"}}}, {}),
    ],
)
def test_what_keeps_the_rules_is_let_through(
    spec: dict[str, Any], properties: dict[str, Any]
) -> None:
    assert find(spec, properties) == ()


def _opened(peers: tuple[str, ...], ports: tuple[str, ...]) -> set[str]:
    deployment = Deployment.from_canonical({"metadata": {"name": "x"}, "spec": {}})
    stack = Stack(
        Target("test", "x", "development"),
        {},
        (Resource("gate", "Firewall", {}),),
        spec={},
        openings=(Opening("gate", peers, ports),),
    )
    return {f"{finding.rule} at {finding.where}" for finding in check(deployment, stack)}


def test_what_a_compiler_says_is_let_in_is_judged_whatever_the_properties_look_like() -> None:
    assert _opened(("0.0.0.0/0",), ("22",)) == {"open-ingress at gate"}
    assert _opened(("::/0",), ()) == {"open-ingress at gate"}
    assert _opened(("*",), ("443", "8443")) == {"open-ingress at gate"}
    assert _opened(("10.0.0.0/8", "*"), ("1-65535",)) == {"open-ingress at gate"}
    assert _opened(("*",), ("443",)) == set()
    assert _opened(("10.0.0.0/8", "sg-0123"), ("22",)) == set()


def test_a_route_to_the_world_lets_nobody_in() -> None:
    deployment = Deployment.from_canonical({"metadata": {"name": "x"}, "spec": {}})
    route = Resource("out", "AWS::EC2::Route", {"CidrBlock": "0.0.0.0/0"})
    stack = Stack(Target("test", "x", "development"), {}, (route,), spec={})
    assert check(deployment, stack) == ()


def test_region_that_is_allowed_passes() -> None:
    spec = {"policy": {"allowed_regions": ["eu-west-1"]}}
    assert find(spec, region="eu-west-1") == ()


def test_a_default_password_blocks_outside_development() -> None:
    spec = {"environment": "staging", "database": {"password": "changeme"}}
    with pytest.raises(PolicyError, match="default-password"):
        require_allowed(find(spec))
    require_allowed(find({"database": {"password": "changeme"}}))


OPEN = {"ingress": [{"cidr": "0.0.0.0/0", "port": 22}]}


def _waived(**waiver: Any) -> dict[str, Any]:
    reason = {"reason": "a jump host of the network team"}
    return {"policy": {"waivers": [{"rule": "open-ingress", **reason, **waiver}]}}


def test_an_open_finding_blocks_and_a_waived_one_does_not() -> None:
    with pytest.raises(PolicyError, match=r"open-ingress at api\.ingress"):
        require_allowed(find({}, OPEN))
    (found,) = find(_waived(), OPEN)
    assert found.waiver == "a jump host of the network team"
    require_allowed([found])


def test_a_waiver_that_ran_out_does_not_count() -> None:
    found = find(_waived(expires="2026-05-31"), OPEN)
    assert rules(found) == {"open-ingress", "expired-waiver"}
    with pytest.raises(PolicyError):
        require_allowed(found)
    require_allowed(find(_waived(expires="2026-06-01"), OPEN))


def test_a_waiver_that_names_no_rule_blocks() -> None:
    (found,) = find(_waived(rule="open-ingres"))
    assert found.blocks
    assert "open-ingress" in found.hint


def test_a_waiver_that_waives_nothing_is_said() -> None:
    (found,) = find(_waived())
    assert (found.rule, found.severity) == ("unused-waiver", Severity.WARNING)


def test_a_secret_in_a_template_cannot_be_waived() -> None:
    spec = {**_waived(rule="secret-in-template"), "database": {"password": "hunter22hunter"}}
    with pytest.raises(PolicyError, match="secret-in-template"):
        require_allowed(find(spec, {"x": "hunter22hunter"}))
