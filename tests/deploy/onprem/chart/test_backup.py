"""Backups of the chart: the platform's own by a CronJob, volumes by Velero."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tabular.deploy.onprem.compile import compile_stack
from tabular.deploy.onprem.secrets.secret_keys import needed_secrets, other_secrets
from tabular.deploy.spec import load_text
from tabular.errors import EngineError, UnsupportedError
from tests.deploy.onprem.chart.cases import (
    BUILT_IN,
    CASES,
    EXTERNAL,
    NAME,
    NAMESPACE,
    SECRET,
    merged,
    objects,
    one,
    render,
)
from tests.deploy.onprem.chart.paths import End, pod, reaches
from tests.deploy.onprem.chart.rules import broken, pods
from tests.testbed import custom

OWN = merged(BUILT_IN, {"backup": {"enabled": True}})
TO = "s3://copies/demo?endpoint=https://rgw.example:8443"
ELSEWHERE = merged(
    OWN, {"backup": {"logical": {"destination": TO, "existingSecret": "demo-backup"}}}
)
VELERO = merged(
    OWN,
    {
        "backup": {
            "retentionDays": 14,
            "velero": {
                "enabled": True,
                "location": {"bucket": "copies", "prefix": "velero", "secret": "velero-keys"},
            },
        }
    },
)
CSI = merged(VELERO, {"backup": {"velero": {"method": "csi", "location": {"bucket": ""}}}})


def cron(values: dict[str, Any], version: str = "1.30") -> dict[str, Any]:
    return dict(one(objects(values, version), "CronJob", f"{NAME}-backup"))


def program(values: dict[str, Any]) -> dict[str, Any]:
    (found,) = cron(values)["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return dict(found)


@pytest.mark.parametrize("values", [OWN, ELSEWHERE, VELERO, CSI], ids=["own", "else", "fs", "csi"])
def test_every_rule_holds(values: dict[str, Any]) -> None:
    for version in ("1.19", "1.30"):
        assert broken(objects(values, version)) == []


def test_the_schedule_keeps_to_one_at_a_time_and_forgets_old_backups() -> None:
    made = cron(merged(OWN, {"backup": {"schedule": "30 3 * * 0", "timezone": "Europe/Berlin"}}))
    assert made["apiVersion"] == "batch/v1"
    assert made["spec"]["schedule"] == "30 3 * * 0"
    assert made["spec"]["timeZone"] == "Europe/Berlin"
    assert made["spec"]["concurrencyPolicy"] == "Forbid"
    arguments = program(merged(OWN, {"backup": {"retentionDays": 7}}))["args"]
    assert arguments[arguments.index("--keep-days") + 1] == "7"


def test_velero_copies_no_program_that_it_would_run_again() -> None:
    job = cron(OWN)["spec"]["jobTemplate"]
    for made in (job, job["spec"]["template"]):
        assert made["metadata"]["labels"]["velero.io/exclude-from-backup"] == "true"


def test_an_old_server_has_another_version_and_no_time_zones() -> None:
    old = cron(OWN, "1.20")
    assert old["apiVersion"] == "batch/v1beta1"
    assert "timeZone" not in old["spec"]
    with pytest.raises(EngineError, match=r"time zones from Kubernetes 1\.25"):
        cron(merged(OWN, {"backup": {"timezone": "Europe/Berlin"}}), "1.24")


def test_it_is_the_service_with_another_command() -> None:
    api = one(objects(OWN), "Deployment", f"{NAME}-api")["spec"]["template"]["spec"]
    (serving,) = api["containers"]
    own = program(OWN)
    assert own["image"] == serving["image"]
    told = {e["name"]: e.get("value") for e in own["env"]}
    serves = {e["name"]: e.get("value") for e in serving["env"]}
    for name in ("TABULAR_DATABASE_URL", "TABULAR_STORAGE_URL", "TABULAR_SECRET_KEY"):
        assert told[name] == serves[name]
    assert "TABULAR_ADMIN_KEY" not in told
    assert own["command"] == ["python", "-m", "tabular.transfer"]


def test_without_a_destination_there_is_a_volume_that_outlives_the_release() -> None:
    found = objects(OWN)
    claim = one(found, "PersistentVolumeClaim", f"{NAME}-backup")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert "file:///backups" in program(OWN)["args"]
    keys = {needed.key: needed.generated for needed in needed_secrets(found, SECRET)}
    assert keys["backup-passphrase"] is True


def test_backups_of_one_volume_are_made_on_one_node() -> None:
    def terms(values: dict[str, Any]) -> list[list[str]]:
        pod_ = cron(values)["spec"]["jobTemplate"]["spec"]["template"]
        found = pod_["spec"].get("affinity", {}).get("podAffinity", {})
        must = found.get("requiredDuringSchedulingIgnoredDuringExecution", [])
        return [term["labelSelector"]["matchExpressions"][0]["values"] for term in must]

    assert terms(OWN) == [["backup"]]
    assert terms(ELSEWHERE) == []
    # The volume of tables may be one node's as well.
    assert terms(merged(CASES["one-node"], OWN, {"minio": {"enabled": False}})) == [
        ["api", "worker"],
        ["backup"],
    ]


def test_a_destination_has_keys_of_its_own_beside_those_of_the_service() -> None:
    found = objects(ELSEWHERE)
    arguments = program(ELSEWHERE)["args"]
    assert arguments[arguments.index("--to") + 1] == TO
    assert arguments[arguments.index("--access-key") + 1] == "file:/run/secrets/backup/access-key"
    assert other_secrets(found, SECRET)["demo-backup"] == ("access-key-id", "secret-access-key")
    assert not [o for o in found if o["kind"] == "PersistentVolumeClaim"]


def test_public_keys_need_no_secret_in_the_cluster() -> None:
    key = "age1" + "q" * 58
    values = merged(OWN, {"backup": {"logical": {"recipients": [key]}}})
    assert "--recipient" in program(values)["args"]
    assert "--passphrase" not in program(values)["args"]
    assert "backup-passphrase" not in {n.key for n in needed_secrets(objects(values), SECRET)}


def test_its_pods_reach_what_the_service_does_and_the_store_of_backups() -> None:
    for values in (ELSEWHERE, BUILT_IN):  # those that are made by hand need no schedule
        found = objects(values)
        labels = {
            "app.kubernetes.io/name": "inferloop-tabular",
            "app.kubernetes.io/instance": NAME,
            "app.kubernetes.io/component": "backup",
        }
        backup = End(labels, namespace_labels={"kubernetes.io/metadata.name": NAMESPACE})
        assert reaches(found, backup, pod(found, "postgresql"), 5432)
        assert reaches(found, backup, pod(found, "minio"), 9000)
        assert reaches(found, backup, End(address="203.0.113.7"), 8443)
        assert not reaches(found, backup, pod(found, "api"), 8000)
        assert not reaches(found, pod(found, "api"), backup, 8000)


@pytest.mark.slow
def test_velero_copies_dumps_and_the_files_that_pods_name() -> None:
    found = objects(merged(VELERO, {"monitoring": {"enabled": True}}))
    assert custom.invalid(found) == []
    (schedule,) = [o for o in found if o["kind"] == "Schedule"]
    (location,) = [o for o in found if o["kind"] == "BackupStorageLocation"]
    template = schedule["spec"]["template"]
    assert schedule["metadata"]["namespace"] == location["metadata"]["namespace"] == "velero"
    assert template["defaultVolumesToFsBackup"] is False
    assert template["snapshotVolumes"] is False
    assert template["ttl"] == "336h0m0s"
    assert template["includedNamespaces"] == [NAMESPACE]
    assert template["storageLocation"] == location["metadata"]["name"]
    assert location["spec"]["credential"] == {"name": "velero-keys", "key": "cloud"}
    ours, helms = (one_["matchLabels"] for one_ in template["orLabelSelectors"])
    assert helms == {"owner": "helm", "name": NAME}  # as Helm labels the secret of a release
    wanted = ours
    for made in [o for o in found if o["kind"] == "StatefulSet"]:
        for claim in made["spec"]["volumeClaimTemplates"]:
            assert wanted.items() <= claim["metadata"]["labels"].items()
        assert wanted.items() <= made["spec"]["template"]["metadata"]["labels"].items()
    assert "pg_dump " in _hook(found, "postgresql")[2]
    # Neither the files of a running database, nor scratch with passwords in it.
    assert copied(found) == {
        "demo-postgresql": "velero",
        "demo-minio": "data0",
        "demo-prometheus": "data",
        "demo-grafana": "data",
    }
    files = {"minio": {"enabled": False}, "persistence": {"enabled": True}}
    stored = copied(objects(merged(VELERO, files)))
    assert {name: stored.get(name) for name in ("demo-api", "demo-worker")} == {
        "demo-api": "data",
        "demo-worker": "data",
    }


def copied(found: Any) -> dict[str, str]:
    """Which volumes of whose pods Velero copies; each of them is one of the pod's."""
    named = {}
    for workload, pod_ in pods(found):
        volumes = pod_["metadata"].get("annotations", {}).get("backup.velero.io/backup-volumes")
        if volumes is None:
            continue
        claims = workload["spec"].get("volumeClaimTemplates", ())
        there = {one_["name"] for one_ in pod_["spec"]["volumes"]}
        there |= {claim["metadata"]["name"] for claim in claims}
        assert set(volumes.split(",")) <= there
        named[workload["metadata"]["name"]] = volumes
    return named


