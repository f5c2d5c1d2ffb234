"""What the user writes, and the one model that every provider compiles."""

from __future__ import annotations

from tabular.deploy.spec.canonical import asked, canonical
from tabular.deploy.spec.explain import Explained, explain
from tabular.deploy.spec.load import Loaded, load, load_text
from tabular.deploy.spec.model import Deployment
from tabular.deploy.spec.overrides import Overrides
from tabular.deploy.spec.problems import Problem, ProblemsError

__all__ = [
    "Deployment",
    "Explained",
    "Loaded",
    "Overrides",
    "Problem",
    "ProblemsError",
    "asked",
    "canonical",
    "explain",
    "load",
    "load_text",
]
