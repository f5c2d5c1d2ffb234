"""`import` as it is typed: looked at first, carried out, recorded, and refused with reasons."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import run
from tests.cli.test_aws_deployment import REGION, Cloud
from tests.testbed.ministack import MiniStack

BUCKET = "our-old-bucket"
LINE = "import --provider aws --region us-east-1 --name demo"


@pytest.fixture
def cloud(ministack: MiniStack, aws_account: str, tmp_path: Path) -> Cloud:
    found = Cloud(ministack, aws_account, tmp_path)
    found.ask("s3").create_bucket(Bucket=f"{BUCKET}-{aws_account}")
    return found


def test_it_is_looked_at_adopted_and_recorded(cloud: Cloud) -> None:
    what = f"Bucket={BUCKET}-{cloud.account}"
    looked = cloud.run(f"{LINE} {what} --dry-run")
    assert looked.code == 0, looked.err
    assert f"= Bucket AWS::S3::Bucket: {BUCKET}-{cloud.account}" in looked.out
    assert "the next deploy sets BucketEncryption: Key is not there yet" in looked.out
    assert "1 to adopt; nothing is made, changed or deleted." in looked.out
    assert cloud.everything()["stacks"] == []

    asked = cloud.run(f"{LINE} {what}")
    assert (asked.code, "pass --yes" in asked.err) == (2, True)
    assert cloud.everything()["stacks"] == []

    done = cloud.run(f"{LINE} {what} --yes")
    assert done.code == 0, done.err
    assert "Bucket complete: Resource import completed." in done.err
    assert f"1 adopted into aws/{REGION}/development/demo" in done.out
    assert "The next deploy makes it what the spec says:" in done.out
    assert "PublicAccessBlockConfiguration: the spec says {'BlockPublicAcls': True" in done.out

    (log,) = cloud.home.rglob("audit.jsonl")
    first, last = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert (first["action"], first["adopted"]) == (
        "import",
        {"Bucket": f"{BUCKET}-{cloud.account}"},
    )
    assert last["outcome"] == "done"


def test_for_programs_it_is_one_document(cloud: Cloud) -> None:
    what = f"Bucket={BUCKET}-{cloud.account}"
    done = cloud.run(f"{LINE} {what} --yes --json").json
    assert done["adopt"] == [
        {
            "resource": "Bucket",
            "type": "AWS::S3::Bucket",
            "physical": f"{BUCKET}-{cloud.account}",
            "later": [{"property": "BucketEncryption", "reason": "Key is not there yet"}],
            "unread": [],
        }
    ]
    assert [one["resource"] for one in done["unlike"]["by_deploy"]] == ["Bucket"]
    assert done["unlike"]["by_hand"] == []
    again = cloud.run(f"{LINE} Bucket=another --yes --json")
    assert (again.code, again.json["error"]["code"]) == (3, "refused.import")


def test_where_nothing_can_be_imported_it_is_said(tmp_path: Path) -> None:
    done = run("import", "data=/srv/old", "--yes", home=tmp_path)
    assert done.code == 3
    assert "standalone imports nothing that is there already" in done.err
    assert "backup restore" in done.err
