"""`jobs` as a user types it: a deployment with AWS Batch, whose jobs are really done."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tabular.deploy.aws.provider import AWSProvider
from tabular.infra.config import Settings
from tabular.synth.synthesizer import Synthesizer
from tests.cli.command import Answer, run
from tests.deploy.aws.containers import running_containers
from tests.deploy.aws.harness import describe, provider_at
from tests.testbed.ministack import ACCOUNT, REGION, MiniStack

ROWS = Settings.model_fields["part_rows"].default + 1000  # two parts
PATIENCE = 60.0  # seconds
SHOPS = ("--model", "models/shops", "--rows", "5", "--out", "a.csv")
# What a container runs, where S3 has another address; files beside it say what goes wrong.
PROGRAM = """#!/bin/sh
export TABULAR_STORAGE_URL="$TABULAR_STORAGE_URL&endpoint=$AWS_ENDPOINT_URL"
while [ -e {folder}/hold ]; do sleep 0.05; done
rm {folder}/die-once 2>/dev/null && kill -9 $$
[ -e {folder}/die ] && kill -9 $$
exec {python} "$@"
"""


class Cloud:
    """AWS with a deployment, and a user at its command line."""

    def __init__(self, aws: MiniStack, folder: Path) -> None:
        self.aws, self.folder = aws, folder
        self.provider: AWSProvider = provider_at(aws.url)
        engine = self.provider.engine
        for kind in ("batch", "lambda"):
            spec: dict[str, Any] = {"compute": {"type": kind}}
            if kind == "batch":
                spec["compute"] |= {"workers": 1, "max_instances": 2}
            else:
                spec["image"] = {"repository": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/ours"}
            list(engine.apply(engine.preview(self.provider.compile(describe(kind, **spec)))))
        target = self.provider.target(describe("batch"))
        self.bucket = engine.status(target).outputs["bucket"]

    def put(self, name: str, data: bytes) -> None:
        """Upload, as with the vendor's tools."""
        self.aws.client("s3").put_object(Bucket=self.bucket, Key=f"tabular/{name}", Body=data)

    def read(self, name: str) -> bytes:
        """Download."""
        answer = self.aws.client("s3").get_object(Bucket=self.bucket, Key=f"tabular/{name}")
        return bytes(answer["Body"].read())

    def jobs(self, *words: str, name: str = "batch") -> Answer:
        """Run a command of `jobs`."""
        place = ("--provider", "aws", "--name", name)
        return run("jobs", *words, *place, home=self.folder, extra=self.aws.environment())

    def submit(self, out: str, *words: str) -> Answer:
        """Order rows of the model."""
        return self.jobs("submit", "--model", "models/shops", "--out", out, *words)

    def submitted(self) -> list[str]:
        """Names of all jobs of Batch."""
        (queue,) = self.aws.client("batch").describe_job_queues()["jobQueues"]
        pages = (
            self.aws.client("batch")
            .get_paginator("list_jobs")
            .paginate(
                jobQueue=queue["jobQueueArn"],
                filters=[{"name": "AFTER_CREATED_AT", "values": ["0"]}],
            )
        )
        return sorted(one["jobName"] for page in pages for one in page["jobSummaryList"])

    def wait(self, done: Callable[[], bool]) -> None:
        """Wait for something."""
        deadline = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    with running_containers(folder, PROGRAM) as aws:
        found = Cloud(aws, folder)
        table = pa.table({"id": range(200), "shop": ["north", "south"] * 100})
        sink = io.BytesIO()
        Synthesizer(seed=1).fit(table).save(sink)
        found.put("models/shops", sink.getvalue())
        yield found
        (folder / "hold").unlink(missing_ok=True)


@pytest.fixture
def hold(cloud: Cloud) -> Iterator[Path]:
    """While this file is there, containers wait."""
    path = cloud.folder / "hold"
    path.touch()
    yield path
    path.unlink(missing_ok=True)


@pytest.mark.slow
def test_any_number_of_containers_makes_the_same_file(cloud: Cloud) -> None:
    files = []
    for containers in (1, 2):
        name = f"results/of-{containers}.csv"
        answer = cloud.submit(name, "--rows", str(ROWS), "--parts", str(containers), "--json")
        assert answer.code == 0, answer.err
        assert [step["containers"] for step in answer.json["steps"]] == [containers, 1]
        watched = cloud.jobs("watch", f"of-{containers}")
        assert watched.code == 0, watched.err
        assert f"s3://{cloud.bucket}/tabular/{name}" in watched.out
        assert f"{ROWS:,} rows" in watched.out
        assert "draw  succeeded" in watched.err
        files.append(cloud.read(name))
    assert files[0] == files[1]
    assert len(files[0].splitlines()) == ROWS + 1
    # As many as the deployment runs at once, and not more than there are parts.
    for rows, containers in ((ROWS, 2), (10, 1)):
        asked = cloud.submit(f"many-{rows}.csv", "--rows", str(rows), "--json").json
        assert asked["steps"][0]["containers"] == containers
        cloud.jobs("cancel", f"many-{rows}", "--yes")


