"""`aws iam-policy` as a deployer meets it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.command import run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LIMIT = 6144  # characters of a managed policy


def test_for_any_deployment_it_prints_policies_that_iam_takes(tmp_path: Path) -> None:
    """Neither credentials nor a network are needed: nothing of AWS is configured here."""
    told = run("aws", "iam-policy", home=tmp_path)
    assert told.code == 0, told.err
    assert told.err == ""
    found = told.json
    assert 1 < len(found) <= 10  # a user takes ten, unless a quota is raised
    for one in found:
        assert one["Version"] == "2012-10-17"
        assert len(json.dumps(one, separators=(",", ":"))) <= LIMIT
    actions = {a for one in found for s in one["Statement"] for a in s["Action"]}
    assert {"cloudformation:ExecuteChangeSet", "rds:CreateDBInstance", "batch:SubmitJob"} <= actions


def test_for_one_file_it_prints_less(tmp_path: Path) -> None:
    told = run("aws", "iam-policy", "--config", "deployment.yaml", home=tmp_path, cwd=EXAMPLES)
    assert told.code == 0, told.err
    actions = {a for one in told.json for s in one["Statement"] for a in s["Action"]}
    assert "ecs:CreateService" in actions
    assert "autoscaling:CreateAutoScalingGroup" not in actions
    assert "batch:SubmitJob" not in actions


def test_into_a_folder_it_writes_one_file_each(tmp_path: Path) -> None:
    told = run("aws", "iam-policy", "-o", "policies", home=tmp_path, cwd=tmp_path)
    assert told.code == 0, told.err
    names = told.out.split()
    files = sorted(tmp_path.glob("policies/*.json"))
    assert [str(Path("policies") / file.name) for file in files] == sorted(names)
    printed = run("aws", "iam-policy", home=tmp_path).json
    assert [json.loads((tmp_path / name).read_text("utf-8")) for name in names] == printed


def test_another_provider_has_no_such_policies(tmp_path: Path) -> None:
    told = run("aws", "iam-policy", "--provider", "gcp", "--name", "x", home=tmp_path)
    assert told.code == 2
    assert "leave --provider out" in told.err
    file = run(
        "aws", "iam-policy", "--config", "helm-values-prod.yaml", home=tmp_path, cwd=EXAMPLES
    )
    assert file.code != 0
    assert "Traceback" not in file.err


def test_a_wrong_file_is_told_by_line(tmp_path: Path) -> None:
    (tmp_path / "d.yaml").write_text("provider: aws\ncompute:\n  instnces: 3\n", encoding="utf-8")
    told = run("aws", "iam-policy", "--config", "d.yaml", home=tmp_path, cwd=tmp_path)
    assert told.code == 1
    assert "d.yaml:3" in told.err
    assert "instances" in told.err
