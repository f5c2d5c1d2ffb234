"""The parts put together: one template, its index of resources, and what describes it.

The spec travels in the template's metadata, so any teammate's machine can read a deployment back.
CloudFormation takes no update that changes metadata alone; so a parameter of Systems Manager holds
the release, and a change of the spec alone is a change too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from types import ModuleType

from tabular.deploy.aws.infrastructure import (
    backup,
    cache,
    compute,
    database,
    monitoring,
    networking,
    queue,
    security,
    storage,
)
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, index, ref, resource
from tabular.deploy.aws.words.names import DESCRIPTION, METADATA, RELEASE
from tabular.deploy.aws.words.overrides import lay_over
from tabular.deploy.aws.words.tags import tagged
from tabular.deploy.spec import canonical
from tabular.deploy.stack import Stack

# In the order in which a reader meets them; the engine finds its own.
MODULES: tuple[ModuleType, ...] = (
    networking,
    security,
    storage,
    database,
    cache,
    queue,
    compute,
    monitoring,
    backup,
)


def build(wanted: Wanted) -> Stack:
    """The stack; a plain function of its input."""
    parts: Part = {}
    for module in MODULES:
        added: Part = module.resources(wanted)
        twice = parts.keys() & added.keys()
        if twice:
            raise AssertionError(f"{module.__name__} makes again: {', '.join(sorted(twice))}")
        parts |= added
    parts[DESCRIPTION] = _description()
    tags = wanted.tags
    parts = {name: tagged(document, tags) for name, document in parts.items()}
    parts = lay_over(parts, wanted.overrides)
    spec = canonical(wanted.deployment)
    reductions = tuple(found for module in MODULES for found in module.reductions(wanted))
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"inferloop-tabular {wanted.target.environment}/{wanted.target.name}",
        "Metadata": {
            METADATA: {
                "spec": spec,
                "target": {k: v for k, v in asdict(wanted.target).items() if k != "account"},
                "reductions": [asdict(one) for one in reductions],
                "tags": dict(tags),
            }
        },
        "Parameters": {
            RELEASE: {
                "Type": "String",
                "Default": "none",
                "AllowedPattern": "[0-9a-z]+",
                "Description": "Set by the engine: which release this is.",
            }
        },
        "Resources": parts,
        "Outputs": dict(_outputs(wanted)),
    }
    return Stack(
        target=wanted.target,
        template=template,
        resources=index(template),
        spec=spec,
        tags=tags,
        reductions=reductions,
    )


def _description() -> Document:
    return resource(
        "AWS::SSM::Parameter",
        {"Type": "String", "Value": ref(RELEASE), "Description": "Release that is deployed."},
    )


def _outputs(wanted: Wanted) -> Iterator[tuple[str, Document]]:
    for module in MODULES:
        for name, (value, words) in sorted(module.outputs(wanted).items()):
            yield name, {"Value": value, "Description": words}
