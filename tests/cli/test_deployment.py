"""The deployment commands from outside: what is printed, what runs, which exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.cli.command import COMMAND, Answer, on_terminal, run
from tests.testbed.disk import fill, small_disk

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ALL_CREATED = {
    "storage",
    "queue",
    "metrics",
    "secret-key",
    "database",
    "api",
    "worker",
    "description",
}


@dataclass(frozen=True)
class Running:
    """A deployment that the tests of this module share."""

    home: Path
    first: Answer

    @property
    def url(self) -> str:
        return str(self.first.json["url"])

    @property
    def key(self) -> str:
        return str(self.first.json["api_key"])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("home")
    first = run("deploy", "--provider", "standalone", "--yes", "--json", home=home)
    assert first.code == 0, first.err
    yield Running(home, first)
    gone = run("destroy", "--yes", "--delete-data", home=home)
    assert gone.code == 0, gone.err


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home of its own, where nothing runs on when the test has failed."""
    yield tmp_path
    gone = run("destroy", "--yes", "--delete-data", home=tmp_path)
    assert gone.code == 0, gone.err


def test_deploy_gives_an_address_and_a_key_that_works(running: Running) -> None:
    assert httpx.get(f"{running.url}/ready").status_code == 200
    datasets = f"{running.url}/v1/datasets"
    assert httpx.get(datasets).status_code == 401
    header = {"Authorization": f"Bearer {running.key}"}
    assert httpx.get(datasets, headers=header).json()["items"] == []


def test_deploying_again_changes_nothing_and_shows_no_key(running: Running) -> None:
    again = run("deploy", "--provider", "standalone", "--yes", "--json", home=running.home)
    assert again.code == 0, again.err
    assert again.json["release"] == running.first.json["release"]
    assert "api_key" not in again.json
    bare = run("plan", "--json", home=running.home)
    assert bare.json["empty"] is True


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(running: Running) -> None:
    nowhere = {"HTTP_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9"}
    again = run("deploy", "--yes", "--json", home=running.home, extra=nowhere)
    assert again.code == 0, again.err


def test_the_key_is_kept_nowhere(running: Running) -> None:
    secret = running.key.rsplit(".", 1)[-1].encode()
    files = [path for path in running.home.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if secret in path.read_bytes()]


def test_status_and_list_show_it(running: Running) -> None:
    status = run("status", "--json", home=running.home)
    assert (status.code, status.json["state"]) == (0, "ready")
    assert {r["id"] for r in status.json["resources"]} == ALL_CREATED
    listed = run("list", "--json", home=running.home)
    assert [item["target"] for item in listed.json] == ["standalone/development/tabular"]
    assert running.url in run("list", home=running.home).out


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_narrow_terminal_cuts_neither_name_nor_address(running: Running, columns: int) -> None:
    listed = on_terminal(columns, "list", home=running.home)
    assert "standalone/development/tabular" in listed
    assert f"{running.url}\n" in listed.replace(" ", "")
    assert "…" not in listed
    shown = on_terminal(columns, "status", home=running.home)
    assert "…" not in shown
    for resource in run("status", "--json", home=running.home).json["resources"]:
        assert resource["id"] in shown
        assert resource["type"] in shown


def test_numbers_that_nothing_can_have_are_the_numbers_fault(running: Running) -> None:
    refused = run("scale", "--workers", "100000", "--yes", home=running.home)
    assert refused.code == 2
    assert "--workers 100000: this deployment cannot have that: spec.compute.workers" in refused.err
    assert "kept" not in refused.err


def test_a_plan_has_the_keys_of_the_file(running: Running) -> None:
    shown = run("plan", "--set", "spec.compute.workers=2", home=running.home).out
    assert '      spec.compute: (none) -> {"workers": 2}\n' in shown