@pytest.mark.slow
def test_a_table_is_learned_from_first(cloud: Cloud) -> None:
    cloud.put("tables/shops.csv", b"shop,items\n" + b"north,1\nsouth,2\n" * 50)
    order = cloud.folder / "learned.json"
    order.write_text('{"table": "tables/shops.csv", "rows": 20, "format": "csv", "seed": 3}')
    answer = cloud.jobs("submit", str(order), "--json")
    assert [step["name"] for step in answer.json["steps"]] == ["fit", "draw", "join"]
    assert cloud.jobs("watch", "learned").code == 0
    assert len(cloud.read("results/learned.csv").splitlines()) == 21


@pytest.mark.slow
def test_the_same_again_starts_nothing_and_another_one_is_refused(cloud: Cloud, hold: Path) -> None:
    wanted = ("results/once.csv", "--rows", "10")
    first = cloud.submit(*wanted)
    assert first.code == 0, first.err
    assert "next  `inferloop-tabular jobs watch once`" in first.out
    before = cloud.submitted()
    assert cloud.submit(*wanted).code == 0
    refused = cloud.submit("results/once.csv", "--rows", "11")
    assert refused.code == 1
    assert "conflict.order" in refused.err
    assert cloud.submitted() == before
    hold.unlink()
    assert cloud.jobs("watch", "once").code == 0
    done = cloud.submit(*wanted, "--json")
    assert done.json["state"] == "succeeded"
    assert done.json["result"] == f"s3://{cloud.bucket}/tabular/results/once.csv"
    assert cloud.submitted() == before


@pytest.mark.slow
def test_what_an_interrupted_submit_left_is_gone_on_with(cloud: Cloud, hold: Path) -> None:
    order = {"model": "models/shops", "rows": 10, "format": "csv"}
    wanted = ("torn.csv", "--rows", "10")
    assert cloud.submit(*wanted).code == 0
    names = cloud.submitted()
    # As if the client had been killed before its last call: nobody has asked for the join.
    batch = cloud.aws.client("batch")
    (queue,) = batch.describe_job_queues()["jobQueues"]
    (definition,) = batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    full = {**json.loads(cloud.read("incoming/torn.json")), **order}
    cloud.put("incoming/halved.json", json.dumps(full, sort_keys=True).encode())
    batch.submit_job(
        jobName="halved_draw",
        jobQueue=queue["jobQueueArn"],
        jobDefinition=definition["jobDefinitionArn"],
        parameters={"step": "draw", "order": "incoming/halved.json"},
    )
    seen = cloud.jobs("status", "halved")
    assert seen.code == 5
    assert "submitted only in part" in seen.out
    assert cloud.submit("halved.csv", "--rows", "10").code == 0
    assert [name for name in cloud.submitted() if name not in names] == [
        "halved_draw",
        "halved_join",
    ]
    hold.unlink()
    assert cloud.jobs("watch", "halved").code == 0
    assert cloud.jobs("watch", "torn").code == 0
    assert cloud.read("results/halved.csv") == cloud.read("results/torn.csv")


@pytest.mark.slow
def test_a_container_that_dies_is_told_of_and_the_same_again_mends_it(cloud: Cloud) -> None:
    die = cloud.folder / "die"
    die.touch()
    try:
        wanted = ("mended.csv", "--rows", "10")
        assert cloud.submit(*wanted).code == 0
        watched = cloud.jobs("watch", "mended")
    finally:
        die.unlink()
    assert watched.code == 5
    assert "job.failed" in watched.err
    assert "OutOfMemoryError" in watched.err
    assert "exit code 137" in watched.err
    assert "compute.memory" in watched.err
    assert cloud.submit(*wanted).code == 0
    assert cloud.jobs("watch", "mended").code == 0
    assert cloud.jobs("status", "mended", "--json").json["report"]["rows"] == 10


