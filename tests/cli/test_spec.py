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


def test_a_file_that_is_piped_in_is_validated(tmp_path: Path) -> None:
    text = (EXAMPLES / "aws-prod.yaml").read_text()
    fine = run("validate", "-", home=tmp_path, cwd=tmp_path, stdin=text)
    assert (fine.code, fine.err) == (0, "")
    assert fine.out.startswith("stdin: valid (flat form")
    wrong = run("validate", "-", home=tmp_path, cwd=tmp_path, stdin=f"{text}\nregoin: eu-west-1\n")
    assert wrong.code == 1
    line = text.count("\n") + 2
    assert wrong.err.startswith(f"error spec.invalid stdin:{line}:1: regoin: unknown key")


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


SPEC = "apiVersion: synthdata.inferloop.io/v1\nkind: Deployment\nspec:\n"


@pytest.mark.parametrize(
    ("block", "place", "said"),
    [
        ("{standalone: {prot: 80}}", "4:28", "did you mean 'port'?"),
        ("{standalone: {port: eighty}}", "4:28", "'eighty' is no port"),
        ("{awz: {x: 1}}", "4:15", "did you mean 'aws'?"),
        ("{standalone: {settings: {job_timeout: abc}}}", "4:39", "a valid number"),
        ("{standalone: {settings: {job_timeot: 5}}}", "4:39", "did you mean 'job_timeout'?"),
        ("{standalone: {settings: {rate_limit: often}}}", "4:39", "often"),
        ('{standalone: {settings: {plans: "{"}}}', "4:39", "plans"),
        ("{standalone: {images: {databse: a/b:1}}}", "4:37", "did you mean 'database'?"),
    ],
)
def test_overrides_are_looked_at_before_anything_is_planned(
    block: str, place: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "d.yaml").write_text(f"{SPEC}  overrides: {block}\n", encoding="utf-8")
    for command in (("validate",), ("plan", "--config"), ("config", "explain")):
        told = run(*command, "d.yaml", home=tmp_path, cwd=tmp_path)
        assert told.code == 1, told.out
        assert f"d.yaml:{place}: spec.overrides." in told.err
        assert said in told.err
    listed = run("validate", "d.yaml", "--json", home=tmp_path, cwd=tmp_path)
    (problem,) = listed.json["problems"]
    assert (listed.code, f"{problem['line']}:{problem['column']}") == (1, place)


def test_overrides_that_are_right_pass(tmp_path: Path) -> None:
    settings = "{job_timeout: 90, result_retention: 30d, plans: /not/on/this/machine.yaml}"
    block = f"{{standalone: {{port: 8123, settings: {settings}}}, gcp: {{anything: 1}}}}"
    (tmp_path / "d.yaml").write_text(f"{SPEC}  overrides: {block}\n", encoding="utf-8")
    checked = run("validate", "d.yaml", home=tmp_path, cwd=tmp_path)
    assert checked.code == 0, checked.err


@pytest.mark.parametrize(
    ("spec", "lines"),
    [
        ("compute: {gpu: required}", ["d.yaml:4:13: spec.compute.gpu: standalone cannot give"]),
        ("region: us-east-1", ["d.yaml:4:3: standalone cannot give region: one host"]),
        (
            "region: us-east-1\n  compute: {spot: {share: 50}}",
            ["d.yaml:4:3: region: one host", "d.yaml:5:20: compute.spot.share: belongs to a cloud"],
        ),
        ("compute: {instances: 99}", ["d.yaml:4:13: spec.compute.instances: standalone runs 1"]),
    ],
)
def test_what_the_provider_refuses_is_told_by_line(
    spec: str, lines: list[str], tmp_path: Path
) -> None:
    (tmp_path / "d.yaml").write_text(f"{SPEC}  {spec}\n", encoding="utf-8")
    assert run("validate", "d.yaml", home=tmp_path, cwd=tmp_path).code == 0, "portable all the same"
    for command in ("plan", "deploy"):
        told = run(command, "--config", "d.yaml", home=tmp_path, cwd=tmp_path)
        assert told.code == 3
        for line in lines:
            assert line in told.err


def test_a_kubeconfig_is_refused_where_there_is_no_cluster(tmp_path: Path) -> None:
    told = run("plan", "--kubeconfig", "~/.kube/config", home=tmp_path)
    assert told.code == 3
    assert "--kubeconfig: standalone cannot give onprem.kubeconfig" in told.err


def test_a_flag_given_twice_is_told_without_a_hole(tmp_path: Path) -> None:
    twice = ("--set", "spec.compute.workers=2", "--set", "spec.compute.workers=3")
    told = run("plan", *twice, home=tmp_path)
    assert "note: --set spec.compute.workers is given more than once: the last one counts\n" in (
        told.err
    )
    both = run("config", "explain", "--name", "a", "--set", "metadata.name=b", home=tmp_path)
    assert "note: --set metadata.name replaces --name\n" in both.err


def test_a_vendor_without_a_provider_is_told_apart_from_a_typing_error(tmp_path: Path) -> None:
    file = tmp_path / "gcp.yaml"
    file.write_text("provider: gcp\n", encoding="utf-8")
    told = run("plan", "--config", str(file), home=tmp_path)
    assert told.code == 2
    assert "gcp.yaml:1:11: no provider 'gcp' is installed" in told.err
    assert "this release brings aws, onprem and standalone" in told.err
    assert "this release" not in run("plan", "--provider", "awz", home=tmp_path).err
    starter = run("init", "--json", home=tmp_path, cwd=tmp_path).json["file"]
    brought = "This release brings standalone, aws and onprem"
    assert brought in (tmp_path / starter).read_text("utf-8")