@pytest.mark.slow
def test_velero_takes_snapshots_of_one_moment_after_a_checkpoint() -> None:
    found = objects(CSI)
    assert custom.invalid(found) == []
    (schedule,) = [o for o in found if o["kind"] == "Schedule"]
    template = schedule["spec"]["template"]
    assert (template["snapshotVolumes"], template["snapshotMoveData"]) == (True, True)
    assert template["defaultVolumesToFsBackup"] is False
    assert copied(found) == {}
    assert "storageLocation" not in template  # Velero's own
    assert _hook(found, "postgresql")[2].endswith("CHECKPOINT")


def _hook(found: Any, part: str) -> list[str]:
    pod_ = one(found, "StatefulSet", f"{NAME}-{part}")["spec"]["template"]
    notes = pod_["metadata"]["annotations"]
    assert notes["pre.hook.backup.velero.io/on-error"] == "Fail"
    named = notes["pre.hook.backup.velero.io/container"]
    assert named in [c["name"] for c in pod_["spec"]["containers"]]
    return list(json.loads(notes["pre.hook.backup.velero.io/command"]))


def test_a_time_zone_goes_into_veleros_schedule() -> None:
    (schedule,) = [
        o
        for o in objects(merged(VELERO, {"backup": {"timezone": "Europe/Berlin"}}))
        if o["kind"] == "Schedule"
    ]
    assert schedule["spec"]["schedule"] == "CRON_TZ=Europe/Berlin 0 2 * * *"


