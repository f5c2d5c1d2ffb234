"""One small run, of which every test that plants a loss takes a copy."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest

from tests.soak.ledger import Ledger
from tests.soak.soaked import Soaked, a_little_of_everything


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Soaked:
    folder = tmp_path_factory.mktemp("run")
    soaked = Soaked(folder, Ledger(), [])
    soaked.ask(a_little_of_everything)
    assert soaked.ledger.wrong == []
    return soaked


@pytest.fixture
def soaked(run: Soaked, tmp_path: Path) -> Soaked:
    folder = tmp_path / "copy"
    shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns("queue"))
    return Soaked(folder, copy.deepcopy(run.ledger), run.keys)


@pytest.fixture
def told(run: Soaked) -> Soaked:
    """The same without a copy of its folder, for what only looks at what was told."""
    return Soaked(run.folder, copy.deepcopy(run.ledger), run.keys)
