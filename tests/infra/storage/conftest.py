"""Each storage driver with a way to look at, and damage, what it stored from the other side."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import obstore
import pytest

from tabular.infra.storage import ObjectStore, open_store
from tabular.infra.storage.cloud import _memories
from tests.testbed.s3 import S3

_names = itertools.count(1)


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
    """Blobs through another S3 client."""

    server: S3
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


@pytest.fixture(params=["file", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Every storage driver, empty."""
    if request.param == "file":
        folder = tmp_path / "objects"
        folder.mkdir()
        return Place(folder.as_uri(), Folder(folder))
    if request.param == "memory":
        name = f"test-{next(_names)}"
        return Place(f"memory://{name}", Memory(name), shared=False)
    server: S3 = request.getfixturevalue("s3")
    url: str = request.getfixturevalue("bucket_url")
    return Place(url, Bucket(server, server.remote(url)), credentials=server.credentials)


@pytest.fixture
def store(place: Place) -> ObjectStore:
    """The store at `place`."""
    return place.open()
