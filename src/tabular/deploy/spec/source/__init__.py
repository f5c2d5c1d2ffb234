"""From a file to a tree of values that know where they stand."""

from __future__ import annotations

from tabular.deploy.spec.source.compose import parse
from tabular.deploy.spec.source.node import Node
from tabular.deploy.spec.source.text import STDIN, check_characters, decode, read_stdin, read_text

__all__ = ["STDIN", "Node", "check_characters", "decode", "parse", "read_stdin", "read_text"]
