"""What `doctor` says of a deployment: on a real API server, whose fake nodes run real programs."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.preflight.rights import roles
from tabular.deploy.onprem.rendered.rendering import render
from tabular.deploy.provider import Check
from tabular.errors import ApplyError, EngineError, UnavailableError
from tests.cli.command import run
from tests.deploy.onprem.harness import describe
from tests.deploy.onprem.place import NAME, Place, image
from tests.platform import Processes, environment
from tests.testbed.kube.cluster import Kube
from tests.testbed.slapd import make_authority
from tests.testbed.tunnel import tunnel

pytestmark = pytest.mark.k8s
PAGE = Path(__file__).resolve().parents[3] / "docs" / "onprem-operations.md"
PRINTED = re.findall(r"^\$ inferloop-tabular (doctor .*)$", PAGE.read_text(), re.MULTILINE)
HOST = "data.example.com"
PUBLISHED = {"domain": HOST, "certificate": "data-tls"}


def looked(place: Place, kubeconfig: Path | None = None, **more: Any) -> dict[str, Check]:
    engine = place.provider(kubeconfig).engine
    return {one.name: one for one in engine.look(place.target, **more)}


def api_pod(place: Place) -> str:
    (name,) = place.pods_of("api")
    return name


def certificate(place: Place, folder: Path, host: str, days: int) -> None:
    """Put a certificate of the user's own there."""
    folder.mkdir()
    make_authority(folder, host=host, days=days)
    data = {
        key: base64.b64encode((folder / file).read_bytes()).decode()
        for key, file in {"tls.crt": "server.pem", "tls.key": "server.key"}.items()
    }
    place.put("Secret", "data-tls", data=data)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of an API that runs on this machine."""
    (tmp_path / "service").mkdir()
    env = environment(tmp_path / "service")
    one = Processes(tmp_path / "service", env)
    one.run("tabular.api", "migrate")
    try:
        one.api()
        yield {**env, "TABULAR_PORT": str(one.port)}
    finally:
        one.close()


def test_a_deployment_is_asked_from_within(
    helm_place: Place, service: dict[str, str], tmp_path: Path
) -> None:
    place = helm_place
    place.make()
    certificate(place, tmp_path / "host", HOST, days=60)
    place.deploy(networking=PUBLISHED)
    place.kube.let_run(place.namespace, api_pod(place), "api", service)
    at = ["--kubeconfig", str(place.kube.kubeconfig), "--namespace", place.namespace]
    plain, line = (shlex.split(one.replace("NAME", NAME)) for one in PRINTED)
    assert "not ok  workers: degraded" in run(*plain, *at, home=tmp_path).out
    answer = run(*line, *at, "--json", home=tmp_path)
    told = {one["name"]: one for one in answer.json}
    wrong = [name for name, one in told.items() if not one["ok"]]
    assert (answer.code, wrong) == (1, ["workers", "user alice"]), answer.out
    assert told["deployment"]["detail"] == f"{place.target.id} is ready"
    named = f"{NAME}-secrets, data-tls, {NAME}-internal-tls"
    assert told["secrets"]["detail"] == f"{named}: every key is there"
    assert told["inside"]["detail"] == f"{api_pod(place)} was asked"
    assert told["database"]["detail"].startswith("ok after ")
    assert told["user alice"]["detail"] == "no directory is configured"
    assert "until 20" in told[f"certificate of {HOST}"]["detail"]
    assert "between pods: until 20" in told["certificate"]["detail"]

    unknown = run("doctor", "--provider", "onprem", "--name", "nobody", *at, home=tmp_path)
    assert unknown.code == 1
    assert "no deployment nobody" in unknown.out
    nameless = run("doctor", "--provider", "onprem", "--user", "alice", *at, home=tmp_path)
    assert (nameless.code, "--name NAME" in nameless.err) == (2, True)


def test_what_a_deployment_lacks_is_told_before_a_pod_waits_for_it(
    helm_place: Place, tmp_path: Path
) -> None:
    place = helm_place
    place.make()
    certificate(place, tmp_path / "host", "other.example.com", days=3)
    (warned,) = (f for f in place.plan(networking=PUBLISHED).findings if "host" in f.rule)
    assert warned.message.startswith(f"the certificate of {HOST}: until 20")
    place.deploy(networking=PUBLISHED)
    place.edit("secrets", f"{NAME}-secrets", {"data": {"secret-key": None}}, "v1")
    found = looked(place)
    assert not found["secrets"].ok
    assert found["secrets"].detail == f"not there: {NAME}-secrets/secret-key"
    host = found[f"certificate of {HOST}"]
    assert not host.ok
    assert host.detail.endswith(f"; it is not for {HOST}")
    assert host.hint == "a new one into the Secret data-tls"
    assert not found["inside"].ok
    assert "there is no container" in found["inside"].detail

    place.kube.api.delete(place.path("secrets", "data-tls"))
    gone = looked(place)
    assert gone["secrets"].detail == f"not there: {NAME}-secrets/secret-key, data-tls"
    assert gone[f"certificate of {HOST}"].detail == "there is no Secret data-tls"
    place.kube.let_run(
        place.namespace, api_pod(place), "api", {}, instead=["sh", "-c", "echo no >&2; exit 1"]
    )
    old = looked(place)["inside"]
    assert (old.ok, old.detail) == (False, f"{api_pod(place)} ended with 1: no")
    assert "older than this command" in old.hint

    place.edit("deployments", f"{NAME}-api", {"spec": {"replicas": 0}})
    place.kube.wait(
        place.path("deployments", f"{NAME}-api", "apps/v1"),
        lambda one: not one["status"].get("replicas") and not place.pods_of("api"),
    )
    assert "no pod of the API runs" in looked(place)["inside"].detail


def test_a_release_that_never_came_up_is_looked_at_as_well(place: Place, tmp_path: Path) -> None:
    provider = place.provider(keep_failed=True)
    broken = describe(place.namespace, NAME, place.method, image=image("crash"))
    with pytest.raises(ApplyError):
        list(provider.engine.apply(provider.engine.preview(provider.compile(broken))))
    place.kube.api.delete(place.path("secrets", f"{NAME}-internal-tls"))
    at = ["--kubeconfig", str(place.kube.kubeconfig), "--namespace", place.namespace]
    answer = run("doctor", "--provider", "onprem", "--name", NAME, *at, "--json", home=tmp_path)
    told = {one["name"]: one for one in answer.json}
    assert answer.code == 1
    assert " is failed" in told["deployment"]["detail"]
    assert told["secrets"]["detail"] == f"not there: {NAME}-internal-tls"
    assert not told["inside"]["ok"]


def test_the_role_that_is_printed_lets_a_deployer_ask(
    helm_place: Place, service: dict[str, str], tmp_path: Path
) -> None:
    place = helm_place
    place.deploy()
    place.kube.let_run(place.namespace, api_pod(place), "api", service)
    values = place.stack().template["values"]
    objects = render(values, name=NAME, namespace=place.namespace, kube_version="1.20")
    (role,) = [
        one
        for one in roles(objects, NAME, place.namespace, {"kind": "User", "name": "x"})
        if one["kind"] == "Role"
    ]
    whole = looked(place, place.kube.user(tmp_path, place.namespace, role["rules"]))
    assert whole["inside"].ok, whole
    assert whole["database"].ok
    fewer = [rule for rule in role["rules"] if "pods/exec" not in rule["resources"]]
    less = looked(place, place.kube.user(tmp_path, place.namespace, fewer), user="al ice")
    assert "these credentials may not" in less["inside"].detail
    typed = f"kubectl exec {api_pod(place)} -n {place.namespace} -- python -m tabular.api.doctor"
    assert less["inside"].hint.endswith(f"{typed} --user 'al ice'")
    assert "database" not in less


def test_a_program_in_a_pod_gives_back_all_that_it_says(kube: Kube, helm_place: Place) -> None:
    place = helm_place
    place.deploy()
    pod, cluster = api_pod(place), Cluster(kube.kubeconfig)
    with pytest.raises(EngineError, match="there is no container"):
        cluster.execute(pod, place.namespace, "api", ["true"])
    place.kube.let_run(place.namespace, pod, "api", {"PATH": os.environ["PATH"]})
    said = "import sys; print('é' * 300000); print('no', file=sys.stderr); sys.exit(3)"
    ran = cluster.execute(pod, place.namespace, "api", [sys.executable, "-c", said])
    assert (ran.code, ran.out, ran.err) == (3, "é" * 300000 + "\n", "no\n")
    assert cluster.execute(pod, place.namespace, "api", ["true"]).code == 0
    with pytest.raises(UnavailableError, match="did not end in time"):
        cluster.execute(pod, place.namespace, "api", ["sleep", "20"], seconds=0.5)
    with pytest.raises(EngineError, match="nope"):
        cluster.execute(pod, place.namespace, "nope", ["true"])


def test_a_proxy_with_a_password_lets_all_of_it_through(
    kube: Kube, helm_place: Place, tmp_path: Path
) -> None:
    place = helm_place
    place.deploy()
    pod = api_pod(place)
    place.kube.let_run(place.namespace, pod, "api", {})
    said = YAML(typ="safe").load(kube.kubeconfig.read_text())
    file = tmp_path / "kubeconfig"
    with tunnel("who", "wo:rd@1") as way:
        said["clusters"][0]["cluster"]["proxy-url"] = way.url
        file.write_text(json.dumps(said))
        cluster = Cluster(file)
        assert cluster.get("v1", "Pod", pod, place.namespace)
        before = len(way.asked)
        assert cluster.execute(pod, place.namespace, "api", ["true"]).code == 0
        assert len(way.asked) == before + 1
        said["clusters"][0]["cluster"]["proxy-url"] = way.url.replace("who", "nobody")
        file.write_text(json.dumps(said))
        with pytest.raises(UnavailableError, match="407") as refused:
            Cluster(file).require()
        assert "rd@1" not in str(refused.value)
