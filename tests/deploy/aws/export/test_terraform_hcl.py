"""The writer of HCL: what `terraform fmt` leaves alone and terraform reads as it was meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.deploy.export.hcl import (
    Attribute,
    Block,
    Call,
    Expression,
    Script,
    Text,
    document,
    identifier,
    joined,
)
from tests.testbed.terraform import Terraform

ODD = ['"', "\\", "${a}", "$${", "%{if}", "\t\n", "é", "'", "#", "//", "EOT", "{}", "\u2028"]
texts = st.lists(st.sampled_from([*ODD, "plain ", "x"]), max_size=6).map("".join)
scalars = st.one_of(st.booleans(), st.integers(-(2**40), 2**40), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)


def outputs(found: list[Any]) -> bytes:
    """One output for each value."""
    return document(
        Block("output", (f"v{number}",), (Attribute("value", value),))
        for number, value in enumerate(found)
    )


def read(terraform: Terraform, folder: Path, text: bytes) -> dict[str, Any]:
    """Terraform's own reading of outputs, which need no provider."""
    (folder / "outputs.tf").write_bytes(text)
    done = terraform.run(folder, "fmt", "-check", "-diff")
    assert done.returncode == 0, done.stdout
    applied = terraform.run(folder, "apply", "-auto-approve", "-input=false")
    assert applied.returncode == 0, applied.stdout
    shown = json.loads(terraform.run(folder, "output", "-json").stdout)
    return {name: one["value"] for name, one in shown.items()}


@pytest.mark.slow
def test_terraform_reads_any_value_as_it_was_meant(terraform: Terraform, tmp_path: Path) -> None:
    found: list[Any] = []

    @given(values)
    @settings(max_examples=150, deadline=None, database=None)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    seen = read(terraform, tmp_path, outputs(found))
    assert [seen[f"v{number}"] for number in range(len(found))] == found


def test_texts_scripts_and_calls(terraform: Terraform, tmp_path: Path) -> None:
    script = "#!/bin/sh\necho \"${home}\" '%{x}' \\n\n\n  indented\nEOT\nEND\n"
    computed = Expression('upper("a")')
    seen = read(
        terraform,
        tmp_path,
        outputs(
            [
                *ODD,
                joined(["x-", computed, "-${y}"]),
                Script(Text((script, computed, "\nend\n"))),
                Call("jsonencode", ([{"a": 1, "b": [True]}, {"long": ["x" * 60, "y" * 60]}],)),
                Call("base64encode", (Script(Text(("line\n",))),)),
                Call("merge", (Expression('{ a = "1" }'), {"b": "2"})),
                2.5,
            ]
        ),
    )
    odd = len(ODD)
    assert [seen[f"v{number}"] for number in range(odd)] == ODD
    assert [seen[f"v{number}"] for number in range(odd, odd + 6)] == [
        "x-A-${y}",
        f"{script}A\nend\n",
        json.dumps([{"a": 1, "b": [True]}, {"long": ["x" * 60, "y" * 60]}], separators=(",", ":")),
        "bGluZQo=",
        {"a": "1", "b": "2"},
        2.5,
    ]


@pytest.mark.parametrize(
    ("logical", "name"),
    [
        ("Vpc", "vpc"),
        ("PublicSubnet1", "public_subnet_1"),
        ("NatAddress12", "nat_address_12"),
        ("S3Endpoint", "s3_endpoint"),
        ("Ec2MessagesEndpoint", "ec2_messages_endpoint"),
        ("ApiHighCPUAlarm", "api_high_cpu_alarm"),
        ("Subscription0a1b2c3d4e5f", "subscription0a1b2c3d4e5f"),
    ],
)
def test_logical_ids_become_names_as_terraform_has_them(logical: str, name: str) -> None:
    assert identifier(logical) == name
