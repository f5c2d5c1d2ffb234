from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.standalone.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A home of its own, with nothing left running at the end."""
    home = Place(tmp_path / "home")
    yield home
    home.close()
