"""Names within a template that more than one module goes by."""

from __future__ import annotations

METADATA = "InferloopTabular"
RELEASE = "Release"
DESCRIPTION = "Description"