@pytest.mark.root
def test_a_backup_that_fills_its_place_says_which(running: Running, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        fill(disk)
        create = ("backup", "create", "--to", disk.as_uri(), "--unencrypted")
        told = run(*create, home=running.home)
    assert told.code == 5
    assert f"{disk.as_uri()}: the store cannot write: the disk is full" in told.err
    assert "by --to for a backup" in told.err


def test_detailed_exit_codes_of_plan(running: Running) -> None:
    same = run("plan", "--detailed-exitcode", home=running.home)
    assert same.code == 0, same.out
    assert "Nothing to change." in same.out
    more = run("plan", "--detailed-exitcode", "--set", "spec.compute.workers=2", home=running.home)
    assert more.code == 2
    assert "~ worker" in more.out
    assert "instances: 1 -> 2" in more.out


def test_logs_come_from_every_component(running: Running) -> None:
    logs = run("logs", "--tail", "2", home=running.home)
    assert {line.split(" | ")[0] for line in logs.out.splitlines()} >= {"api-0", "supervisor"}
    lines = run("logs", "--tail", "1", "--json", home=running.home).out.splitlines()
    times = {row["component"]: row["time"] for row in map(json.loads, lines)}
    assert times["supervisor"]


def test_patience_is_a_duration(home: Path) -> None:
    for command in ("deploy", "rollback", "scale --workers 2"):
        wrong = run(*command.split(), "--timeout", "15", home=home)
        assert wrong.code == 2, command
        assert "--timeout 15: a duration needs a unit: write 15d, 15h, 15m or 15s" in wrong.err
    planned = run("deploy", "--wait", "--timeout", "15m", "--dry-run", home=home)
    assert planned.code == 0, planned.err


def test_a_scrape_of_the_api_counts_the_rows_of_the_workers(running: Running) -> None:
    with httpx.Client(
        base_url=running.url, headers={"Authorization": f"Bearer {running.key}"}
    ) as client:
        table = "a,b\n" + "".join(f"{i % 7},{'xy'[i % 2]}\n" for i in range(200))
        dataset = client.post(
            "/v1/datasets",
            params={"name": "t.csv"},
            headers={"Content-Type": "text/csv"},
            content=table,
        ).json()
        fit = client.post("/v1/models", json={"dataset_id": dataset["id"]}).json()["job"]
        _wait(client, fit["id"])
        job = client.post("/v1/generate", json={"model_id": fit["model_id"], "rows": 321}).json()
        _wait(client, job["job"]["id"])
        metrics = client.get("/metrics").text
    assert 'tabular_rows_generated_total{provider="standalone",region="local"} 321.0' in metrics


def _wait(client: httpx.Client, job: str) -> None:
    deadline = time.monotonic() + 120
    while (state := client.get(f"/v1/jobs/{job}").json())["status"] in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.25)
    assert state["status"] == "succeeded", state


@pytest.mark.slow
def test_keys_are_listed_and_revoked(running: Running) -> None:
    made = run("keys", "create", "third", "--json", home=running.home).json["api_key"]
    admin = {"INFERLOOP_TABULAR_API_KEY": running.key}
    listed = run("keys", "list", "--json", home=running.home, extra=admin)
    assert listed.code == 0, listed.err
    (third,) = [row for row in listed.json if row["name"] == "third"]
    assert third["revoked_at"] is None
    assert made not in listed.out
    assert "third" in run("keys", "list", home=running.home, extra=admin).out
    gone = run("keys", "revoke", third["id"], "--yes", home=running.home, extra=admin)
    assert gone.code == 0, gone.err
    header = {"Authorization": f"Bearer {made}"}
    assert httpx.get(f"{running.url}/v1/models", headers=header).status_code == 401
    own = running.key.split(".")[1]
    itself = run("keys", "revoke", own, "--yes", home=running.home, extra=admin)
    assert itself.code == 1
    assert "cannot revoke itself" in itself.err
    unknown = run("keys", "revoke", "0" * 16, "--yes", home=running.home, extra=admin)
    assert unknown.code == 4
    bare = run("keys", "list", home=running.home)
    assert bare.code == 2
    assert "INFERLOOP_TABULAR_API_KEY" in bare.err
    wrong = {"INFERLOOP_TABULAR_API_KEY": "ift.0000000000000000.x"}
    refused = run("keys", "list", home=running.home, extra=wrong)
    assert refused.code == 1
    assert "Traceback" not in refused.err


