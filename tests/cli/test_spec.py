"""`init`, `validate`, `schema` and `config explain` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = sorted(file.name for file in EXAMPLES.glob("*.yaml"))


def test_init_writes_what_validate_accepts_and_replaces_nothing(tmp_path: Path) -> None:
    made = run("init", "--name", "my-tables", home=tmp_path, cwd=tmp_path)
    assert made.code == 0, made.err
    assert made.out.splitlines()[0] == "wrote deployment.yaml"
    checked = run("validate", "deployment.yaml", home=tmp_path, cwd=tmp_path)
    assert checked.code == 0
    assert checked.out == "deployment.yaml: valid (portable form, deployment my-tables)\n"
    before = (tmp_path / "deployment.yaml").read_bytes()
    again = run("init", "--json", home=tmp_path, cwd=tmp_path)
    assert again.code == 1
    assert again.json["error"]["where"] == "deployment.yaml"
    assert "--force" in again.json["error"]["hint"]
    assert (tmp_path / "deployment.yaml").read_bytes() == before
    assert run("init", "--force", home=tmp_path, cwd=tmp_path).code == 0
    assert (tmp_path / "deployment.yaml").read_bytes() != before


def test_init_refuses_a_name_that_validate_would_refuse(tmp_path: Path) -> None:
    made = run("init", "--name", "Bad Name", home=tmp_path, cwd=tmp_path)
    assert made.code == 1
    assert "metadata.name" in made.err
    assert not (tmp_path / "deployment.yaml").exists()


@pytest.mark.parametrize("name", NAMES)
def test_every_example_is_valid(name: str, tmp_path: Path) -> None:
    checked = run("validate", name, "--json", home=tmp_path, cwd=EXAMPLES)
    assert checked.code == 0, checked.out
    assert checked.json["valid"] is True
    assert checked.json["problems"] == []


def test_a_wrong_file_is_told_by_line_to_people_and_to_programs(tmp_path: Path) -> None:
    (tmp_path / "d.yaml").write_text(
        "apiVersion: synthdata.inferloop.io/v1\nkind: Deployment\n"
        "spec:\n  databse: {}\n  compute:\n    memory: 16\n",
        encoding="utf-8",
    )
    told = run("validate", "d.yaml", home=tmp_path, cwd=tmp_path)
    assert told.code == 1
    assert told.out == ""
    assert "Traceback" not in told.err
    assert "d.yaml:4:3: spec.databse: unknown key (did you mean 'database'?)" in told.err
    assert "d.yaml:6:13: spec.compute.memory: a size needs a unit: write 16Gi" in told.err
    listed = run("validate", "d.yaml", "--json", home=tmp_path, cwd=tmp_path)
    assert listed.code == 1
    assert [(p["line"], p["column"], p["key"]) for p in listed.json["problems"]] == [
        (4, 3, "spec.databse"),
        (6, 13, "spec.compute.memory"),
    ]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    told = run("validate", "none.yaml", "--json", home=tmp_path, cwd=tmp_path)
    assert told.code == 1
    assert told.json["problems"][0]["where"] == "none.yaml"


def test_schema_is_json_or_tables(tmp_path: Path) -> None:
    printed = run("schema", home=tmp_path)
    assert printed.code == 0
    assert printed.json["$schema"].endswith("2020-12/schema")
    assert run("schema", "--json", home=tmp_path).out == printed.out
    assert "`spec.compute.cpu`" in run("schema", "--format", "markdown", home=tmp_path).out
    assert run("schema", "--format", "xml", home=tmp_path).code == 2


def test_explain_says_where_each_value_comes_from(tmp_path: Path) -> None:
    told = run(
        "config", "explain", "aws-prod.yaml", "--region", "us-east-1", "--json",
        home=tmp_path, cwd=EXAMPLES,
    )  # fmt: skip
    assert told.code == 0, told.err
    rows = {row["key"]: row for row in told.json["values"]}
    assert rows["spec.region"]["origin"] == "--region"
    assert rows["spec.database.type"] == {
        "key": "spec.database.type",
        "value": "postgresql",
        "origin": "aws-prod.yaml:15:11",
        "note": "database.engine (postgres is postgresql)",
    }
    assert rows["spec.compute.workers"]["origin"] == "default"
    text = run("config", "explain", "aws-prod.yaml", home=tmp_path, cwd=EXAMPLES).out
    (line,) = [row for row in text.splitlines() if row.startswith("spec.compute.instance_type")]
    assert line.split()[1:3] == ["m5.2xlarge", "aws-prod.yaml:4:18"]


def test_explain_shows_no_secret(tmp_path: Path) -> None:
    for form in ([], ["--json"], ["--all"]):
        told = run("config", "explain", "helm-values-prod.yaml", *form, home=tmp_path, cwd=EXAMPLES)
        assert told.code == 0
        assert "changeme" not in told.out + told.err
        assert "********" in told.out


def test_a_contradiction_is_a_usage_error_that_names_both_places(tmp_path: Path) -> None:
    told = run(
        "config", "explain", "aws-prod.yaml", "--provider", "gcp", home=tmp_path, cwd=EXAMPLES
    )
    assert told.code == 2
    assert "--provider says gcp, and aws-prod.yaml:1:11 says provider: aws" in told.err


def test_what_a_flag_replaces_is_told_on_stderr(tmp_path: Path) -> None:
    told = run(
        "config", "explain", "deployment.yaml", "--set", "spec.compute.instances=1", "--json",
        home=tmp_path, cwd=EXAMPLES,
    )  # fmt: skip
    assert "--set spec.compute.instances replaces spec.compute.instances" in told.err
    assert json.loads(told.out)["notes"]


def test_where_nobody_names_a_provider_it_is_this_machine_and_explain_says_so(
    tmp_path: Path,
) -> None:
    told = run("config", "explain", "--json", home=tmp_path)
    rows = {row["key"]: row for row in told.json["values"]}
    assert rows["spec.provider"]["value"] == "standalone"
    assert rows["spec.provider"]["origin"] == "default"
    planned = run("plan", "--json", home=tmp_path).json["target"]
    assert planned == "standalone/development/tabular"


def test_a_wrong_set_is_not_said_again(tmp_path: Path) -> None:
    told = run("plan", "--set", "spec.database.password: hunter2secret", home=tmp_path)
    assert told.code == 2
    assert "hunter2secret" not in told.out + told.err
    assert "Traceback" not in told.err
