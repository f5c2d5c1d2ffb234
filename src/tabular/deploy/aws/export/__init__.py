"""A stack of AWS in the words of the tools that people already have."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tabular.deploy.aws.export import cdk
from tabular.deploy.aws.export.terraform import terraform
from tabular.deploy.stack import Stack

TEMPLATE = "template.json"


def cloudformation(stack: Stack) -> dict[str, bytes]:
    """The very bytes that a deploy hands in."""
    return {TEMPLATE: stack.to_bytes()}


FORMATS: Mapping[str, Callable[[Stack], Mapping[str, bytes]]] = {
    "cloudformation": cloudformation,
    "terraform": terraform,
    "cdk": cdk.app,
}
