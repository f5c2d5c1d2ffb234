"""A wrong file is answered with its line, its key, what was expected and the nearest right one."""

from __future__ import annotations

import pytest

from tests.deploy.spec.files import PORTABLE, problems


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("instences: 3", "5:5 spec.compute.instences: unknown key (did you mean 'instances'?)"),
        ("zzz: 3", "5:5 spec.compute.zzz: unknown key (known here: "),
        (
            "instances: three",
            "5:16 spec.compute.instances: expected a whole number, got text 'three'",
        ),
        ("instances: 3.5", "5:16 spec.compute.instances: expected a whole number, got 3.5"),
        ("instances: true", "5:16 spec.compute.instances: expected a whole number, got true"),
        ("instances: -1", "5:16 spec.compute.instances: must be at least 0"),
        ("instances:", "5:5 spec.compute.instances: expected a whole number, got nothing"),
        ("memory: 16", "5:13 spec.compute.memory: a size needs a unit: write 16Gi or 16Mi"),
        ("memory: 16GB", "5:13 spec.compute.memory: 'GB' is no unit of size: write 16Gi (or 16G)"),
        ("cpu: 4096", "5:10 spec.compute.cpu: 4096 cores are more than any machine has"),
        ("gpu: maybe", "5:10 spec.compute.gpu: expected one of none, optional, required, got"),
        ("type: ec3", "(did you mean 'ec2'?)"),
        (
            "{min_instances: 5, max_instances: 2}",
            "5:24 spec.compute.max_instances: 2 is less than min_instances (5)",
        ),
        ("{cpu: 4, cpu_limit: 2}", "5:14 spec.compute.cpu_limit: the limit is less than cpu"),
        ("{instances: 9, max_instances: 3}", "instances: 9 is above max_instances (3)"),
        ("schedules: [{name: a, cron: x, instances: 1}]", "cron: expected five fields"),
        (
            "schedules: [{name: a, cron: 0 1 * * *, timezone: Europe/Nowhere, instances: 1}]",
            "there is no such time zone",
        ),
        ("schedules: [{name: a, cron: 0 1 * * *}]", "this sets none"),
        ("schedules: {name: a}", "expected a list, got a block of keys (write - before each item"),
        ("spot: {share: 120}", "5:19 spec.compute.spot.share: must be at most 100"),
    ],
)
def test_compute(spec: str, said: str) -> None:
    (only,) = problems(f"{PORTABLE}spec:\n  compute:\n    {spec}\n")
    assert said in only


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (
            "database: {version: 14}",
            'spec.database.version: expected text, got 14 (put it in quotes: "14")',
        ),
        ("database: {version: 14.10}", 'got 14.10 (put it in quotes: "14.10")'),
        ("database: {type: postgres}", "(did you mean 'postgresql'?)"),
        ("database: {ha: yes}", "(in YAML 1.2 yes is text: write true)"),
        ("database: {type: external}", "type: external and url go together"),
        ("databse: {}", "4:3 spec.databse: unknown key (did you mean 'database'?)"),
        ("storage: 5", "4:12 spec.storage: expected a block of keys, got 5"),
        ("storage: [a]", "4:12 spec.storage: expected a block of keys, got a list"),
        ("storage: {lifecycle: {transition_to_ia: 90, transition_to_glacier: 30}}", "must come"),
        ("cache: {type: reddis}", "(did you mean 'redis'?)"),
        ("queue: {visibility_timeout: 5}", "a duration needs a unit: write 5d, 5h, 5m or 5s"),
        ("monitoring: {enabled: true, alarms: [high_cpu, hgh]}", "alarms[1]: expected one of"),
        ("monitoring: {alarms: [high_cpu]}", "alarms: needs enabled: true"),
        ("monitoring: {enabled: true, dashboards: [{name: x}]}", "panels: missing key"),
        ("networking: {port: 80}", "(on this machine it is spec.overrides.standalone.port)"),
        ("networking: {cidr: 10.0.0.1/16}", "expected a network such as 10.0.0.0/16"),
        ("networking: {domain: localhost}", "domain: expected text like"),
        ("networking: {subnets: [a]}", "name the network they are in"),
        ("networking: {dns: {provider: route53, failover: automatic}}", "needs health_checks"),
        ("data: {replication: {mode: sync, consistency: eventual}}", "gives strong consistency"),
        ("data: {replication: {mode: async, consistency: strong}}", "gives eventual consistency"),
        ("topology: multi-cloud-active-active", "needs a block providers"),
        ("providers: {aws: {regions: [a]}}", "several providers need a multi-cloud topology"),
        ("policy: {waivers: [{rule: open-ingress, reason: x}]}", "at least 10 characters"),
        (
            "policy: {waivers: [{rule: a, reason: because of it, expires: 2027-02-30}]}",
            "there is no such day",
        ),
        ("environment: Production!", "expected lower-case letters, digits and dashes"),
        ("account: 123456789012", 'put it in quotes: "123456789012"'),
        ("overrides: {aws: {db: {MasterUserPassword: hunter2}}}", "looks like a secret"),
        (
            "overrides: {onprem: {values: {queue: {url: 'amqp://tabular:hunter2@mq/x'}}}}",
            "a URL has a password in it",
        ),
    ],
)
def test_the_other_blocks(block: str, said: str) -> None:
    found = problems(f"{PORTABLE}spec:\n  {block}\n")
    assert len(found) == 1, found
    assert said in found[0]
    assert "hunter2" not in found[0]


def test_envelope() -> None:
    assert problems("spec: {}\n") == [
        "1:1 apiVersion: missing key (write apiVersion: synthdata.inferloop.io/v1)",
        "1:1 kind: missing key (write kind: Deployment)",
    ]
    (only,) = problems("apiVersion: synthdata.inferloop.io/v2\nkind: Deployment\n")
    assert only.startswith("1:13 apiVersion: expected one of synthdata.inferloop.io/v1, got")
    (only,) = problems(PORTABLE + f"metadata: {{name: {'x' * 54}}}\n")
    assert only == "3:18 metadata.name: must have at most 53 characters"
    (only,) = problems(PORTABLE + "metadata: {name: Bad_Name}\n")
    assert "expected lower-case letters, digits and dashes, a letter first" in only


def test_which_form_a_file_has_is_never_guessed() -> None:
    (only,) = problems("provider: aws\nreplicaCount: 2\n")
    assert "keys of different file forms are mixed" in only
    assert "Helm values: replicaCount; flat: provider" in only
    (only,) = problems("computer: 2\n")
    assert "this is none of the known file forms" in only
    assert "did you mean 'compute'?" in only
    (only,) = problems("{}\n")
    assert "this is none of the known file forms" in only
