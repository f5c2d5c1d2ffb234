"""Helm as a program of the user's: the same releases as Helm in this process, and no leaks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.onprem.applying.helm.binary import HelmBinary
from tabular.deploy.onprem.applying.helm.fields import as_applied
from tabular.deploy.onprem.applying.helm.library import InProcess
from tabular.deploy.onprem.applying.helm.seam import Helm
from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.doctor import checks
from tabular.deploy.onprem.names import CHART
from tabular.deploy.onprem.rendered.rendering import is_hook, objects_of, placed, render
from tabular.errors import (
    ConfigError,
    EngineError,
    ForbiddenError,
    NotFoundError,
    TabularError,
    WaitTimeoutError,
)
from tests.deploy.onprem.chart.cases import CASES
from tests.deploy.onprem.harness import ROOT
from tests.deploy.onprem.killing import kill_client, to_deploy
from tests.deploy.onprem.place import NAME, Place
from tests.testbed.helm import helm_program
from tests.testbed.kube.cluster import Kube

k8s = pytest.mark.k8s
NOWHERE = Cluster("/nowhere/kubeconfig")
VALUES = {"secrets": {"existingSecret": "demo-secrets"}, "environment": "stäging"}

# It notes what it was given, and then does nothing for a minute.
SLOW = """\
#!/bin/sh
[ "$1" = version ] && { echo v3.17.3; exit; }
tr '\\0' '\\n' < /proc/$$/cmdline > "$0.words"
cat > "$0.input"
env > "$0.environment"
echo $$ > "$0.pid.part" && mv "$0.pid.part" "$0.pid"
exec sleep 60
"""
INSTALL = """
import sys
from pathlib import Path
from tabular.deploy.onprem.applying.helm.binary import HelmBinary
from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.doctor import checks

helm = HelmBinary(sys.argv[1], Cluster(sys.argv[2]), "default", Path(sys.argv[3]))
helm.install("demo", {}, 60)
"""


def script(folder: Path, text: str) -> Path:
    file = folder / "helm"
    file.write_text(text)
    file.chmod(0o755)
    return file


def said_by(program: Path, what: str) -> str:
    file = Path(f"{program}.{what}")
    deadline = time.monotonic() + 20
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return file.read_text()


def wait_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.02)


@pytest.fixture
def by_binary(helm_place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A namespace of a test's own, and Helm's program for whoever deploys there."""
    monkeypatch.setenv("INFERLOOP_TABULAR_HELM", str(helm_program()))
    return helm_place


def in_background(call: Callable[[], None]) -> Callable[[], TabularError | None]:
    """Begin a call; what is given back waits for its end, and says what it raised."""
    raised: list[TabularError] = []

    def run() -> None:
        try:
            call()
        except TabularError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def end() -> TabularError | None:
        thread.join(timeout=30)
        assert not thread.is_alive()
        return raised[0] if raised else None

    return end


@pytest.mark.parametrize("case", CASES)
def test_the_program_makes_the_same_objects_of_the_chart(case: str) -> None:
    values = {**CASES[case], "kubeVersion": "1.30"}
    done = subprocess.run(
        [helm_program(), "template", "demo", str(CHART), "--namespace", "data", "--values", "-"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = [placed(one, "data") for one in objects_of(done.stdout) if not is_hook(one)]
    ours = render(values, name="demo", namespace="data", kube_version="1.30")

    def ordered(found: Any) -> list[Any]:
        return sorted(found, key=lambda one: (one["kind"], one["metadata"]["name"]))

    assert ordered(theirs) == ordered(ours)


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    for named in (str(tmp_path / "helm"), "no-such-helm"):
        with pytest.raises(ConfigError, match=f"names no program: {named}") as told:
            HelmBinary(named, NOWHERE, "default", CHART)
        assert told.value.where == "INFERLOOP_TABULAR_HELM"
        assert "helm 3.8 or newer" in str(told.value.hint)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("echo v3.7.2", "is helm v3.7.2, which is too old"),
        ("echo v2.17.0", "is helm v2.17.0, which is too old"),
        ("echo hello", "is no helm: hello"),
        (
            "echo 'Error: could not find tiller' >&2; exit 1",
            "is no helm: could not find tiller",
        ),
        ("exit 3", "is no helm: it ended with 3, and said nothing"),
    ],
)
def test_a_program_that_is_too_old_or_no_helm_is_refused(
    tmp_path: Path, text: str, says: str
) -> None:
    program = script(tmp_path, f"#!/bin/sh\n{text}\n")
    with pytest.raises(ConfigError) as told:
        HelmBinary(str(program), NOWHERE, "default", CHART)
    assert says in told.value.message
    assert told.value.code == "config.helm"


