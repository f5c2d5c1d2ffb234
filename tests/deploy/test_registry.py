"""Plug-ins that are missing, broken or foreign, as distributions that are really on the path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from tabular.deploy import load_provider
from tabular.errors import TabularError
try:
    print(load_provider(sys.argv[1]).name)
except TabularError as error:
    print(error.code, "|", error.message, "|", error.where, "|", error.hint)
"""


def ask(folder: Path, name: str, distribution: str, module: str, value: str = "") -> str:
    """What loading a provider of a distribution says that has this module."""
    (folder / "plugged.py").write_text(module, encoding="utf-8")
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text(
        f"[inferloop_tabular.providers]\n{name} = {value or 'plugged:Made'}\n", encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name],
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "module",
    [
        "import not_there.sdk\n",
        "def Made(options):\n    import not_there.sdk\n",
    ],
    ids=["on import", "on construction"],
)
def test_an_extra_that_is_missing_is_named_with_the_command_that_installs_it(
    tmp_path: Path, module: str
) -> None:
    told = ask(tmp_path, "aws", "inferloop-tabular", module)
    assert told.startswith("config.missing-extra | provider aws needs the package 'not_there'")
    assert "pip install 'inferloop-tabular[aws]'" in told


def test_a_package_that_a_foreign_plug_in_lacks_is_that_plug_ins(tmp_path: Path) -> None:
    told = ask(tmp_path, "moon", "tabular-moon", "import not_there\n")
    assert "needs the package 'not_there'" in told
    assert "pip install 'tabular-moon'" in told


@pytest.mark.parametrize(
    ("module", "value", "said"),
    [
        ("1 / 0\n", "", "ZeroDivisionError"),
        ("def Made(options):\n    raise KeyError('x')\n", "", "KeyError"),
        ("Made = 3\n", "", "cannot be called"),
        ("", "", "has no attribute 'Made'"),
        ("", "plugged_nowhere:Made", "No module named 'plugged_nowhere'"),
        ("from tabular.deploy import no_such_name\n", "", "cannot import name"),
    ],
)
def test_a_broken_plug_in_is_a_sentence_that_names_its_distribution(
    tmp_path: Path, module: str, value: str, said: str
) -> None:
    told = ask(tmp_path, "moon", "tabular-moon", module, value)
    assert told.startswith("config.broken-plugin | provider moon of tabular-moon")
    assert said in told
    assert "pip install --upgrade tabular-moon" in told


def test_an_error_of_ours_is_told_as_it_is(tmp_path: Path) -> None:
    module = (
        "from tabular.errors import UsageError\n"
        "def Made(options):\n    raise UsageError('no such runtime')\n"
    )
    assert "usage.invalid | no such runtime" in ask(tmp_path, "moon", "tabular-moon", module)
