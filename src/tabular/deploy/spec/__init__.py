"""What the user writes, and the one model that every provider compiles."""

from __future__ import annotations

from tabular.deploy.spec.canonical import asked, canonical
from tabular.deploy.spec.model import Deployment

__all__ = ["Deployment", "asked", "canonical"]
