"""The build context of the image: the same code and requirements give the same bytes.

What a container engine builds it caches by what is in the context, times and modes included. So
nothing of this host is in it: building again what was built before takes no time and gives the
very same image.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
from pathlib import Path

from tabular.deploy.image.code import DISTRIBUTION, Files
from tabular.errors import EngineError

RECIPE = Path(__file__).with_name("Containerfile")
# Packages of extras that go in: the clients of everything that a setting of the service can name,
# in any cloud. What deploys, what runs servers, and what only the command line uses does not.
CLIENTS = frozenset(
    {"azure-identity", "boto3", "google-auth", "minio", "opentelemetry-exporter-otlp-proto-http",
     "opentelemetry-sdk", "psycopg", "pyjwt", "pymemcache", "pymysql", "pyrage", "redis",
     "requests", "sansldap"}
)  # fmt: skip
_TIME = 315_532_800  # 1980-01-01, before which no archive format can say a time


def stage(folder: Path, files: Files) -> None:
    """Fill the build context with code, its recipe, and the pinned requirements.

    Args:
        folder: emptied first.
        files: the code by its place in the image, with its metadata; see `code.Code.read`.

    Raises:
        EngineError: the package's metadata cannot be read.
    """
    shutil.rmtree(folder, ignore_errors=True)
    found = importlib.metadata.distribution(DISTRIBUTION)
    pins = requirements(found.requires or []).encode()
    context = {
        **{f"app/{name}": content for name, content in files.items()},
        "requirements.txt": pins,
        "Containerfile": RECIPE.read_bytes(),
    }
    for name, content in context.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    # In the image another user reads it.
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (_TIME, _TIME))


def requirements(declared: list[str]) -> str:
    """The base requirements and those of the clients, pinned to what is installed here.

    Args:
        declared: requirements of the package's metadata.

    Raises:
        EngineError: one of them is none.
    """
    lines = []
    for line in declared:
        text, _, marker = line.partition(";")
        match = re.match(r"[A-Za-z0-9._-]+(\[[\w,-]+\])?", text.strip())
        if match is None:
            raise EngineError(f"the package's metadata has a requirement {line!r}")
        name = match.group().split("[")[0]
        if "extra ==" in marker and name.lower() not in CLIENTS:
            continue
        try:
            lines.append(f"{match.group()}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            lines.append(text.strip())
    return "\n".join(sorted(set(lines))) + "\n"