@pytest.mark.slow
def test_a_container_that_is_taken_away_is_tried_again(cloud: Cloud) -> None:
    (cloud.folder / "die-once").touch()
    assert cloud.submit("again.csv", "--rows", "10").code == 0
    assert cloud.jobs("watch", "again").code == 0
    (queue,) = cloud.aws.client("batch").describe_job_queues()["jobQueues"]
    listed = cloud.aws.client("batch").list_jobs(
        jobQueue=queue["jobQueueArn"], filters=[{"name": "JOB_NAME", "values": ["again_draw"]}]
    )
    (job,) = cloud.aws.client("batch").describe_jobs(
        jobs=[one["jobId"] for one in listed["jobSummaryList"]]
    )["jobs"]
    assert [one["container"]["exitCode"] for one in job["attempts"]] == [137, 0]
    lines = cloud.jobs("logs", "again").out.splitlines()
    assert any(line.startswith("draw try 2 | ") and "is done" in line for line in lines)
    assert any(line.startswith("join | ") for line in lines)


@pytest.mark.slow
def test_an_order_that_cannot_be_done_says_why_with_the_log(cloud: Cloud) -> None:
    cloud.put("models/garbage", b"no model")
    answer = cloud.jobs(
        "submit",
        "--model",
        "models/garbage",
        "--rows",
        str(ROWS),
        "--out",
        "bad.csv",
        "--parts",
        "2",
    )
    assert answer.code == 0, answer.err
    watched = cloud.jobs("watch", "bad")
    assert watched.code == 1
    assert "model.invalid" in watched.err
    assert "2 of 2 containers failed" in watched.err
    assert "draw/0 | " in watched.err, watched.err
    as_json = cloud.jobs("watch", "bad", "--json")
    assert as_json.code == 1
    *_, state, error = (json.loads(line) for line in as_json.out.splitlines())
    assert state["state"] == "failed"
    assert error["error"]["code"] == "model.invalid"


@pytest.mark.slow
def test_a_job_is_cancelled_and_can_be_taken_up_again(cloud: Cloud, hold: Path) -> None:
    wanted = ("stopped.csv", "--rows", str(ROWS), "--parts", "2")
    assert cloud.submit(*wanted).code == 0
    cloud.wait(lambda: cloud.jobs("status", "stopped", "--json").json["steps"][0]["running"] == 2)
    asked = cloud.jobs("cancel", "stopped")
    assert asked.code == 2
    assert "pass --yes" in asked.err
    ended = cloud.jobs("cancel", "stopped", "--yes", "--json")
    assert ended.json["state"] == "cancelled"
    assert [step["state"] for step in ended.json["steps"]] == ["cancelled", "cancelled"]
    assert cloud.jobs("watch", "stopped").code == 5
    assert "stopped" in cloud.jobs("list").out
    hold.unlink()
    assert cloud.submit(*wanted).code == 0
    assert cloud.jobs("watch", "stopped").code == 0
    listed = cloud.jobs("list", "--json").json
    assert {job["id"]: job["state"] for job in listed}["stopped"] == "succeeded"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("status", "nobody"), 4, "jobs list"),
        (("watch", "nobody"), 4, "jobs list"),
        (("logs", "nobody"), 4, "jobs list"),
        (("cancel", "nobody", "--yes"), 4, "jobs list"),
        (("submit", "--model", "models/none", "--rows", "5", "--out", "a.csv"), 4, "aws s3 cp"),
        (("submit", "--model", "m", "--rows", "5"), 2, "--out results/NAME.parquet"),
        (("submit", "--model", "m", "--rows", "5", "--out", "a.xlsx"), 2, "--out a.xlsx"),
        (("submit", "--model", "m", "--rows", "5", "--out", "a/b.csv"), 2, "--out a/b.csv"),
        (("submit", "--model", "m", "--out", "a.csv"), 1, "rows"),
        (("submit", "--rows", "5", "--out", "a.csv"), 1, "a model or a table"),
        (("submit", "--model", "../m", "--rows", "5", "--out", "a.csv"), 1, "../m"),
        (("submit", "/nowhere.json"), 1, "cannot be read"),
        (("submit", *SHOPS, "--parts", "10001"), 2, "at most 10000"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_started(
    cloud: Cloud, words: tuple[str, ...], code: int, says: str
) -> None:
    before = cloud.submitted()
    answer = cloud.jobs(*words)
    assert answer.code == code, answer.err
    assert says in answer.err
    assert "Traceback" not in answer.err
    assert cloud.submitted() == before


def test_a_file_and_flags_at_once_are_refused(cloud: Cloud) -> None:
    order = cloud.folder / "twice.json"
    order.write_text('{"model": "models/shops", "rows": 5}')
    answer = cloud.jobs("submit", str(order), "--rows", "6")
    assert answer.code == 2
    assert "--rows stands beside a file" in answer.err


def test_a_deployment_without_a_queue_says_what_to_do_instead(cloud: Cloud) -> None:
    answer = cloud.jobs("list", name="lambda")
    assert answer.code == 3
    assert "aws s3 cp ORDER.json s3://" in answer.err
