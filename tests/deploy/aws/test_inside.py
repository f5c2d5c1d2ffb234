"""`backup` of a deployment on AWS: the program really runs, as a task beside the workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tabular.deploy.aws.compile import compile_stack
from tests.cli.command import Answer, run
from tests.deploy.aws.containers import running_containers
from tests.deploy.aws.harness import describe, provider_at
from tests.testbed.ministack import REGION, MiniStack

# What a container runs, where S3 has another address, and the database, which the emulator has in
# name only, is a file for each bucket: with a key in it, so that there is something to back up.
PROGRAM = """#!/bin/sh
bucket=$(echo "$TABULAR_STORAGE_URL" | sed 's|s3://||; s|/.*||')
export TABULAR_STORAGE_URL="$TABULAR_STORAGE_URL&endpoint=$AWS_ENDPOINT_URL"
export TABULAR_DATABASE_URL="sqlite:///{folder}/$bucket.db" TABULAR_QUEUE_URL=memory://q
if [ ! -e "{folder}/$bucket.db" ]; then
  {python} -m tabular.api migrate >/dev/null || exit 9
  [ -e {folder}/empty ] || {python} -m tabular.api create-key --name kept >/dev/null || exit 9
fi
exec {python} "$@"
"""


class Cloud:
    """AWS with two deployments, and a user at the command line."""

    def __init__(self, aws: MiniStack, folder: Path) -> None:
        self.aws, self.folder = aws, folder
        self.place = f"s3://backups/tabular?endpoint={aws.url}&region={REGION}"
        aws.client("s3").create_bucket(
            Bucket="backups", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        provider = provider_at(aws.url)
        specs = {"first": {}, "second": {}, "jobs": {"compute": {"type": "batch"}}}
        for name, spec in specs.items():
            stack = provider.compile(describe(name, **spec))
            list(provider.engine.apply(provider.engine.preview(stack)))

    def run(self, name: str, *words: str) -> Answer:
        """Run a command of `backup`."""
        place = ("--provider", "aws", "--name", name) if name else ()
        return run("backup", *words, *place, home=self.folder, extra=self.aws.environment())


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    with running_containers(folder, PROGRAM) as aws:
        yield Cloud(aws, folder)


@pytest.mark.slow
def test_a_backup_is_made_proven_and_restored(cloud: Cloud) -> None:
    made = cloud.run("first", "create", "--to", cloud.place, "--unencrypted", "--json")
    assert made.code == 0, made.err
    assert made.json["rows"] > 0
    # Proof that it can be restored, from anywhere that reads the bucket.
    secret = cloud.aws.client("secretsmanager")
    (key,) = [
        one["ARN"]
        for one in secret.list_secrets()["SecretList"]
        if "first" in one["Name"] and "SecretKey" in one["Name"]
    ]
    proven = cloud.run(
        "", "verify", "--from", cloud.place, "--restore", "--secret-key", f"aws-sm:{key}", "--json"
    )
    assert proven.code == 0, proven.err
    assert sum(proven.json["restored"]["rows"].values()) == made.json["rows"]
    back = cloud.run("first", "restore", "--from", cloud.place, "--yes", "--json")
    assert back.code == 0, back.err
    assert back.json["rows"] == proven.json["restored"]["rows"]


@pytest.mark.slow
def test_a_deployment_with_another_secret_key_is_told(cloud: Cloud) -> None:
    made = cloud.run("first", "create", "--to", cloud.place, "--unencrypted")
    assert made.code == 0, made.err
    assert "is whole" in made.out
    (cloud.folder / "empty").touch()
    done = cloud.run("second", "restore", "--from", cloud.place, "--yes")
    assert done.code == 5
    assert "secret key" in done.err


def test_what_cannot_be_read_there_is_refused_here(cloud: Cloud) -> None:
    for reference in ("env:PHRASE", "file:/home/me/phrase"):
        made = cloud.run("first", "create", "--to", cloud.place, "--passphrase", reference)
        assert made.code == 2
        assert "aws-sm:" in made.err
    given = cloud.run(
        "first", "restore", "--from", cloud.place, "--yes", "--secret-key", "aws-sm:other"
    )
    assert given.code == 2
    assert "its own secret key" in given.err


def test_without_tasks_the_way_is_told(cloud: Cloud) -> None:
    made = cloud.run("jobs", "create", "--to", cloud.place, "--unencrypted")
    assert made.code == 3, made.err
    assert "no tasks of ECS" in made.err


def test_the_worker_may_keep_backups_where_the_spec_says() -> None:
    stack = compile_stack(describe("demo", backup={"destination": "s3://backups/tabular"}), REGION)
    role = stack.template["Resources"]["WorkerRole"]["Properties"]["Policies"]
    assert "arn:${AWS::Partition}:s3:::backups/tabular/*" in str(role)
    assert "secret:tabular-backup-*" in str(role)
    api = stack.template["Resources"]["ApiRole"]["Properties"]["Policies"]
    assert ":::backups" not in str(api)