def test_a_file_that_is_no_program_for_this_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no helm"):
        HelmBinary(str(script(tmp_path, "\x7fELF")), NOWHERE, "default", CHART)


@k8s
def test_what_a_release_has_no_more_goes_from_its_objects(by_binary: Place) -> None:
    noted = {"overrides": {"onprem": {"values": {"podAnnotations": {"note": "mine"}}}}}

    def notes() -> dict[str, str]:
        return by_binary.api()["spec"]["template"]["metadata"].get("annotations") or {}

    by_binary.deploy(**noted)
    assert notes()["note"] == "mine"
    plan = by_binary.plan()
    assert any("note" in one.path for change in plan.changes for one in change.properties)
    by_binary.deploy()
    assert "note" not in notes()
    assert by_binary.plan().is_empty
    assert by_binary.engine().drift(by_binary.target) == ()


@k8s
@pytest.mark.parametrize("first", ["binary", "library"])
def test_either_goes_on_where_the_other_was(
    helm_place: Place, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    for which in (first, {"binary": "library", "library": "binary"}[first]):
        monkeypatch.setenv(
            "INFERLOOP_TABULAR_HELM", str(helm_program()) if which == "binary" else ""
        )
        number = 2 if which == first else 3
        helm_place.deploy(compute={"workers": number})
        assert helm_place.plan(compute={"workers": number}).is_empty
    monkeypatch.setenv("INFERLOOP_TABULAR_HELM", str(helm_program()) if first == "binary" else "")
    engine = helm_place.engine()
    list(engine.rollback(engine.preview_rollback(helm_place.target)))
    assert helm_place.plan(compute={"workers": 2}).is_empty


@k8s
def test_both_tell_of_the_same_releases_and_of_the_same_errors(
    by_binary: Place, tmp_path: Path
) -> None:
    by_binary.deploy()
    space, cluster = by_binary.namespace, Cluster(by_binary.kube.kubeconfig)
    ways: tuple[Helm, ...] = (
        HelmBinary(str(helm_program()), cluster, space, CHART),
        InProcess(cluster, space, CHART),
    )
    found = []
    for helm in ways:
        (row,) = helm.history(NAME)
        one = helm.get(NAME, int(row["revision"]))
        summary = one["summary"]["manifest"], one["summary"]["chart_version"]
        found.append((row["status"], one["config"], one["info"]["description"], summary))
        assert helm.history("other") == ()
        helm.uninstall("other", 10)
        with pytest.raises(NotFoundError):
            helm.get("other", 1)
        with pytest.raises(EngineError, match="replicaCont"):
            helm.upgrade(NAME, {"replicaCont": 3}, 10)
    assert found[0] == found[1]
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    nobody = Cluster(by_binary.kube.user(tmp_path, space, rules))
    for helm in (
        HelmBinary(str(helm_program()), nobody, space, CHART),
        InProcess(nobody, space, CHART),
    ):
        with pytest.raises(ForbiddenError) as told:
            helm.history(NAME)
        assert "onprem rbac" in str(told.value.hint)


@k8s
def test_doctor_says_which_helm_it_is(
    kube: Kube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said() -> list[tuple[bool, str]]:
        found = checks(Cluster(kube.kubeconfig))
        return [(one.ok, one.detail) for one in found if one.name == "helm"]

    assert said() == []  # it is within the command
    monkeypatch.setenv("INFERLOOP_TABULAR_HELM", str(helm_program()))
    assert said() == [(True, f"{helm_program()}: 3.17")]
    old = script(tmp_path, "#!/bin/sh\necho v3.7.2\n")
    monkeypatch.setenv("INFERLOOP_TABULAR_HELM", str(old))
    assert said() == [(False, f"{old} is helm v3.7.2, which is too old")]


@k8s
def test_values_are_in_no_list_of_processes_and_variables_lead_nowhere(
    kube: Kube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HELM_KUBECONTEXT", "HELM_NAMESPACE", "HELM_DRIVER"):
        monkeypatch.setenv(name, "elsewhere")
    program = script(tmp_path, SLOW)
    helm = HelmBinary(str(program), Cluster(kube.kubeconfig, "test"), "data", CHART)
    end = in_background(lambda: helm.install(NAME, VALUES, 60))
    said_by(program, "pid")
    words = said_by(program, "words").split("\n")
    assert words[words.index("--kube-context") + 1] == "test"
    assert words[words.index("--namespace") + 1] == "data"
    assert words[words.index("--kubeconfig") + 1] == str(kube.kubeconfig)
    assert not any("stäging" in word or "demo-secrets" in word for word in words)
    assert json.loads(said_by(program, "input")) == VALUES
    assert "HELM_" not in said_by(program, "environment")
    helm.cancel()
    assert isinstance(end(), EngineError)


@k8s
def test_what_is_cancelled_ends(kube: Kube, tmp_path: Path) -> None:
    program = script(tmp_path, SLOW)
    helm = HelmBinary(str(program), Cluster(kube.kubeconfig), "default", CHART)
    end = in_background(lambda: helm.upgrade(NAME, {}, 60))
    pid = int(said_by(program, "pid"))
    helm.cancel()
    error = end()
    assert isinstance(error, EngineError)
    assert error.where == f"helm upgrade {NAME}"
    assert "signal 15" in error.message
    wait_gone(pid)


@k8s
@pytest.mark.slow
def test_a_program_that_does_not_end_by_itself_is_ended(kube: Kube, tmp_path: Path) -> None:
    program = script(tmp_path, SLOW.replace("exec sleep 60", "trap '' TERM; sleep 60"))
    helm = HelmBinary(str(program), Cluster(kube.kubeconfig), "default", CHART)
    with pytest.raises(WaitTimeoutError, match="not ready within 1 s"):
        helm.rollback(NAME, 1, 1)
    wait_gone(int(said_by(program, "pid")))


@k8s
def test_a_client_that_is_killed_leaves_no_helm_behind(kube: Kube, tmp_path: Path) -> None:
    program = script(tmp_path, SLOW)
    arguments = [str(program), str(kube.kubeconfig), str(CHART)]
    client = subprocess.Popen([sys.executable, "-c", INSTALL, *arguments], cwd=ROOT)
    pid = int(said_by(program, "pid"))
    os.kill(client.pid, signal.SIGKILL)
    client.wait()
    wait_gone(pid)


# Helm itself, and then nothing: a client that looks at that moment finds all of it brought.
LATE = """\
#!/bin/sh
{helm} "$@" || exit
[ "$1" != install ] || {{ touch "$0.done"; sleep 60; }}
"""


@k8s
def test_fields_are_helms_own_also_when_the_client_died_when_it_was_done(
    by_binary: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = script(tmp_path, LATE.format(helm=helm_program()))
    monkeypatch.setenv("INFERLOOP_TABULAR_HELM", str(program))
    kill_client(by_binary, to_deploy(by_binary), Path(f"{program}.done").exists)
    monkeypatch.setenv("INFERLOOP_TABULAR_HELM", str(helm_program()))
    time.sleep(5)  # seconds until the lease of the dead client has run out
    list(by_binary.engine().attach(by_binary.target))
    assert by_binary.plan().is_empty
    by_binary.deploy(compute={"workers": 2})
    assert by_binary.plan(compute={"workers": 2}).is_empty


def entry(operation: str, fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    said = {"manager": "helm", "operation": operation, "apiVersion": "apps/v1"}
    return {**said, "fieldsType": "FieldsV1", "fieldsV1": fields, **more}


def test_fields_that_were_updated_are_joined_to_those_that_were_applied() -> None:
    others = entry("Update", {"f:spec": {}}, manager="kubectl")
    status = entry("Update", {"f:status": {}}, subresource="status")
    older = entry("Update", {"f:old": {}}, apiVersion="apps/v1beta1")
    updated = entry("Update", {"f:spec": {"f:replicas": {}, "f:template": {"f:a": {}}}})
    applied = entry("Apply", {"f:spec": {"f:template": {".": {}, "f:b": {}}}})
    both = {"f:spec": {"f:replicas": {}, "f:template": {".": {}, "f:a": {}, "f:b": {}}}}
    found = as_applied([others, updated, older, status, applied], "helm")
    assert found == [{**applied, "fieldsV1": both}, others, status]
    assert as_applied([older, updated], "helm") == [{**updated, "operation": "Apply"}]
    assert as_applied([others, status, applied], "helm") == [others, status, applied]
