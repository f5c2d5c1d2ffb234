"""Where tests look for Kubernetes' programs, and what they say where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testbed.kube import build
from tests.testbed.kube.finding import PROGRAMS, programs


@pytest.fixture(autouse=True)
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("KUBEBUILDER_ASSETS", "CI"):
        monkeypatch.delenv(name, raising=False)


def _filled(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_assets_come_before_the_cache_unless_one_is_lacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = _filled(build.home(), *PROGRAMS)
    assert programs() == cached
    assets = _filled(tmp_path / "assets", *PROGRAMS)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    assert programs() == assets
    (assets / "kube-scheduler").unlink()
    assert programs() == cached


def test_a_test_without_programs_is_skipped_with_the_way_to_them() -> None:
    with pytest.raises(pytest.skip.Exception, match=r"python -m tests\.testbed\.kube\.build"):
        programs()
