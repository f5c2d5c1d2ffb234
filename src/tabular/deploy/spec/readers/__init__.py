"""Four file forms, one model."""

from __future__ import annotations

from tabular.deploy.spec.readers.draft import Draft, Origin
from tabular.deploy.spec.readers.shape import read

__all__ = ["Draft", "Origin", "read"]
