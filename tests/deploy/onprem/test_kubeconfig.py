"""Kubeconfigs as people have them: meant as kubectl means them, or told what is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.onprem.applying.helm.binary import HelmBinary
from tabular.deploy.onprem.applying.helm.library import InProcess
from tabular.deploy.onprem.applying.helm.seam import Helm
from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.names import CHART
from tabular.errors import ForbiddenError, PreflightError
from tests.testbed.helm import helm_program
from tests.testbed.kube.cluster import Kube

EXEC = "client.authentication.k8s.io/v1"
SECRET = "hush-hush"


def written(path: Path, said: Any) -> Path:
    path.write_text(said if isinstance(said, str) else json.dumps(said))
    path.chmod(0o600)
    return path


def config(server: str = "https://127.0.0.1:1", **user: Any) -> dict[str, Any]:
    return {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "n"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user}],
    }


def of(kube: Kube, folder: Path, **user: Any) -> Cluster:
    """A cluster by the administrator's kubeconfig, with another user."""
    said = json.loads(kube.kubeconfig.read_text())
    said["users"][0]["user"] = user
    return Cluster(written(folder / "config", said))


def plugin(*lines: str) -> dict[str, Any]:
    """A program that gives credentials."""
    shell = {"command": "sh", "args": ["-c", "\n".join(lines)], "interactiveMode": "Never"}
    return {"apiVersion": EXEC, **shell}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("a: [b", "expected ',' or ']'"),
        ("hello", "not in the form of a kubeconfig"),
        ("", "is empty"),
        ({**config(), "contexts": "x"}, "Expected key name"),
        ({**config(), "contexts": []}, "current context 'here' is not there"),
        ({**config(), "current-context": ""}, "no current context"),
        ({**config(), "clusters": []}, "Expected object with name c"),
        ({**config(), "users": []}, "names a user u that is not there"),
        ({**config(), "users": [{"user": {"token": SECRET}}]}, "Expected key name"),
        (config(""), "no server"),
        (config(tokenFile="/nowhere/token"), "No such file"),
        (config(**{"client-certificate-data": "!!", "client-key-data": "x"}), "base64"),
        (config(**{"client-certificate": "/nowhere/a.crt"}), "File does not exist"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_one_is_a_sentence(tmp_path: Path, said: Any, words: str) -> None:
    path = written(tmp_path / "config", said)
    with pytest.raises(PreflightError, match="cannot be used: ") as told:
        _ = Cluster(path).address
    assert told.value.code == "preflight.kubeconfig"
    assert words in told.value.message
    assert told.value.hint
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("echo your session has ended >&2", "exit 1"), "your session has ended"),
        (("echo hello",), "failed to decode"),
        ((f"echo '{json.dumps({'apiVersion': EXEC, 'status': {}})}'",), "exec:"),
    ],
)  # fmt: skip
def test_a_plugin_that_gives_no_credentials_asks_nothing_in_nobodys_name(
    tmp_path: Path, lines: tuple[str, ...], words: str
) -> None:
    path = written(tmp_path / "config", config(exec=plugin(*lines)))
    with pytest.raises(PreflightError, match="the program sh of the kubeconfig gave no") as told:
        _ = Cluster(path).address
    assert told.value.code == "preflight.credentials"
    assert words in told.value.message


def test_a_sign_in_whose_own_library_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    provider = {"auth-provider": {"name": "gcp"}}
    path = written(tmp_path / "config", config(**provider))
    with pytest.raises(PreflightError, match="the auth-provider of the kubeconfig gave no") as told:
        _ = Cluster(path).address
    assert told.value.code == "preflight.credentials"
    assert "none.json was not found" in told.value.message


def test_a_plugin_that_is_not_installed(tmp_path: Path) -> None:
    said = config(exec={**plugin(), "command": "no-such-plugin"})
    with pytest.raises(PreflightError, match="No such file or directory: 'no-such-plugin'"):
        _ = Cluster(written(tmp_path / "config", said)).address


def test_of_several_files_the_first_names_the_current_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for kubectl and Helm: else a plan would be of one cluster, and the release of another."""
    first, second = config("https://first:1", token="x"), config("https://second:1", token="y")
    for names in ("contexts", "clusters", "users"):
        second[names][0]["name"] = "other"
    second["contexts"][0]["context"] = {"cluster": "other", "user": "other"}
    second["current-context"] = "other"
    files = [written(tmp_path / "a", first), tmp_path / "none", written(tmp_path / "b", second)]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, files)))
    assert (Cluster().address, Cluster().default_namespace) == ("https://first:1", "n")
    assert Cluster(context="other").address == "https://second:1"


@pytest.mark.k8s
@pytest.mark.parametrize("which", ["within", "program"])
def test_helm_means_the_cluster_that_several_files_mean(
    kube: Kube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    said = json.loads(kube.kubeconfig.read_text())
    token = said["users"][0]["user"].pop("token")
    written(tmp_path / "token", token)
    said["users"][0]["user"]["tokenFile"] = "token"  # as seen from the file
    files = [
        written(tmp_path / "b", {**said, "users": []}),
        tmp_path / "none",
        written(tmp_path / "c", {"users": said["users"], "current-context": "none"}),
    ]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, files)))
    cluster = Cluster()
    helm: Helm = (
        InProcess(cluster, "default", CHART)
        if which == "within"
        else HelmBinary(str(helm_program()), cluster, "default", CHART)
    )
    assert list(helm.history("nothing-of-this-name")) == []


@pytest.mark.k8s
def test_each_way_to_sign_in_leads_there(kube: Kube, tmp_path: Path) -> None:
    token = written(tmp_path / "token", kube.plane.token)
    assert of(kube, tmp_path, tokenFile=str(token)).version
    status = {"token": kube.plane.token}
    answer = json.dumps({"apiVersion": EXEC, "kind": "ExecCredential", "status": status})
    assert of(kube, tmp_path, exec=plugin(f"cat <<'E'\n{answer}\nE")).version


@pytest.mark.k8s
def test_who_is_acted_for_is_acted_for(kube: Kube, tmp_path: Path) -> None:
    """Helm does so, too; a plan with more rights than the release would say what does not come."""
    user = {"token": kube.plane.token, "as": "somebody"}
    with pytest.raises(ForbiddenError, match='User "somebody" cannot list'):
        of(kube, tmp_path, **user).list("v1", "Secret")
    groups = ["nothing", "system:masters"]
    assert of(kube, tmp_path, **user, **{"as-groups": groups}).list("v1", "Namespace")
