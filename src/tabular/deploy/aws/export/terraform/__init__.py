"""A stack of AWS as a configuration of Terraform, for its provider `hashicorp/aws`.

One resource for each of the template's, or the several that the provider has for it. Tables say
which (`kinds`); what they do not name is an error, so a configuration says all that the template
does. Of a deployment that runs, the configuration takes over what is there (`imports.tf`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.account.stacks import release_of, stack_name
from tabular.deploy.aws.export.terraform.configuration import Configuration, configure
from tabular.deploy.aws.export.terraform.readme import HANDOVER, readme
from tabular.deploy.aws.export.terraform.references import References
from tabular.deploy.aws.words.names import DESCRIPTION
from tabular.deploy.export.hcl import Attribute, Block, Call, Expression, document
from tabular.deploy.stack import Stack, canonical_json

TERRAFORM = ">= 1.11"  # since when a secret can be handed on without being remembered
PROVIDER = ">= 6.69, < 7.0"  # the one whose schema this is tested with, and later


def terraform(stack: Stack) -> dict[str, bytes]:
    """The files of the configuration.

    Raises:
        UnsupportedError: a resource, a property or a reference that has no counterpart here; such
            comes by ``spec.overrides.aws`` only.
    """
    made = configure(stack)
    outputs = [*_outputs(stack, made.references)]
    local = _locals(stack, made)
    files = {
        "versions.tf": [_versions(), _provider(stack)],
        "variables.tf": [*_variables(stack, made)],
        "locals.tf": [local],
        "data.tf": [made.references.data[key] for key in sorted(made.references.data)],
        **{name: [piece.block for piece in pieces] for name, pieces in made.pieces.items()},
        "outputs.tf": outputs,
        "imports.tf": [*_imports(made)],
    }
    found = {name: document(blocks) for name, blocks in files.items() if blocks}
    if stack.ids:
        found[HANDOVER] = canonical_json(_let_go(stack.template)) + b"\n"
    return {"README.md": readme(stack, made), **found}


def _let_go(template: Mapping[str, Any]) -> dict[str, Any]:
    """The template whose stack can be deleted without deleting anything.

    CloudFormation takes no change of policies alone, so the description changes as well.
    """
    kept = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    resources = {name: {**one, **kept} for name, one in template["Resources"].items()}
    description = resources[DESCRIPTION]
    words = {**description["Properties"], "Description": "Handed over to Terraform."}
    resources[DESCRIPTION] = {**description, "Properties": words}
    return {**template, "Resources": resources}


def _versions() -> Block:
    aws = {"source": "hashicorp/aws", "version": PROVIDER}
    needed = Block("required_providers", (), (Attribute("aws", aws),))
    return Block("terraform", (), (Attribute("required_version", TERRAFORM), needed))


def _provider(stack: Stack) -> Block:
    items = [Attribute("region", Expression("var.region"))]
    if stack.target.account:
        items.append(Attribute("allowed_account_ids", [stack.target.account]))
    return Block("provider", ("aws",), tuple(items))


def _variables(stack: Stack, made: Configuration) -> Iterator[Block]:
    yield _variable("region", "Where everything is.", stack.target.region)
    name = "Name of the deployment, with which the names of its resources begin."
    yield _variable("name", name, stack_name(stack.target))
    yield _variable("release", "Which release this is; the programs tell it.", release_of(stack))
    image = made.references.image
    if image is not None:
        words = "Image of the container."
        if isinstance(image, str):
            yield _variable("image", words, image)
        else:
            yield _variable("image", f"{words[:-1]}; of the account's registry if null.", None)
    if _mentioned(made, "var.secrets_version"):
        words = "Raise it to hand the secrets anew to database and cache after they were changed."
        yield _variable("secrets_version", words, 1)


def _variable(name: str, words: str, default: Any) -> Block:
    kind = "number" if isinstance(default, int) else "string"
    said = Expression("null") if default is None else default
    return Block(
        "variable",
        (name,),
        (
            Attribute("description", words),
            Attribute("type", Expression(kind)),
            Attribute("default", said),
        ),
    )


def _locals(stack: Stack, made: Configuration) -> Block:
    items = [Attribute("tags", dict(sorted(stack.tags.items())))]
    if _mentioned(made, "local.short_name"):
        short = Expression('"tabular-${substr(sha256(var.name), 0, 8)}"')
        items.insert(0, Attribute("short_name", short))
    if made.references.image is not None:
        items.insert(0, Attribute("image", _image(made.references)))
    return Block("locals", (), tuple(items))


def _mentioned(made: Configuration, name: str) -> bool:
    return any(name in str(piece.items) for pieces in made.pieces.values() for piece in pieces)


def _image(references: References) -> Any:
    image = references.image
    if isinstance(image, str):
        return Expression("var.image")
    plain = References(references.targets, None, references.data)
    return Call("coalesce", (Expression("var.image"), plain.value(image, "image")))


def _outputs(stack: Stack, references: References) -> Iterator[Block]:
    outputs: Mapping[str, Any] = stack.template.get("Outputs", {})
    for name in sorted(outputs):
        value = references.value(outputs[name]["Value"], f"Outputs.{name}")
        words = Attribute("description", outputs[name]["Description"])
        yield Block("output", (name,), (words, Attribute("value", value)))


def _imports(made: Configuration) -> Iterator[Block]:
    for pieces in made.pieces.values():
        for piece in pieces:
            if piece.running is not None:
                to = Attribute("to", Expression(piece.address))
                yield Block("import", (), (to, Attribute("id", piece.running)))
