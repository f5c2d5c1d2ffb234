"""A daemon of Docker with the images that a deployment asks for; no registry is reached."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tabular.deploy.standalone import compose
from tests.cli.command import run as cli
from tests.testbed.containers import POSTGRES_IMAGE, podman
from tests.testbed.dockerd import Daemon, clear, dockerd, run

OURS = "inferloop/tabular:tested"
# The path of a socket has to be short.
FOLDER = Path("/run/inferloop-tabular-dockerd")


@pytest.fixture
def loaded_docker(tmp_path: Path) -> Iterator[Daemon]:
    """The daemon, with our image and those of PostgreSQL and Valkey."""
    archive = tmp_path / "images.tar"
    with podman() as variables:  # one test at a time has it, and so the daemon's folder
        built = cli("image", "build", "--json", home=tmp_path, extra=variables)
        assert built.code == 0, built.err
        image = json.loads(built.out)["image"]
        names = [image, POSTGRES_IMAGE, compose.VALKEY_IMAGE]
        words = ["podman", "save", "--multi-image-archive", "--output", str(archive), *names]
        run(words, {**os.environ, **variables})
        clear(FOLDER)
        FOLDER.mkdir()
        with dockerd(FOLDER) as made:
            made.docker("load", "--input", str(archive))
            archive.unlink()
            made.docker("tag", POSTGRES_IMAGE, compose.POSTGRES_IMAGE)
            made.docker("tag", image, OURS)
            yield made
