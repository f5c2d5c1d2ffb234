"""An image of this machine goes along as podman has it, and podman reads it out of the bundle."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tabular.deploy.onprem.airgap.opened import Opened
from tabular.version import __version__
from tests.cli.command import Answer, run
from tests.cli.test_bundle import DEPLOYMENT
from tests.deploy.onprem.airgap.bed import picture
from tests.testbed.parts import debian
from tests.testbed.registry import archive

pytestmark = [pytest.mark.containers, pytest.mark.root]
LOCAL = "localhost/bundled:1"
OWN = f"inferloop/tabular:{__version__}"


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """A podman of this test alone, with one image; it runs nothing, so it needs no runtime."""
    debian("podman", package="podman")
    place = tmp_path / "podman"
    place.mkdir()
    (place / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{place}/graph"\nrunroot = "{place}/run"\n',
        encoding="utf-8",
    )
    (place / "Containerfile").write_text("FROM scratch\nCOPY file /file\n", encoding="utf-8")
    (place / "file").write_text("of the image", encoding="utf-8")
    found = {"CONTAINERS_STORAGE_CONF": str(place / "storage.conf")}
    podman(found, "build", "--quiet", "--tag", LOCAL, str(place))
    return found


def podman(variables: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        ["podman", *words], env={**os.environ, **variables}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout.strip()


def create(home: Path, variables: dict[str, str], output: str, source: str) -> Answer:
    chosen = [f"{OWN}={source}"]
    listed = run("bundle", "create", "demo.json", "--list", "--json", home=home, cwd=home).json
    for number, name in enumerate(listed["images"]):
        if name != OWN:
            path = archive(home / f"{number}.tar", picture(name))
            chosen.append(f"{name}=archive:{path}")
    flags = [word for one in chosen for word in ("--image", one)]
    words = ("bundle", "create", "demo.json", "--no-wheels", "--output", output, *flags)
    return run(*words, home=home, cwd=home, extra=variables)


def test_an_image_of_podman_goes_along(tmp_path: Path, variables: dict[str, str]) -> None:
    (tmp_path / "demo.json").write_text(json.dumps(DEPLOYMENT), encoding="utf-8")
    for output in ("first", "second"):
        made = create(tmp_path, variables, output, f"podman:{LOCAL}")
        assert made.code == 0, made.err
        assert f"saving {LOCAL} from podman" in made.err
    first, second = Opened.open(tmp_path / "first"), Opened.open(tmp_path / "second")
    assert first.contents().images == second.contents().images
    identity = podman(variables, "image", "inspect", "--format", "{{.Id}}", LOCAL)
    podman(variables, "rmi", LOCAL)
    podman(variables, "pull", "--quiet", f"oci:{tmp_path}/first/images:{OWN}")
    assert identity in podman(variables, "images", "--no-trunc", "--quiet")

    none = create(tmp_path, variables, "third", "podman:localhost/none:1")
    assert (none.code, "podman has no image localhost/none:1" in none.err) == (4, True)
    assert not (tmp_path / "third").exists()
