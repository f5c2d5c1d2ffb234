"""Translating readers: nothing dropped, everything in the words of the user's file."""

from __future__ import annotations

import pytest

from tabular.deploy.spec import explain, load_text
from tabular.deploy.spec.quantities import format_size
from tests.deploy.spec.files import problems


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "provider: aws\ndatabase: {engin: postgres}\n",
            "2:12 database.engin: unknown key (did you mean 'engine'?)",
        ),
        ("provider: aws\ncompute: {cpus: 3}\n", "2:11 compute.cpus: unknown key (did you mean"),
        ("provider: aws\nmonitring: {}\n", "2:1 monitring: unknown key (did you mean 'monitoring'"),
        (
            "provider: aws\nstorage: {s3: {versionning: true}}\n",
            "2:16 storage.s3.versionning: unknown key (did you mean 'versioning'?)",
        ),
        (
            "provider: aws\nstorage: {s3: {}, gcs: {}}\n",
            "2:24 storage.gcs: storage.s3 in f.yaml:2:11 says the same (keep one of the two)",
        ),
        (
            "provider: aws\ndatabase: {engine: mysql, type: mysql}\n",
            "database.engine in f.yaml:2:20 says the same",
        ),
        (
            "provider: aws\nstorage: {s3: {lifecycle_rules: [{transition_to_ia: 90}, "
            "{transition_to_glacier: 30}]}}\n",
            "storage.s3.lifecycle_rules[1].transition_to_glacier: must come later than",
        ),
        (
            "provider: aws\nstorage: {s3: {lifecycle_rules: [30]}}\n",
            "storage.s3.lifecycle_rules[0]: expected a block such as",
        ),
        (
            "provider: aws\ndatabase: {version: 14}\n",
            '2:21 database.version: expected text, got 14 (put it in quotes: "14")',
        ),
        (
            "deployment: {name: x, type: multi-cloud}\nproviders: {aws: {regions: [a]}}\n",
            "1:29 deployment.type: expected one of single, multi-cloud-active-active",
        ),
        ("providers: {aws: {regions: [a]}}\n", "deployment: missing block with name and type"),
        (
            "deployment: {type: multi-cloud-active-active}\nproviders: {aws: {regions: a}}\n",
            "2:28 providers.aws.regions: expected a list, got text 'a'",
        ),
        (
            "deployment: {type: multi-cloud-active-active}\n"
            "providers: {aws: {prio: 1, regions: [a]}}\n",
            "2:19 providers.aws.prio: unknown key (did you mean 'priority'?)",
        ),
        (
            "deployment: {type: multi-cloud-active-active}\nproviders: {aws: {regions: [a, a]}}\n",
            "providers.aws.regions: a region is named twice",
        ),
        ("replicaCount: 3\nimge: 4\n", "2:1 imge: unknown key (did you mean 'image'?)"),
        (
            "postgresql: {auth: {pasword: hunter2}}\n",
            "1:21 postgresql.auth.pasword: unknown key (did you mean 'password'?)",
        ),
        ("postgresql: {enabled: maybe}\n", "postgresql.enabled: expected true or false"),
        ("postgresql: 5\n", "1:13 postgresql: expected a block of keys, got 5"),
        ("replicaCount: {a: 1}\n", "replicaCount: expected a whole number, got a block"),
        ("resources: {limits: {cpu: 1}, requests: {cpu: 2}}\n", "resources.limits.cpu: the limit"),
    ],
)
def test_wrong_files(text: str, said: str) -> None:
    found = problems(text)
    assert len(found) == 1, found
    assert said in found[0]
    assert "hunter2" not in found[0]


@pytest.mark.parametrize(
    ("compute", "cores", "memory"),
    [
        ("type: ecs-fargate, cpu: 256, memory: 512", "0.25", "512Mi"),
        ("type: ecs-fargate, cpu: 4, memory: 16Gi", "4", "16Gi"),
        ("type: container-instances, cpu: 2, memory: 7", "2", "7G"),
        ("type: ec2, cpu: 500m, memory: 1Gi", "0.5", "1Gi"),
    ],
)
def test_bare_numbers_have_the_unit_of_the_service(compute: str, cores: str, memory: str) -> None:
    made = load_text(f"provider: aws\ncompute: {{{compute}}}\n").deployment.spec.compute
    assert str(made.cpu) == cores
    assert made.memory is not None
    assert format_size(made.memory) == memory


def test_helm_values_say_what_has_no_effect() -> None:
    loaded = load_text(
        "postgresql:\n  enabled: true\n  replication: {enabled: false, readReplicas: 2}\n"
        "autoscaling: {enabled: false, minReplicas: 9}\nminio: {enabled: false}\n",
        "v.yaml",
    )
    assert loaded.deployment.spec.database.read_replicas == 0
    assert loaded.deployment.spec.compute.min_instances is None
    assert [note.split(": ")[0] for note in loaded.notes] == ["v.yaml:3", "v.yaml:4", "v.yaml:5"]


def test_helm_values_in_full() -> None:
    spec = load_text(
        """
replicaCount: 2
workers: {replicas: 4}
resources: {limits: {nvidia.com/gpu: 1}}
autoscaling: {enabled: true, minReplicas: 2, maxReplicas: 6, targetCPUUtilizationPercentage: 60}
redis: {enabled: true, auth: {existingSecret: cache-auth}}
rabbitmq: {enabled: true}
postgresql: {enabled: true, auth: {password: "env:DB_PASSWORD"}}
ingress: {className: nginx, host: data.example.com}
nodeSelector: {disk: ssd}
tolerations: [{key: a, operator: Exists}]
backup: {enabled: true, schedule: 0 3 * * *}
"""
    ).deployment.spec
    assert (spec.compute.workers, spec.compute.gpu) == (4, "required")
    assert (spec.compute.min_instances, spec.compute.max_instances) == (2, 6)
    assert spec.compute.autoscaling.cpu_target == 60
    assert spec.cache is not None
    assert spec.cache.type == "redis"
    assert spec.cache.password is not None
    assert spec.cache.password.secret_ref == "k8s:cache-auth"
    assert spec.queue is not None
    assert spec.queue.type == "rabbitmq"
    assert spec.database.password is not None
    assert spec.database.password.secret_ref == "env:DB_PASSWORD"
    assert spec.networking.domain == "data.example.com"
    assert spec.onprem.ingress_class == "nginx"
    assert spec.overrides["onprem"]["nodeSelector"] == {"disk": "ssd"}
    assert spec.backup.enabled


def test_explain_names_the_words_of_the_file() -> None:
    loaded = load_text("provider: aws\ndatabase: {engine: postgres}\n", "f.yaml")
    assert loaded.place("spec.database.type") == "f.yaml:2:20"
    assert loaded.place("spec.database") == "f.yaml:2:20"
    assert loaded.place("spec.storage.type") is None
    rows = {row.key: row for row in explain(loaded)}
    row = rows["spec.database.type"]
    assert (row.value, row.origin) == ("postgresql", "f.yaml:2:20")
    assert row.note == "database.engine (postgres is postgresql)"
    assert rows["spec.compute.workers"].origin == "default"
    assert rows["spec.compute.cpu"].value is None
