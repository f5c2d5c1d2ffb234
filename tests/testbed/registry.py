"""A real OCI registry (Debian's docker-registry), and small images put into it by plain HTTP.

What fills it is not the client under test, so that a mistake of that one cannot hide.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.testbed.parts import debian
from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running

OCI = "application/vnd.oci.image"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


# Whom a registry that is shut lets in, and the hash of it (bcrypt).
USER, PASSWORD = "alice", "correct horse"
_HASH = "$2b$04$BVrR5X0CEBSMo8w1MXDZn.Q4fkc0rPoIcgL/Hf/Ngr1qjVtQWZM6C"


@dataclass(frozen=True)
class Registry:
    """A running registry.

    Attributes:
        host: with its port.
        root: folder of its files.
        log: file of its log, a line for each request.
    """

    host: str
    root: Path
    log: Path

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def put(self, repository: str, tag: str, image: Image, **sent: Any) -> str:
        """Push an image; the digest of its manifest."""
        with httpx.Client(base_url=f"{self.url}/v2/{repository}/", timeout=60, **sent) as client:
            for content in image.blobs:
                started = client.post("blobs/uploads/")
                assert started.status_code == 202, started.text
                done = client.put(
                    started.headers["Location"],
                    params={**dict(httpx.URL(started.headers["Location"]).params),
                            "digest": digest(content)},
                    content=content,
                    headers={"Content-Type": "application/octet-stream"},
                )  # fmt: skip
                assert done.status_code == 201, done.text
            for document, media_type in (*image.inner, (image.manifest, image.media_type)):
                name = tag if document is image.manifest else digest(document)
                done = client.put(
                    f"manifests/{name}", content=document, headers={"Content-Type": media_type}
                )
                assert done.status_code == 201, done.text
        return digest(image.manifest)

    def blob_file(self, sha256: str) -> Path:
        """Where it keeps a blob."""
        folder = self.root / "docker/registry/v2/blobs/sha256"
        return folder / sha256[:2] / sha256 / "data"

    def tags(self, repository: str) -> list[str]:
        """Tags of a repository."""
        said = httpx.get(f"{self.url}/v2/{repository}/tags/list").json()
        return sorted(said.get("tags") or ())


@dataclass(frozen=True)
class Image:
    """An image, or a list of several, as bytes."""

    manifest: bytes
    media_type: str
    blobs: tuple[bytes, ...]
    inner: tuple[tuple[bytes, str], ...] = ()


def image(
    *layers: bytes, architecture: str = "amd64", docker: bool = False, **config: Any
) -> Image:
    """An image with these layers."""
    contents = [digest(gzip.decompress(one)) for one in layers]
    said = {"os": "linux", "architecture": architecture, **config}
    said["rootfs"] = {"type": "layers", "diff_ids": contents}
    configuration = json.dumps(said).encode()
    kind = "application/vnd.docker" if docker else OCI
    names = (
        ("container.image.v1+json", "image.rootfs.diff.tar.gzip")
        if docker
        else ("config.v1+json", "layer.v1.tar+gzip")
    )
    media_type = DOCKER_MANIFEST if docker else f"{OCI}.manifest.v1+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": _descriptor(configuration, f"{kind}.{names[0]}"),
        "layers": [_descriptor(one, f"{kind}.{names[1]}") for one in layers],
    }
    return Image(json.dumps(manifest).encode(), media_type, (configuration, *layers))


def several(images: Mapping[str, Image]) -> Image:
    """A list of images by their platform, such as ``linux/arm64``."""
    entries = []
    for platform, one in images.items():
        said = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
        entries.append({**_descriptor(one.manifest, one.media_type), "platform": said})
    index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": entries}
    blobs = tuple(dict.fromkeys(blob for one in images.values() for blob in one.blobs))
    inner = tuple((one.manifest, one.media_type) for one in images.values())
    return Image(json.dumps(index).encode(), f"{OCI}.index.v1+json", blobs, inner)


def layer(name: str, content: bytes) -> bytes:
    """A layer with one file."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), 1, mtime=0)


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(content: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(content), "size": len(content)}


@contextlib.contextmanager
def registry(folder: Path, *, shut: bool = False, lines: Sequence[str] = ()) -> Iterator[Registry]:
    """Run a registry for the time of the block; mark its tests ``debian``.

    Args:
        folder: for its files.
        shut: whether it lets only `USER` in.
        lines: further lines of its configuration.
    """
    program = debian("docker-registry", package="docker-registry")
    root, port = folder / "registry", free_port()
    root.mkdir(parents=True)
    said = [
        "version: 0.1",
        "log: {accesslog: {disabled: true}, level: warn}",
        f"storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}",
        f"http: {{addr: '127.0.0.1:{port}', secret: of-a-test}}",
        *lines,
    ]
    if shut:
        (folder / "htpasswd").write_text(f"{USER}:{_HASH}\n", encoding="utf-8")
        said.append(f"auth: {{htpasswd: {{realm: test, path: {folder / 'htpasswd'}}}}}")
    configuration = folder / "config.yml"
    configuration.write_text("\n".join(said) + "\n", encoding="utf-8")
    log = folder / "registry.log"
    with running([program, "serve", configuration], log=log):
        wait_for_port(port)
        yield Registry(f"127.0.0.1:{port}", root, log)


def archive(path: Path, one: Image) -> Path:
    """The image as a file, as `podman save --format oci-archive` makes it."""
    index = {"schemaVersion": 2, "manifests": [_descriptor(one.manifest, one.media_type)]}
    files = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps(index).encode(),
        **{
            f"blobs/sha256/{digest(content).removeprefix('sha256:')}": content
            for content in (*one.blobs, one.manifest, *(inner for inner, _ in one.inner))
        },
    }
    with tarfile.open(path, "w") as file:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path
