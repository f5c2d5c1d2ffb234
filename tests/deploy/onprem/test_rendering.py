"""A rendering is what Helm makes of the chart, read as Helm and servers read it."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from tabular.deploy.onprem.names import CHART
from tabular.deploy.onprem.rendered.rendering import loaded, objects_of, render
from tabular.errors import EngineError
from tests.deploy.onprem.chart.cases import BUILT_IN, CASES

# As sigs.k8s.io/yaml, which Helm and kubectl read with: YAML 1.1 without dates and base 60.
READ = """
date: 2024-01-01
time: 12:30
stamp: 2024-01-01T00:00:00Z
mode: 0440
power: 1e+07
share: 1.5
number: 10
quoted: "10"
none: null
"""


def test_documents_are_read_as_helm_reads_them() -> None:
    (found,) = objects_of(f"---\n{READ}\n---\n# nothing\n")
    assert found == {
        "date": "2024-01-01",
        "time": "12:30",
        "stamp": "2024-01-01T00:00:00Z",
        "mode": 0o440,
        "power": 10_000_000.0,
        "share": 1.5,
        "number": 10,
        "quoted": "10",
        "none": None,
    }


@pytest.mark.parametrize("case", ["external", "whole"])
def test_the_charts_files_say_the_same_to_another_reader(case: str) -> None:
    files = loaded(CHART).render(CASES[case], name="demo", namespace="data")
    for name, text in files.items():
        if not name.endswith("NOTES.txt"):
            other = [o for o in YAML(typ="safe", pure=True).load_all(text) if o]
            assert list(objects_of(text)) == other, name


def test_objects_are_those_of_the_release_in_helms_order_and_placed() -> None:
    found = render(BUILT_IN, name="demo", namespace="data")
    assert {one["metadata"]["namespace"] for one in found} == {"data"}
    kinds = [one["kind"] for one in found]
    assert kinds.index("NetworkPolicy") < kinds.index("Service") < kinds.index("Deployment")
    # The pod of `helm test` is none of them.
    assert "Pod" not in kinds


def test_values_that_break_the_schema_are_an_error_of_ours() -> None:
    with pytest.raises(EngineError, match="replicaCont"):
        render({"replicaCont": 3}, name="demo", namespace="data")
