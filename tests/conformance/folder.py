"""The example provider under test; the quick way to try the suite itself."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tabular.deploy.plan import Plan
from tabular.deploy.provider import Provider, ProviderOptions
from tabular.deploy.spec import Deployment, canonical

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "provider" / "folder.py"


def load_example() -> Any:
    """The example as a module, from where the documentation shows it."""
    if (loaded := sys.modules.get("folder_example")) is not None:
        return loaded
    spec = importlib.util.spec_from_file_location("folder_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["folder_example"] = module
    spec.loader.exec_module(module)
    return module


def describe(name: str, **spec: Any) -> Deployment:
    """A spec written in a test."""
    return Deployment.from_canonical({"metadata": {"name": name}, "spec": spec})


DIE_IN_THE_MIDDLE = """
import json, os, signal, sys
from pathlib import Path
from tabular.deploy.provider import ProviderOptions
from tabular.deploy.spec import Deployment
from tests.conformance.folder import load_example

provider = load_example().FolderProvider(ProviderOptions(home=Path(sys.argv[1])))
stack = provider.compile(Deployment.from_canonical(json.loads(sys.argv[2])))
for event in provider.engine.apply(provider.engine.preview(stack)):
    if event.sequence == 3:
        os.kill(os.getpid(), signal.SIGKILL)
"""


class FolderHarness:
    """A folder of its own for each check."""

    maker = "tests.conformance.folder:FolderHarness"

    def __init__(self, root: Path) -> None:
        self.root = root

    def provider(self) -> Provider:
        provider: Provider = load_example().FolderProvider(ProviderOptions(home=self.root))
        return provider

    def deployment(self, name: str = "conform") -> Deployment:
        return describe(name, image={"tag": "1.0.0"})

    def changed(self) -> Deployment:
        return describe("conform", image={"tag": "2.0.0"}, compute={"instances": 2})

    def failing(self) -> Deployment:
        # A folder where the engine must write a file: a real error of the host.
        (self._folder(self.deployment()) / "api@9.9.9.json").mkdir(parents=True)
        return describe("conform", image={"tag": "9.9.9"})

    def unsupported(self) -> Deployment:
        return describe("conform", compute={"gpu": "required"})

    def observe(self) -> Mapping[str, Any]:
        return {
            str(path.relative_to(self.root)): path.read_text(encoding="utf-8")
            for path in sorted(self.root.rglob("*.json"))
            if path.is_file()
        }

    def observed(self, deployment: Deployment) -> frozenset[str]:
        return frozenset(path.name.partition("@")[0] for path in self._files(deployment, "*"))

    def serving(self, deployment: Deployment) -> str | None:
        files = self._files(deployment, "api")
        return files[0].name + files[0].read_text(encoding="utf-8") if len(files) == 1 else None

    def disturb(self, deployment: Deployment) -> None:
        (path,) = self._files(deployment, "api")
        data = json.loads(path.read_text(encoding="utf-8"))
        data["properties"]["instances"] = 99
        path.write_text(json.dumps(data), encoding="utf-8")

    def add_foreign(self, deployment: Deployment) -> None:
        self._folder(deployment).mkdir(parents=True)
        beside = self._folder(deployment) / "notes-data@1.json"
        beside.write_text("{}", encoding="utf-8")

    def apply_and_die(self, plan: Plan) -> None:
        spec = json.dumps(canonical(Deployment.from_canonical(plan.stack.spec)))
        done = subprocess.run(
            [sys.executable, "-c", DIE_IN_THE_MIDDLE, str(self.root), spec],
            cwd=EXAMPLE.parents[2],
            check=False,
        )
        assert done.returncode == -9

    def close(self) -> None:
        """Files do not run."""

    def _folder(self, deployment: Deployment) -> Path:
        return self.root / deployment.spec.environment / deployment.metadata.name

    def _files(self, deployment: Deployment, id_: str) -> list[Path]:
        found = self._folder(deployment).glob(f"{id_}@*.json")
        return [path for path in found if path.is_file()]
