"""The page on looking after a deployment in a cluster: its commands and its values are tried."""

from __future__ import annotations

import base64
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tabular.deploy.monitoring import alerts
from tabular.deploy.onprem.compile import compile_stack
from tabular.deploy.spec import load_text
from tabular.infra.config import load_settings
from tabular.infra.database import Database, migrate
from tests.cli.command import run
from tests.deploy.onprem.export.made import KUBECTL
from tests.platform import environment
from tests.testbed.kube.cluster import Kube
from tests.testbed.venvs import venv

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "onprem-operations.md").read_text(encoding="utf-8")
NAME = "demo"
SPEC = (
    "apiVersion: synthdata.inferloop.io/v1\nkind: Deployment\nmetadata: {name: demo}\n"
    "spec:\n  provider: onprem\n"
)


def _blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def _commands(program: str) -> list[str]:
    lines = "".join(_blocks("console")).replace("NAMESPACE", "{namespace}").splitlines()
    found = [line.removeprefix("$ ").replace("NAME", NAME) for line in lines]
    return [line for line in found if line.startswith(program)]


@pytest.mark.parametrize("block", _blocks("yaml"))
def test_every_value_of_the_page_is_one(block: str) -> None:
    indented = "".join(f"  {line}\n" for line in block.splitlines())
    stack = compile_stack(load_text(SPEC + indented, "page.yaml").deployment)
    said = YAML(typ="safe").load(block)["overrides"]["onprem"]["values"]
    for part, given in said.items():
        assert given.items() <= stack.template["values"][part].items()


def test_every_path_of_values_that_is_named_is_one() -> None:
    chart = YAML(typ="safe").load(
        (ROOT / "src/tabular/deploy/onprem/chart/values.yaml").read_text(encoding="utf-8")
    )
    named = re.findall(r"`overrides\.onprem\.values\.([\w.]+)", TEXT)
    assert len(named) >= 4
    for path in named:
        found: Any = chart
        for key in path.split("."):
            assert key in found, path
            found = found[key]


def test_alarms_and_metrics_that_are_named_exist() -> None:
    spec = f"{SPEC}  backup: {{enabled: true}}\n  onprem: {{operators: [prometheus]}}\n"
    made = alerts.rules(load_text(spec, "x.yaml").deployment, "team-a")
    raised = {r["alert"] for g in made["groups"] for r in g["rules"] if "alert" in r}
    assert set(re.findall(r"`(Tabular\w+)`", TEXT)) <= raised
    assert "tabular_certificate_left_seconds" in TEXT


def test_what_is_sealed_is_a_secret_with_every_key(tmp_path: Path) -> None:
    """`kubectl` is real; `kubeseal` is not to be had here, and lets through what it is given."""
    (export,) = _commands("inferloop-tabular export")
    (seal,) = (line for line in _commands("kubectl create") if "kubeseal" in line)
    done = run(*shlex.split(export)[1:], home=tmp_path, cwd=_examples(tmp_path))
    assert done.code == 0, done.err
    path = f"{tmp_path}{os.pathsep}{venv(KUBECTL)}{os.pathsep}{os.environ['PATH']}"
    (tmp_path / "kubeseal").write_text('#!/bin/sh\n[ "$*" = "--format yaml" ] && cat\n')
    (tmp_path / "kubeseal").chmod(0o700)
    example = (tmp_path / "exported" / "secrets.env.example").read_text()
    filled = re.sub(r"^# (openssl .*)\n(\S+=)$", r'echo "\2$(\1)"', example, flags=re.MULTILINE)
    for line in (f"({filled}) >secrets.env", seal.format(namespace="synth")):
        words = ["sh", "-c", line]
        subprocess.run(words, cwd=tmp_path, env={"PATH": path}, timeout=60, check=True)
    made = YAML(typ="safe").load(tmp_path / "sealed-secret.yaml")
    assert (made["metadata"]["name"], made["metadata"]["namespace"]) == (f"{NAME}-secrets", "synth")
    assert sorted(made["data"]) == re.findall(r"^([\w-]+)=$", example, re.MULTILINE)
    assert "database-password" in made["data"]
    assert all(made["data"].values())


