"""Small images under the names that the chart asks for, in files or in a registry."""

from __future__ import annotations

import json
from pathlib import Path

from tabular.deploy.onprem.airgap import images
from tabular.deploy.onprem.airgap.contents import Release
from tabular.deploy.onprem.airgap.create import Made, Order, create
from tabular.deploy.onprem.airgap.reference import Reference
from tabular.deploy.onprem.airgap.registry.connection import Access
from tabular.deploy.onprem.airgap.sources import Sources
from tests.testbed.registry import Image, Registry, archive, image, layer, several

RELEASE = Release(
    name="demo",
    namespace="demo-prod",
    kube_version="1.30",
    values={"postgresql": {"enabled": True}, "minio": {"enabled": True}},
)
SHARED = layer("base", b"of every image")
HERE = Access(insecure=True)


def described(folder: Path) -> Path:
    """A deployment file."""
    path = folder / "deployment.json"
    said = {
        "apiVersion": "synthdata.inferloop.io/v1",
        "kind": "Deployment",
        "metadata": {"name": "demo"},
        "spec": {"provider": "onprem"},
    }
    path.write_text(json.dumps(said), encoding="utf-8")
    return path


def picture(name: str, *, size: int = 100, mark: str = "") -> Image:
    """An image for amd64: a layer that all have, and one of its own."""
    own = (name + mark).encode() * (size // len(name) + 1)
    return image(SHARED, layer("own", own))


def files(folder: Path, release: Release = RELEASE, *, mark: str = "") -> dict[str, str]:
    """An archive for each image of a release, as `Sources.chosen` takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for number, name in enumerate(images.of(release)):
        path = archive(folder / f"{number}.tar", picture(name, mark=mark))
        found[name] = f"archive:{path}"
    return found


def fill(
    registry: Registry, release: Release = RELEASE, *, size: int = 100, mark: str = ""
) -> None:
    """Put the images of a release, for two platforms, below hub/ of a registry."""
    for name in images.of(release):
        said = Reference.parse(name)
        arm = image(layer("arm", b"of another processor"), architecture="arm64")
        both = {"linux/arm64/v8": arm, "linux/amd64": picture(name, size=size, mark=mark)}
        registry.put(f"hub/{said.shelf}", said.tag, several(both))


def hub(address: str, access: Access = HERE) -> Sources:
    """Images out of such a registry."""
    return Sources(access, dict.fromkeys(("docker.io", "quay.io"), f"{address}/hub"))


def make(folder: Path, name: str = "bundle", *, mark: str = "", **order: object) -> Made:
    """A bundle of archives, without wheels."""
    sources = Sources(chosen=files(folder / f"images{mark}", mark=mark))
    asked = {"release": RELEASE, "sources": sources, "wheels": False, **order}
    return create(Order(**asked), folder / name)  # type: ignore[arg-type]
