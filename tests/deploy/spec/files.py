"""Where the example files are, and how tests read texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tabular.deploy.spec import Overrides, ProblemsError, load_text

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
PORTABLE = "apiVersion: synthdata.inferloop.io/v1\nkind: Deployment\n"
NAMES = (
    "deployment.yaml",
    "aws-prod.yaml",
    "multi-cloud-ha.yaml",
    "helm-values-prod.yaml",
    "monitoring.yaml",
)


def problems(text: str, flags: Overrides | None = None) -> list[str]:
    """What is wrong with a text, as ``line:column key: message (hint)``."""
    with pytest.raises(ProblemsError) as caught:
        load_text(text, "f.yaml", flags)
    return [f"{p.place.removeprefix('f.yaml:')} {p}" for p in caught.value.problems]