def test_another_key_works_too(running: Running) -> None:
    made = run("keys", "create", "second", "--json", home=running.home)
    header = {"Authorization": f"Bearer {made.json['api_key']}"}
    assert httpx.get(f"{running.url}/v1/models", headers=header).status_code == 200


@pytest.mark.slow
def test_update_rollback_and_drift(running: Running) -> None:
    first = running.first.json["release"]
    update = run("deploy", "--yes", "--set", "spec.compute.workers=2", home=running.home)
    assert update.code == 0, update.err
    now = run("status", "--json", home=running.home).json
    assert now["release"] != first
    assert now["outputs"]["url"] == running.url
    assert run("drift", home=running.home).code == 0
    shown = run("rollback", home=running.home)
    assert shown.code == 2, "asks, and there is no terminal"
    assert f"release: {now['release']} -> {first}" in shown.out
    back = run("rollback", "--yes", "--json", home=running.home)
    assert back.code == 0, back.err
    assert back.json["release"] == first
    assert run("rollback", "--yes", home=running.home).code == 4, "there is none before it"


def test_the_audit_log_has_it(running: Running) -> None:
    (log,) = running.home.rglob("audit.jsonl")
    text = log.read_text(encoding="utf-8")
    assert '"action": "deploy"' in text
    assert running.key not in text


@pytest.mark.slow
def test_destroy_keeps_data_until_told(home: Path) -> None:
    assert run("deploy", "--yes", home=home).code == 0
    kept = run("destroy", "--yes", home=home)
    assert "Its data is kept" in kept.out
    assert run("list", "--json", home=home).json[0]["state"] == "retained"
    assert run("status", home=home).code == 5
    gone = run("destroy", "--yes", "--delete-data", "--json", home=home)
    assert gone.json == {"destroyed": "standalone/development/tabular", "data": "deleted"}
    again = run("destroy", "--yes", home=home)
    assert again.code == 0
    assert "nothing to destroy" in again.err
    assert run("list", "--json", home=home).json == []


@pytest.mark.slow
def test_nothing_deployed_is_exit_code_4(tmp_path: Path) -> None:
    for command in ("status", "logs", "drift", "rollback", "scale --workers 2", "keys create"):
        answer = run(*command.split(), home=tmp_path)
        assert answer.code == 4, command
        assert "hint: `inferloop-tabular list`" in answer.err


def test_the_seed_file_plans_here_as_reduced_and_is_refused_when_strict(tmp_path: Path) -> None:
    arguments = ("plan", "--config", str(EXAMPLES / "deployment.yaml"), "--provider", "standalone")
    shown = run(*arguments, home=tmp_path)
    assert shown.code == 0
    for field in ("storage.replication", "database.ha", "storage.size", "compute.memory"):
        assert f"reduced spec.{field}" in shown.out
    strict = run(*arguments, "--strict", "--json", home=tmp_path)
    assert strict.code == 3


def test_a_plan_touches_nothing(tmp_path: Path) -> None:
    assert run("plan", home=tmp_path).code == 0
    assert run("deploy", "--dry-run", home=tmp_path).code == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_budget_without_prices_is_refused(tmp_path: Path) -> None:
    answer = run("deploy", "--yes", "--max-monthly-cost", "100", home=tmp_path)
    assert answer.code == 3
    assert "refused.budget" in answer.err


