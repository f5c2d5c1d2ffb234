"""The schema and the reference say what the model does."""

from __future__ import annotations

import json
from typing import Annotated, Any

import jsonschema
import pytest
from hypothesis import given, settings
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from tabular.deploy.spec import load, load_text
from tabular.deploy.spec.model import Deployment
from tabular.deploy.spec.schema import json_schema, markdown
from tabular.deploy.spec.starter import starter
from tabular.deploy.spec.walk import keys
from tabular.errors import SpecError
from tests.deploy.spec.files import EXAMPLES
from tests.deploy.spec.test_canonical import specs

SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_it_is_a_schema_of_its_draft() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(
    "text",
    [(EXAMPLES / "deployment.yaml").read_text(encoding="utf-8"), starter("tabular")],
    ids=["example", "starter"],
)
def test_valid_files_are_valid_for_an_editor(text: str) -> None:
    VALIDATOR.validate(YAML(typ="safe", pure=True).load(text))
    load_text(text)


@settings(max_examples=50)
@given(specs())
def test_what_the_model_takes_the_schema_takes(spec: dict[str, Any]) -> None:
    VALIDATOR.validate(
        {"apiVersion": "synthdata.inferloop.io/v1", "kind": "Deployment", "spec": spec}
    )


@pytest.mark.parametrize(
    "spec",
    [
        {"compute": {"instences": 3}},
        {"compute": {"memory": 16}},
        {"compute": {"memory": "16GB"}},
        {"compute": {"gpu": "maybe"}},
        {"database": {"version": 14}},
        {"monitoring": {"enabled": "yes"}},
        {"monitoring": {"retention": "soon"}},
        {"providers": {"aws": {}}},
        {"policy": {"waivers": [{"rule": "x"}]}},
    ],
)
def test_what_the_schema_refuses_the_model_refuses(spec: dict[str, Any]) -> None:
    whole = {"apiVersion": "synthdata.inferloop.io/v1", "kind": "Deployment", "spec": spec}
    assert not VALIDATOR.is_valid(whole)
    with pytest.raises(SpecError):
        load_text(json.dumps(whole))


def test_defaults_are_written_as_a_file_would_have_them() -> None:
    monitoring = SCHEMA["$defs"]["Monitoring"]["properties"]
    assert monitoring["retention"]["default"] == "30d"


def test_every_key_has_a_description_and_every_value_an_example() -> None:
    for key in keys():
        assert key.field.description, key.path
        assert key.block is not None or key.field.examples, key.path


def test_every_example_is_valid() -> None:
    for key in keys():
        annotated: Any = Annotated
        kind = annotated[(key.field.annotation, *key.field.metadata, "as the field has it")]
        reader: TypeAdapter[Any] = TypeAdapter(kind)
        for example in key.field.examples or ():
            reader.validate_python(example, strict=True)


def test_the_reference_is_what_the_model_says() -> None:
    page = (EXAMPLES.parent / "docs" / "spec.md").read_text(encoding="utf-8")
    written = page.partition("<!-- keys -->\n")[2].strip()
    assert written == markdown().strip(), "run `inferloop-tabular schema --format markdown`"


def test_every_key_is_in_the_reference() -> None:
    page = (EXAMPLES.parent / "docs" / "spec.md").read_text(encoding="utf-8")
    for key in keys():
        inside = ".resources." in key.path and key.path.count(".") > 4
        assert inside or f"`{key.path}`" in page, key.path


def test_the_starter_says_what_it_costs_nothing_to_say() -> None:
    made = load_text(starter("my-name")).deployment
    assert made.metadata.name == "my-name"
    assert made.spec.environment == "development"
    assert isinstance(made, Deployment)


def test_the_starters_comments_are_valid_too() -> None:
    lines = []
    for line in starter("tabular").splitlines():
        body = line.strip().removeprefix("# ")
        commented = line.strip().startswith("# ") and line.startswith("  ")
        is_key = commented and (body.lstrip(" -").partition(":")[0].replace("_", "").isalpha())
        lines.append(line.replace("# ", "", 1) if is_key else line)
    text = "\n".join(line for line in lines if not line.startswith("#"))
    made = load_text(text).deployment
    assert made.spec.cache is not None
    assert made.spec.compute.memory == 4 * 2**30
    assert made.spec.policy.waivers[0].rule == "public-without-tls"
    assert made.spec.networking.domain == "data.example.com"


def test_files_are_read_the_same_way_as_texts() -> None:
    text = (EXAMPLES / "deployment.yaml").read_text(encoding="utf-8")
    assert load_text(text).deployment == load(EXAMPLES / "deployment.yaml").deployment
