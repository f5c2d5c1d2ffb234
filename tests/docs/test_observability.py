"""The page on observability says what the service emits, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tabular.deploy.monitoring import alerts
from tabular.deploy.spec import load_text
from tabular.infra.metrics import CATALOGUE
from tests.platform import finished, fitted, platform, submit
from tests.testbed.tls import make_certificate

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \| (.*?) \| (.*) \|$", PAGE, re.M)


def test_every_metric_is_documented_as_it_is() -> None:
    said = [(name, kind, re.findall(r"`(\w+)`", labels), text) for name, kind, labels, text in ROWS]
    assert said == [(m.name, m.kind, list(m.own_labels), m.help) for m in CATALOGUE]


def test_the_service_emits_what_is_documented(tmp_path: Path) -> None:
    certificate, _ = make_certificate(tmp_path)
    with platform(tmp_path, TABULAR_CERTIFICATES=str(certificate)) as one, one.worker():
        _, model = fitted(one.client)
        job = submit(one.client, "/v1/generate", {"model_id": model, "rows": 20_000})
        assert finished(one.client, job["id"])["status"] == "succeeded"
        one.service.metrics.error("unavailable")
        one.service.metrics.job_finished("fit", "succeeded")
        with one.service.metrics.generation() as generation:
            generation.rows(1)
        with one.service.metrics.job("fit"):
            text = one.client.get("/metrics").text
    emitted = {}
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        emitted[name] = (family.type, labels)
    assert emitted == {m.name: (m.kind, set(m.labels)) for m in CATALOGUE}


def test_every_alarm_has_a_section_that_it_leads_to() -> None:
    spec = "apiVersion: synthdata.inferloop.io/v1\nkind: Deployment\nmetadata: {name: c}\n"
    spec += "spec: {provider: onprem, backup: {enabled: true}, onprem: {operators: [prometheus]}}\n"
    rules = alerts.rules(load_text(spec, "x.yaml").deployment, "team-a")["groups"][1]["rules"]
    assert set(re.findall(r"^### (\w+)$", PAGE, re.M)) == {rule["alert"] for rule in rules}