def test_a_deploy_that_would_ask_says_so_where_nobody_can_answer(tmp_path: Path) -> None:
    answer = run("deploy", home=tmp_path)
    assert answer.code == 2
    assert "pass --yes" in answer.err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("plan", "--provider", "standalon"), 2, "did you mean 'standalone'?"),
        (("plan", "--config", "nowhere.yaml"), 1, "nowhere.yaml"),
        (("plan", "--set", "spec.compute.instanses=2"), 2, "did you mean 'instances'?"),
        (
            ("plan", "--provider", "standalone", "--config", str(EXAMPLES / "aws-prod.yaml")),
            2,
            "aws-prod.yaml:1:",
        ),
        (("plan", "--runtime", "pods"), 2, "pods"),
    ],
)
def test_mistakes_are_answered_with_the_way_out(
    tmp_path: Path, arguments: tuple[str, ...], code: int, text: str
) -> None:
    answer = run(*arguments, home=tmp_path)
    assert answer.code == code, answer.err
    assert text in answer.err
    assert "Traceback" not in answer.err


def test_an_error_is_json_when_asked(tmp_path: Path) -> None:
    answer = run("status", "--json", home=tmp_path)
    assert answer.json["error"]["code"] == "not-found.deployment"
    assert answer.code == 4


def test_doctor_finds_this_machine_fit(tmp_path: Path) -> None:
    answer = run("doctor", "--json", home=tmp_path)
    assert answer.code == 0, answer.out
    assert {check["name"] for check in answer.json} >= {"python", "disk"}


def test_capabilities_are_listed() -> None:
    answer = run("capabilities", "--json", home=Path("/nonexistent"))
    assert answer.code == 0
    supports = {entry["support"] for entry in answer.json.values()}
    assert supports == {"native", "emulated", "unsupported"}


def test_colours_only_where_wanted(tmp_path: Path) -> None:
    plain = run("plan", home=tmp_path, extra={"NO_COLOR": "1"})
    assert "\x1b[" not in plain.out + plain.err


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_a_client_that_dies_in_the_middle_is_continued(home: Path, sign: signal.Signals) -> None:
    client = subprocess.Popen(
        [COMMAND, "deploy", "--yes"],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert client.stderr is not None
    line = next(text for text in client.stderr if "private port" in text)
    assert "in progress" in line
    client.send_signal(sign)
    rest = client.stderr.read()
    assert client.wait(timeout=30) == (130 if sign is signal.SIGINT else -9)
    if sign is signal.SIGINT:
        assert "The same command again goes on with what was begun" in rest
    again = run("deploy", "--yes", "--json", home=home)
    assert again.code == 0, again.err
    assert again.json["release"].startswith("r0001-"), "one release, not two"
    assert again.json["api_key"]


@pytest.mark.slow
def test_scaling_needs_no_file_and_changes_nothing_else(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "d.yaml"
    file.write_text(
        "apiVersion: synthdata.inferloop.io/v1\nkind: Deployment\nmetadata: {name: mine}\n"
        "spec: {backup: {enabled: false}, compute: {workers: 1}}\n",
        encoding="utf-8",
    )
    assert run("deploy", "-c", str(file), "--yes", home=home).code == 0
    assert run("scale", "--workers", "2", home=home).code == 2, "asks, and there is no terminal"
    assert run("scale", home=home).code == 2
    scaled = run("scale", "--workers", "2", "--yes", "--json", home=home)
    assert scaled.code == 0, scaled.err
    assert scaled.json["target"] == "standalone/development/mine"
    changed = {
        change["resource"]: [(p["path"], p["before"], p["after"]) for p in change["properties"]]
        for change in run("plan", "-c", str(file), "--json", home=home).json["changes"]
        if change["action"] != "no-op"
    }
    assert changed == {
        "worker": [("instances", 2, 1)],
        "description": [("spec.spec.compute.workers", 2, 1)],
    }
    for command in ("drift", "logs", "status"):
        assert run(command, home=home).code == 0, "the only one needs no name"
    assert run("rollback", "--yes", home=home).code == 0
    assert run("plan", "-c", str(file), "--json", home=home).json["empty"] is True
