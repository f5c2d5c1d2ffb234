"""The page on AWS: its tables are what the code says, and each of its commands is tried."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from tabular.deploy.aws.account.stacks import STUCK, UNBORN
from tabular.deploy.aws.infrastructure.monitoring.alarms import names as alarm_names
from tabular.deploy.aws.infrastructure.monitoring.alarms import watches
from tabular.deploy.aws.infrastructure.template import MODULES
from tabular.deploy.aws.support import KINDS
from tabular.deploy.aws.words.overrides import OPTIONS
from tests.cli.command import run
from tests.cli.test_aws_deployment import EXAMPLES, Cloud
from tests.deploy.aws.made import wanted_of
from tests.testbed.ministack import MiniStack

PAGE = Path(__file__).resolve().parents[2] / "docs" / "aws.md"
TEXT = PAGE.read_text(encoding="utf-8")
WHOLE = {
    "monitoring": {"enabled": True},
    "cache": {"type": "valkey"},
    "database": {"size": "20Gi"},
}
# Tried elsewhere: pip by itself, an image with its builder (tests/deploy/image).
ELSEWHERE = ("pip install", "inferloop-tabular image push")
ASKS = ("deploy", "destroy", "scale", "rollback")


def _commands() -> list[str]:
    blocks = re.findall(r"^```console\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    return [line.removeprefix("$ ") for line in "".join(blocks).splitlines()]


def _column(heading: str, number: int) -> list[str]:
    """A column of the table that begins with this heading."""
    _, _, rest = TEXT.partition(f"\n| {heading} |")
    rows = [line for line in rest.partition("\n\n")[0].splitlines()[2:] if line]
    return [row.strip("| ").split(" | ")[number] for row in rows]


def _alarms() -> Iterator[str]:
    """The rows of the table of alarms, from what is watched."""
    names = alarm_names(wanted_of(WHOLE))
    for name in names:
        spec = {**WHOLE, "monitoring": {"enabled": True, "alarms": [name]}}
        for watch in watches(wanted_of(spec)):
            measured = ", ".join(dict.fromkeys(one.metric for one in watch.terms.values()))
            yield f"| `{name}` | `{watch.id}` | {watch.words} | {measured} | {watch.minutes} min |"


def test_the_alarms_are_those_that_are_made() -> None:
    head = "| name | alarm | raised when | measured | for |\n|---|---|---|---|---|\n"
    assert f"<!-- alarms -->\n\n{head}" + "\n".join(_alarms()) + "\n\n" in TEXT


def test_every_option_is_documented() -> None:
    rows = "\n".join(f"| `{name}` | {words} |" for name, words in OPTIONS.items())
    assert f"<!-- options -->\n\n| name | |\n|---|---|\n{rows}\n\n" in TEXT


def test_every_module_and_every_kind_is_in_its_table() -> None:
    names = [module.__name__.rpartition(".")[2] for module in MODULES]
    assert _column("module", 0) == names
    assert [re.findall(r"`([\w-]+)`", one)[0] for one in _column("`compute.type`", 0)] == [*KINDS]


def test_every_bad_state_is_told() -> None:
    told = " ".join(_column("`status` says", 0))
    for state in (STUCK | UNBORN) - {"REVIEW_IN_PROGRESS"}:
        assert f"`{state}`" in told, state


@pytest.mark.parametrize("command", [one for one in _commands() if one.startswith("aws ")])
def test_a_command_of_aws_is_one(command: str) -> None:
    """By the models of botocore, from which AWS makes its command line."""
    _, service, operation, *rest = shlex.split(command)
    model = botocore.session.Session().get_service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(names[operation]).input_shape
    assert shape is not None
    known = {xform_name(name, "-") for name in shape.members} | {"region", "query", "output"}
    said = {word.removeprefix("--") for word in rest if word.startswith("--")}
    assert said <= known
    assert {xform_name(name, "-") for name in shape.required_members} <= said


@pytest.mark.slow
def test_every_command_of_the_page_runs(
    ministack: MiniStack, aws_account: str, tmp_path: Path
) -> None:
    """In their order, on one account; yes is said to what asks."""
    cloud = Cloud(ministack, aws_account, tmp_path)
    for file in EXAMPLES.glob("*.yaml"):
        (tmp_path / file.name).symlink_to(file)
    tried = 0
    for command in _commands():
        if command.startswith("inferloop-tabular image push"):
            cloud.push_image()
        if command.startswith("inferloop-tabular import"):
            cloud.ask("s3").create_bucket(Bucket="our-old-bucket")
        if command.startswith((*ELSEWHERE, "aws ")):
            continue
        words = shlex.split(command)[1:]
        yes = ["--yes"] if words[0] in ASKS else []
        done = run(*words, *yes, home=tmp_path, cwd=tmp_path, extra=cloud.environment())
        assert done.code == 0, f"$ {command}\n{done.out[-2000:]}\n{done.err[-2000:]}"
        tried += 1
    assert tried == 16
    assert cloud.everything()["stacks"] == []
