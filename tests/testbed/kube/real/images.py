"""The images of a node without a registry, as one archive: ours, its servers' and a pause."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tabular.deploy.image.names import PYTHON_IMAGE
from tabular.version import __version__
from tests.testbed.containers import podman

_COMMAND = str(Path(sys.executable).with_name("inferloop-tabular"))
# What the chart names when it is told nothing.
OUR_IMAGE = f"docker.io/inferloop/tabular:{__version__}"
PAUSE_IMAGE = "localhost/mirror/pause:1"
SERVERS_IMAGE = "localhost/mirror/servers:1"
# Debian's PostgreSQL and Redis, since those of the wheels speak no TLS. The chart runs them as 999,
# and calls the second by the name of its free descendant.
_SERVERS = f"""
FROM {PYTHON_IMAGE}
RUN mkdir -p /etc/postgresql-common \\
    && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf \\
    && apt-get update -qq \\
    && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \\
         postgresql-15 redis-server \\
    && rm -rf /var/lib/apt/lists /var/cache/apt \\
    && useradd --system --user-group --uid 999 server \\
    && ln -s redis-server /usr/bin/valkey-server && ln -s redis-cli /usr/bin/valkey-cli
ENV PATH=/usr/lib/postgresql/15/bin:$PATH
"""
# A sandbox does nothing but to hold its pod's namespaces.
_PAUSE = f'FROM {PYTHON_IMAGE}\nENTRYPOINT ["sleep", "infinity"]\n'


def write_archive(folder: Path) -> Path:
    """Build the platform's image as a user does, and write it and the others into an archive."""
    archive = folder / "images.tar"
    with podman() as variables:
        env = {**os.environ, **variables}
        build = ["image", "build", "--engine", "podman", "--base", PYTHON_IMAGE]
        _run(_COMMAND, *build, "--tag", OUR_IMAGE, env=env)
        for image, text in ((PAUSE_IMAGE, _PAUSE), (SERVERS_IMAGE, _SERVERS)):
            (folder / "Containerfile").write_text(text)
            _run("podman", "build", "-q", "--network=host", "-t", image, str(folder), env=env)
        images = (OUR_IMAGE, PAUSE_IMAGE, SERVERS_IMAGE)
        _run("podman", "save", "-q", "-m", "-o", str(archive), *images, env=env)
    return archive


def _run(*argv: str, env: dict[str, str]) -> None:
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
