"""What people should know of a configuration before they apply it."""

from __future__ import annotations

from tabular.deploy.aws.export.terraform.configuration import Configuration
from tabular.deploy.stack import Stack


def readme(stack: Stack, made: Configuration) -> bytes:
    """The file."""
    return f"# {stack.target.id}\n".encode()
