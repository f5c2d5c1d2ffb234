"""Each storage driver with a way to look at, and damage, what it stored from the other side."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import obstore
import pytest

from tabular.infra.storage import ObjectStore, open_store
from tabular.infra.storage.clients import _memories
from tests.testbed.azurite import CONTAINER, Azurite, azurite_server
from tests.testbed.gcs import GCS, fake_gcs_server, gcp_storage_emulator
from tests.testbed.s3 import BUCKET, S3, rclone_s3

_names = itertools.count(1)

# What a server of the test bed cannot show, each with what it does instead.
CONDITIONS, RANGES = "conditions", "ranges"
LACKS = {
    "s3-rclone": {
        CONDITIONS: "rclone serve s3 ignores If-None-Match",
        RANGES: "rclone serve s3 answers a range with 200, which obstore refuses",
    },
    "gcs-python": {CONDITIONS: "gcp-storage-emulator ignores ifGenerationMatch"},
}


class Outside(Protocol):
    """The blobs of a store as somebody else sees them."""

    def names(self) -> list[str]: ...
    def read(self, name: str) -> bytes: ...
    def write(self, name: str, data: bytes) -> None: ...
    def remove(self, name: str) -> None: ...


@dataclass(frozen=True)
class Folder:
    """Blobs as files."""

    path: Path

    def names(self) -> list[str]:
        found = (file for file in self.path.rglob("*") if file.is_file())
        return sorted(file.relative_to(self.path).as_posix() for file in found)

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_bytes(data)

    def remove(self, name: str) -> None:
        (self.path / name).unlink()


@dataclass(frozen=True)
class Bucket:
    """Blobs through another client of the server."""

    server: S3 | Azurite
    remote: str

    def names(self) -> list[str]:
        try:
            listed = self.server.rclone("lsf", "-R", "--files-only", self.remote)
        except RuntimeError as error:
            if "directory not found" in str(error):
                return []
            raise
        return sorted(listed.decode().split())

    def read(self, name: str) -> bytes:
        return self.server.rclone("cat", f"{self.remote}/{name}")

    def write(self, name: str, data: bytes) -> None:
        self.server.rclone("rcat", f"{self.remote}/{name}", data=data)

    def remove(self, name: str) -> None:
        self.server.rclone("deletefile", f"{self.remote}/{name}")


@dataclass(frozen=True)
class Google:
    """Blobs below a prefix of a bucket through plain requests."""

    server: GCS
    prefix: str

    def names(self) -> list[str]:
        return self.server.names(BUCKET, self.prefix)

    def read(self, name: str) -> bytes:
        return self.server.read(BUCKET, f"{self.prefix}/{name}")

    def write(self, name: str, data: bytes) -> None:
        self.server.write(BUCKET, f"{self.prefix}/{name}", data)

    def remove(self, name: str) -> None:
        self.server.remove(BUCKET, f"{self.prefix}/{name}")


@dataclass(frozen=True)
class Memory:
    """Blobs of a named memory store."""

    name: str

    def names(self) -> list[str]:
        pages = obstore.list(_memories[self.name])
        return sorted(meta["path"] for page in pages for meta in page)

    def read(self, name: str) -> bytes:
        return bytes(obstore.get(_memories[self.name], name).bytes())

    def write(self, name: str, data: bytes) -> None:
        obstore.put(_memories[self.name], name, data)

    def remove(self, name: str) -> None:
        obstore.delete(_memories[self.name], name)


@dataclass(frozen=True)
class Place:
    """A driver under test."""

    url: str
    outside: Outside
    credentials: Mapping[str, str] = field(default_factory=dict)
    shared: bool = True  # other processes see it
    lacks: Mapping[str, str] = field(default_factory=dict)

    def needs(self, what: str) -> None:
        """Skip the test when the server cannot show it."""
        if what in self.lacks:
            pytest.skip(self.lacks[what])

    def open(self) -> ObjectStore:
        return open_store(self.url, credentials=self.credentials)

    def data_of(self, key: str) -> str:
        """The name of the data blob of an object that has just one."""
        (name,) = (
            name
            for name in self.outside.names()
            if name.startswith(f"{key}@") and name != f"{key}@ref"
        )
        return name


@pytest.fixture(scope="session")
def second_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 server by other authors."""
    with rclone_s3(tmp_path_factory.mktemp("rclone")) as server:
        server.create_bucket(BUCKET)
        yield server


@pytest.fixture(scope="session")
def gcs_go(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GCS]:
    """The emulator fake-gcs-server."""
    with fake_gcs_server(tmp_path_factory.mktemp("gcs")) as server:
        server.create_bucket(BUCKET)
        yield server


@pytest.fixture(scope="session")
def gcs_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GCS]:
    """The emulator gcp-storage-emulator."""
    with gcp_storage_emulator(tmp_path_factory.mktemp("gcs")) as server:
        server.create_bucket(BUCKET)
        yield server


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """The emulator of Azure Blob."""
    with azurite_server(tmp_path_factory.mktemp("azurite")) as server:
        server.create_container(CONTAINER)
        yield server


@pytest.fixture(params=["file", "memory", "s3", "s3-rclone", "gcs-go", "gcs-python", "azure"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Every storage driver on every server that it has, empty."""
    kind: str = request.param
    prefix = f"place-{next(_names)}"
    if kind == "file":
        folder = tmp_path / "objects"
        folder.mkdir()
        return Place(folder.as_uri(), Folder(folder))
    if kind == "memory":
        return Place(f"memory://{prefix}", Memory(prefix), shared=False)
    if kind.startswith("gcs"):
        google: GCS = request.getfixturevalue(kind.replace("-", "_"))
        url = google.url(BUCKET, prefix)
        return Place(url, Google(google, prefix), lacks=LACKS.get(kind, {}))
    server: S3 | Azurite = request.getfixturevalue(
        {"s3": "s3", "s3-rclone": "second_s3", "azure": "azurite"}[kind]
    )
    url = server.url(BUCKET if isinstance(server, S3) else CONTAINER, prefix)
    outside = Bucket(server, server.remote(url))
    return Place(url, outside, credentials=server.credentials, lacks=LACKS.get(kind, {}))


@pytest.fixture
def store(place: Place) -> ObjectStore:
    """The store at `place`."""
    return place.open()