def test_releases_of_one_name_in_two_namespaces_have_two_schedules() -> None:
    names = {
        o["metadata"]["name"]
        for namespace in ("a", "b")
        for o in render(VELERO, name=NAME, namespace=namespace, kube_version="1.30")
        if o["kind"] == "Schedule"
    }
    assert len(names) == 2


def spec(more: str) -> dict[str, Any]:
    head = "apiVersion: synthdata.inferloop.io/v1\nkind: Deployment\nmetadata: {name: demo}\n"
    text = f"{head}spec:\n  provider: onprem\n{more}"
    return dict(compile_stack(load_text(text, "x.yaml").deployment).template["values"])


def test_a_spec_says_when_how_long_and_where_to() -> None:
    assert "backup" not in spec("")
    found = spec(
        "  backup: {enabled: true, schedule: '0 4 * * *', retention: 36h, destination: "
        f"'{TO}'}}\n  onprem: {{operators: [velero]}}\n"
    )["backup"]
    assert (found["schedule"], found["retentionDays"]) == ("0 4 * * *", 2)
    assert found["logical"] == {"destination": TO, "existingSecret": "demo-backup"}
    assert found["velero"]["location"] == {
        "bucket": "copies",
        "prefix": "demo/velero",
        "config": {
            "region": "us-east-1",
            "s3Url": "https://rgw.example:8443",
            "s3ForcePathStyle": "true",
        },
        "secret": "demo-backup",
    }
    alone = spec("  backup: {enabled: true}\n")["backup"]
    assert "velero" not in alone
    assert "logical" not in alone


@pytest.mark.parametrize("to", ["gs://bucket/x", "file:/backups", "nfs/share"])
def test_a_destination_that_no_pod_writes_to_is_refused(to: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        spec(f"  backup: {{enabled: true, destination: '{to}'}}\n")
    assert caught.value.where == "spec.backup.destination"


def test_nothing_is_made_where_backups_are_off() -> None:
    for values in (BUILT_IN, EXTERNAL):
        kinds = {o["kind"] for o in objects(values)}
        assert not kinds & {"CronJob", "Schedule", "BackupStorageLocation"}