def test_what_a_lost_cluster_knew_comes_out_of_its_backups(tmp_path: Path) -> None:
    phrase = ("--passphrase", "file:/run/secrets/backup/passphrase")
    printed(["create", "--to", "file:///backups", *phrase], tmp_path)
    (tmp_path / "passphrase").rename(tmp_path / "backup-passphrase")
    (take,) = _commands("inferloop-tabular backup secret-key")
    (put,) = (line for line in _commands("kubectl create") if "from-file=secret-key" in line)
    take = take.replace("s3://backups/tabular", f"{tmp_path.as_uri()}/backups")
    words = shlex.split(take.replace("$PWD", str(tmp_path)))[1:]
    done = run(*words, home=tmp_path / "home", cwd=tmp_path)
    assert done.code == 0, done.err
    assert (tmp_path / "secret-key").stat().st_mode & 0o777 == 0o600
    said = f"{put.format(namespace='synth')} --dry-run=client -o yaml"
    made = subprocess.run(
        [str(venv(KUBECTL) / "kubectl"), *shlex.split(said)[1:]],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    data = YAML(typ="safe").load(made)["data"]
    wanted = environment(tmp_path)["TABULAR_SECRET_KEY"]
    assert base64.b64decode(data["secret-key"]).decode() == wanted
    assert wanted not in done.out + done.err
    again = run(*words, home=tmp_path / "home", cwd=tmp_path)
    assert again.code == 2
    assert "not there yet" in again.err


def _examples(folder: Path) -> Path:
    """A folder with a file of the name that the page has."""
    spec = (ROOT / "examples" / "deployment.yaml").read_bytes()
    (folder / "deployment.yaml").write_bytes(spec)
    return folder


@pytest.mark.k8s
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_backup_drill_and_restore_as_they_are_printed(
    kube: Kube, kube_namespace: str, tmp_path: Path
) -> None:
    """Cluster and commands are real; the program runs beside, since the node runs nothing."""
    home = tmp_path / "home"
    (home / ".kube").mkdir(parents=True)
    config = home / ".kube" / "config"
    config.write_bytes(kube.kubeconfig.read_bytes())
    config.chmod(0o600)
    at = ["--namespace", kube_namespace]
    slow = ["--set", "spec.image.repository=example/slow", "--set", 'spec.image.tag="3"']
    said = ["deploy", "--provider", "onprem", "--name", NAME, "--enable-backup", *at, *slow]
    done = run(*said, "--yes", home=home, cwd=tmp_path, timeout=400)
    assert done.code == 0, done.err
    # Those of `doctor` are tried in tests/deploy/onprem/test_looking.py.
    commands = [one for one in _commands("inferloop-tabular backup") if "--provider" in one]
    assert len(commands) == 3
    answers = []
    for command in commands:
        words = shlex.split(command)[1:]
        yes = ["--yes"] if "restore" in words[:2] else []
        # What it prints there, printed here: by the same program, on a platform of this machine.
        said = [word for word in words[1:] if word not in ("--provider", "onprem", "--name", NAME)]
        said += ["--passphrase", "file:/run/secrets/backup/passphrase"]
        with Node(kube, kube_namespace, printed(said, tmp_path)) as node:
            done = run(*words, *yes, *at, home=home, cwd=tmp_path, timeout=400)
        assert done.code == 0, f"{command}\n{done.out}\n{done.err}"
        assert sorted(node.arguments) == sorted(said)
        answers.append(done.out)
    assert "is whole" in answers[0]
    assert "Restored and compared" in answers[1]
    assert "Restored and compared" in answers[2]


def printed(arguments: list[str], folder: Path) -> str:
    """What the program prints on a platform of this machine."""
    env = environment(folder)
    database = Database(load_settings(env).database_url)
    migrate(database)
    database.close()
    (folder / "passphrase").write_text("correct horse battery staple")
    places = {
        "file:///backups": f"{folder.as_uri()}/backups",
        "file:/run/secrets/backup/passphrase": f"file:{folder}/passphrase",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tabular.transfer", *(places.get(a, a) for a in arguments)],
        env={**os.environ, **env}, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


class Node:
    """Writes the log of the next pod that runs a program."""

    def __init__(self, kube: Kube, namespace: str, text: str) -> None:
        self._kube, self._namespace, self._text = kube, namespace, text
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._ended = threading.Event()
        self._before: set[str] = set()
        self.arguments: list[str] = []

    def __enter__(self) -> Node:
        self._before = {pod["metadata"]["uid"] for pod in self._pods()}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(60)

    def _pods(self) -> list[dict[str, Any]]:
        path = f"/api/v1/namespaces/{self._namespace}/pods"
        return self._kube.list(path, "inferloop.io/run=inside")

    def _watch(self) -> None:
        while not self._ended.is_set():
            new = [pod for pod in self._pods() if pod["metadata"]["uid"] not in self._before]
            for pod in new:
                name = pod["metadata"]["name"]
                self._kube.write_log(self._namespace, name, "backup", self._text)
                self.arguments = list(pod["spec"]["containers"][0]["args"])
                return
            time.sleep(0.02)
