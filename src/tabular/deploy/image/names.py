"""What images are called."""

from __future__ import annotations

from tabular.version import __version__

REPOSITORY = "localhost/inferloop-tabular"
PYTHON_IMAGE = "docker.io/library/python:3.11-slim-bookworm"


def own_image(code: str) -> str:
    """Reference of the image that is built of some code: another code never takes its name."""
    return f"{REPOSITORY}:{__version__}-{code}"
