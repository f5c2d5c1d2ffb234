"""A whole provider in a hundred lines: it "deploys" the platform as files in a folder.

It shows the shape of every provider: a table of what it can give, a compiler that is a plain
function, and an engine. A cloud has an engine of its own to drive; a folder has none, so this
one takes `JournaledEngine`, which asks for no more than how a resource is found, written and
removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from tabular.deploy.capability import CapabilityTable, native, require_supported, unsupported
from tabular.deploy.files import write_bytes
from tabular.deploy.journaled import JournaledEngine
from tabular.deploy.provider import Check, ProviderOptions
from tabular.deploy.records import Records
from tabular.deploy.spec import Deployment, asked, canonical
from tabular.deploy.stack import Resource, Stack, canonical_json
from tabular.deploy.target import Target

OWN = ("data", "api")


class FolderProvider:
    """Compiles to files; `options.home` is the place."""

    name = "folder"
    prices = None
    capabilities: ClassVar[CapabilityTable] = {
        "compute.instances": native("a number in the file"),
        "image": native("the file's name"),
        "storage.size": native("a number in the file"),
        "compute.gpu": unsupported("files have no GPU; leave it out"),
    }

    def __init__(self, options: ProviderOptions) -> None:
        self.engine = FolderEngine(options.home or Path("folder"))

    def target(self, deployment: Deployment) -> Target:
        """One folder for each environment and name."""
        return Target(self.name, deployment.metadata.name, deployment.spec.environment)

    def compile(self, deployment: Deployment) -> Stack:
        """Two resources: a data store, and the service on it."""
        require_supported(self.name, self.capabilities, asked(deployment))
        spec = deployment.spec
        version = spec.image.tag if spec.image and spec.image.tag else "built-in"
        service = {"instances": spec.compute.instances, "version": version}
        data = Resource("data", "Folder::Data", {"size": spec.storage.size}, stateful=True)
        api = Resource("api", "Folder::Service", service, depends_on=("data",))
        template = {resource.id: resource.as_dict() for resource in (data, api)}
        return Stack(self.target(deployment), template, (data, api), canonical(deployment))

    def doctor(self) -> Iterator[Check]:
        """Whether the folder is there."""
        yield Check("folder", self.engine.root.is_dir(), str(self.engine.root), "create it")


class FolderEngine(JournaledEngine):
    """Each resource is a file ``ID@VERSION.json`` in the folder of its target."""

    def __init__(self, root: Path) -> None:
        super().__init__(Records(root / ".records"))
        self.root = root

    def found(self, target: Target) -> Mapping[str, Resource]:
        """What the files say; others in the same folder are not ours."""
        files = [path for id_ in OWN for path in self._files(target, id_)]
        read = [Resource.from_dict(json.loads(path.read_bytes())) for path in files]
        return {resource.id: resource for resource in read}

    def write(self, target: Target, resource: Resource) -> None:
        """The old file goes, the new one comes; the journal knows how to undo it."""
        self.remove(target, resource)
        folder, version = self._folder(target), resource.properties.get("version", "1")
        folder.mkdir(parents=True, exist_ok=True)
        content = canonical_json(resource.as_dict())
        write_bytes(folder / f"{resource.id}@{version}.json", content)

    def remove(self, target: Target, resource: Resource) -> None:
        """Remove the file of a resource, whatever its version."""
        for path in self._files(target, resource.id):
            path.unlink()

    def _files(self, target: Target, id_: str) -> list[Path]:
        files = self._folder(target).glob(f"{id_}@*.json")
        return [path for path in files if path.is_file()]

    def _folder(self, target: Target) -> Path:
        return self.root / target.environment / target.name
