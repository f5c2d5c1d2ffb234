"""TLS between pods, private authorities, the directory, and secrets that operators make."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.onprem.compile import compile_stack
from tabular.deploy.onprem.names import tls_secret_name
from tabular.deploy.onprem.secrets.certificates import is_wanted, names_of
from tabular.deploy.spec import load_text
from tabular.errors import ConfigError, EngineError, UsageError
from tabular.infra import certificates, trust
from tests.deploy.onprem.chart.cases import (
    BUILT_IN,
    CASES,
    EXTERNAL,
    NAME,
    NAMESPACE,
    merged,
    objects,
    one,
)
from tests.deploy.onprem.chart.rules import broken, containers, pods
from tests.testbed import custom
from tests.testbed.slapd import (
    BIND_DN,
    BIND_PASSWORD,
    GROUPS,
    USERS,
    Slapd,
    make_authority,
    slapd_server,
)

SECRET = tls_secret_name(NAME)
TLS = merged(BUILT_IN, {"tls": {"enabled": True, "existingSecret": SECRET}})
MANAGED = merged(BUILT_IN, {"tls": {"enabled": True, "certManager": {"enabled": True}}})
LDAP = {
    "urls": ["ldaps://a.corp", "ldaps://b.corp:1636"],
    "bindDn": BIND_DN,
    "existingSecret": "directory",
    "userBase": USERS,
    "groupBase": GROUPS,
    "roleMap": {"tabular-viewers": "viewer", f"cn=tabular-admins,{GROUPS}": "admin"},
}
EVERYTHING = merged(
    TLS,
    {"redis": {"enabled": True}, "rabbitmq": {"enabled": True}, "monitoring": {"enabled": True}},
    {"backup": {"enabled": True}, "ldap": LDAP, "ca": {"existingConfigMap": "corp"}},
    {"monitoring": {"alertmanager": {"webhooks": ["https://hooks.corp/x"]}}},
)


def env_of(found: Any, component: str = "api") -> dict[str, str]:
    made = one(found, "Deployment", f"{NAME}-{component}")["spec"]["template"]["spec"]
    (container,) = [c for c in made["containers"] if c["name"] == component]
    return {e["name"]: e.get("value", "") for e in container["env"]}


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    return make_authority(tmp_path).read_text()


@pytest.mark.parametrize("values", [TLS, MANAGED, EVERYTHING], ids=["tls", "managed", "all"])
def test_every_rule_holds(values: dict[str, Any]) -> None:
    for version in ("1.19", "1.30"):
        assert broken(objects(values, version)) == []


# --- TLS between pods -----------------------------------------------------------------------


def test_with_tls_every_url_of_the_service_verifies_the_server() -> None:
    told = env_of(objects(EVERYTHING))
    assert "sslmode=verify-full" in told["TABULAR_DATABASE_URL"]
    assert "sslrootcert=/run/tls/ca.crt" in told["TABULAR_DATABASE_URL"]
    assert "endpoint=https://" in told["TABULAR_STORAGE_URL"]
    assert "ca=/run/tls/ca.crt" in told["TABULAR_STORAGE_URL"]
    assert told["TABULAR_CACHE_URL"].startswith("rediss://")
    assert told["TABULAR_QUEUE_URL"].startswith("amqps://")
    for name in ("TABULAR_CACHE_URL", "TABULAR_QUEUE_URL"):
        assert "ssl_ca_certs=/run/tls/ca.crt" in told[name]
    assert told["TABULAR_CERTIFICATES"] == "/run/tls/tls.crt,/run/tls/ca.crt"


def test_the_end_of_the_certificate_that_people_see_is_told_as_well() -> None:
    host = {"host": "data.example.com", "tls": {"secretName": "data-tls"}}
    for name, values in {
        "data-tls": {"ingress": host},
        f"{NAME}-tls": {"ingress": {**host, "tls": {"secretName": "", "issuer": "corp"}}},
    }.items():
        found = objects(merged(TLS, values))
        files = env_of(found)["TABULAR_CERTIFICATES"]
        assert files == "/run/tls/tls.crt,/run/tls/ca.crt,/run/host/host.crt"
        pod = one(found, "Deployment", f"{NAME}-api")["spec"]["template"]["spec"]
        (volume,) = [v["secret"] for v in pod["volumes"] if v["name"] == "host"]
        assert (volume["secretName"], volume["optional"]) == (name, True)
        assert volume["items"] == [{"key": "tls.crt", "path": "host.crt"}], "never its key"
        assert one(found, "Ingress", f"{NAME}-api")["spec"]["tls"][0]["secretName"] == name
    route = {"route": {"enabled": True}, "ingress": {"host": host["host"]}}
    gateway = {"gateway": {"name": "g", "listener": "https"}, "ingress": {"host": host["host"]}}
    for values in (route, gateway, {}):
        assert "host.crt" not in env_of(objects(merged(TLS, values)))["TABULAR_CERTIFICATES"]
    assert "TABULAR_CERTIFICATES" not in env_of(objects(BUILT_IN))


def test_the_key_is_in_servers_alone() -> None:
    holders = set()
    for workload, pod in pods(objects(EVERYTHING)):
        for volume in pod["spec"].get("volumes", ()):
            if volume.get("secret", {}).get("secretName") == SECRET:
                keys = {item["key"] for item in volume["secret"]["items"]}
                assert "ca.key" not in keys
                if "tls.key" in keys:
                    holders.add(workload["metadata"]["name"])
    assert holders == {f"{NAME}-{part}" for part in ("postgresql", "minio", "redis", "rabbitmq")}


def test_a_renewed_certificate_replaces_the_servers_pods() -> None:
    renewed = objects(merged(EVERYTHING, {"tls": {"checksum": "0123"}}))
    before = {o["metadata"]["name"]: p for o, p in pods(objects(EVERYTHING))}
    changed = {
        o["metadata"]["name"] for o, p in pods(renewed) if before[o["metadata"]["name"]] != p
    }
    assert changed == {f"{NAME}-{part}" for part in ("postgresql", "minio", "redis", "rabbitmq")}


def test_another_authority_replaces_all_pods_that_trust_one() -> None:
    own = {"redis": {"enabled": True}, "mysql": {"enabled": True}, "postgresql": {"enabled": False}}
    more = merged(own, {"rabbitmq": {"enabled": True}})
    ours = {o["metadata"]["name"]: p for o, p in pods(objects(merged(TLS, more)))}
    theirs = {o["metadata"]["name"]: p for o, p in pods(objects(merged(MANAGED, more)))}
    issued = merged(MANAGED, more, {"tls": {"certManager": {"issuer": {"name": "corp"}}}})
    others = {o["metadata"]["name"]: p for o, p in pods(objects(issued))}
    assert len(ours) == 6
    for name, pod in ours.items():
        templates = (pod, theirs[name], others[name])
        said = [
            one_["metadata"].get("annotations", {}).get("inferloop.io/tls") for one_ in templates
        ]
        assert said == [None, "cert-manager", "cert-manager corp"], name


@pytest.mark.parametrize("case", sorted(CASES))
def test_the_names_of_cert_managers_certificate_are_those_of_every_service(case: str) -> None:
    managed = {"enabled": True, "existingSecret": "", "certManager": {"enabled": True}}
    values = merged(CASES[case], {"tls": managed})
    found = objects(values)
    said = set(one(found, "Certificate", SECRET)["spec"]["dnsNames"])
    plain = ("api-metrics", "worker-metrics", "test", "prometheus", "grafana", "alertmanager")
    metrics = tuple(f"{NAME}-{part}" for part in plain)  # http, within the cluster
    wanted = {
        name
        for name in names_of(found, NAMESPACE)
        if not name.removeprefix("*.").startswith(metrics)
    }
    assert wanted <= said


@pytest.mark.slow
def test_cert_manager_makes_an_authority_of_the_releases_own_and_a_certificate_of_it() -> None:
    found = objects(MANAGED)
    assert custom.invalid(found) == []
    made = one(found, "Certificate", SECRET)["spec"]
    assert made["secretName"] == SECRET
    assert (made["duration"], made["renewBefore"]) == ("8760h", "720h")
    issuer = one(found, "Issuer", made["issuerRef"]["name"])["spec"]
    authority = one(found, "Certificate", f"{SECRET}-ca")["spec"]
    assert authority["isCA"]
    assert issuer["ca"]["secretName"] == authority["secretName"]
    assert "selfSigned" in one(found, "Issuer", authority["issuerRef"]["name"])["spec"]
    assert not [o for o in found if o["kind"] == "Secret"]
    assert not is_wanted(NAME, found)


def test_another_issuer_can_be_named() -> None:
    named = {"issuer": {"name": "corp", "kind": "ClusterIssuer"}}
    found = objects(merged(MANAGED, {"tls": {"certManager": named}}))
    assert [o["metadata"]["name"] for o in found if o["kind"] == "Certificate"] == [SECRET]
    assert one(found, "Certificate", SECRET)["spec"]["issuerRef"]["name"] == "corp"
    assert not [o for o in found if o["kind"] == "Issuer"]


def test_a_chart_that_is_installed_by_hand_makes_a_certificate_that_is_right(
    tmp_path: Path,
) -> None:
    by_hand = merged(BUILT_IN, {"tls": {"enabled": True}})
    secret = one(objects(by_hand), "Secret", SECRET)
    assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    for key, content in secret["data"].items():
        (tmp_path / key).write_bytes(base64.b64decode(content))
    for host in (f"{NAME}-postgresql", f"{NAME}-minio.{NAMESPACE}.svc"):
        done = subprocess.run(
            ["openssl", "verify", "-CAfile", "ca.crt", "-verify_hostname", host, "tls.crt"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    # Nobody renews it: its authority's key is nowhere.
    (end,) = certificates.ends(tmp_path / "tls.crt")
    (last,) = certificates.ends(tmp_path / "ca.crt")
    assert end > datetime.now(UTC) + timedelta(days=3640)
    assert abs(last - end) < timedelta(minutes=1)


# --- authorities ----------------------------------------------------------------------------


def test_private_authorities_are_trusted_in_every_pod_that_calls_others(bundle: str) -> None:
    found = objects(merged(EVERYTHING, {"ca": {"existingConfigMap": "", "bundle": bundle}}))
    assert one(found, "ConfigMap", f"{NAME}-ca")["data"]["ca.crt"] == bundle
    seen = set()
    for workload, pod in pods(found):
        for container in containers(pod):
            told = {e["name"]: e.get("value") for e in container.get("env", ())}
            mounted = {m["mountPath"] for m in container.get("volumeMounts", ())}
            if told.get("SSL_CERT_FILE"):
                assert told["SSL_CERT_FILE"] == told["REQUESTS_CA_BUNDLE"]
                assert "/run/trust" in mounted
                assert pod["spec"]["initContainers"][0]["name"] == "trust"
                seen.add(workload["metadata"]["name"])
            if told.get("SSL_CERT_DIR"):  # Go reads a folder beside its own file
                assert "/run/ca" in mounted
                seen.add(workload["metadata"]["name"])
    calling = ("api", "worker", "backup", "prometheus", "grafana", "alertmanager")
    assert {f"{NAME}-{part}" for part in calling} <= seen


def test_the_init_container_does_what_it_is_told(tmp_path: Path, bundle: str) -> None:
    made = one(objects(EVERYTHING), "Deployment", f"{NAME}-api")["spec"]["template"]["spec"]
    python, *arguments = made["initContainers"][0]["command"]
    assert python == "python"
    (tmp_path / "ca.crt").write_text(bundle)
    own = {"/run/trust": str(tmp_path), "/run/ca": str(tmp_path)}
    for place, instead in own.items():
        arguments = [argument.replace(place, instead) for argument in arguments]
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    joined = (tmp_path / "ca-bundle.crt").read_text()
    assert bundle.strip() in joined
    assert joined.count("BEGIN CERTIFICATE") > 100


def spec(more: str) -> dict[str, Any]:
    head = "apiVersion: synthdata.inferloop.io/v1\nkind: Deployment\nmetadata: {name: demo}\n"
    text = f"{head}spec:\n  provider: onprem\n{more}"
    return dict(compile_stack(load_text(text, "x.yaml").deployment).template["values"])


def test_a_spec_always_has_tls_and_brings_its_authorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: str
) -> None:
    assert spec("")["tls"] == {"enabled": True, "existingSecret": SECRET}
    managed = spec("  onprem: {operators: [cert-manager]}\n")
    assert managed["tls"] == {"enabled": True, "certManager": {"enabled": True}}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "of us").mkdir()
    (tmp_path / "of us" / "ca.pem").write_text(bundle)
    for path in ("ca.pem", "./ca.pem", f"{tmp_path}/ca.pem", "of us/ca.pem"):
        assert spec(f"  security: {{ca_bundle: '{path}'}}\n")["ca"] == {"bundle": bundle}
    assert spec("  security: {ca_bundle: 'k8s:corp/ca.pem'}\n")["ca"] == {
        "existingSecret": "corp",
        "key": "ca.pem",
    }


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_authorities_that_cannot_be_read_are_refused_at_their_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "corp.pem").write_text(content)
    with pytest.raises((UsageError, ConfigError)) as caught:
        spec("  security: {ca_bundle: corp.pem}\n")
    assert caught.value.where == "spec.security.ca_bundle"


# --- directory ------------------------------------------------------------------------------


def test_the_directory_is_settings_and_its_password_a_file() -> None:
    found = objects(merged(EXTERNAL, {"ldap": LDAP}))
    told = env_of(found)
    assert told["TABULAR_LDAP_URL"] == "ldaps://a.corp,ldaps://b.corp:1636"
    assert told["TABULAR_LDAP_BIND_PASSWORD"] == "file:/run/secrets/ldap/password"
    assert (
        told["TABULAR_LDAP_ROLE_MAP"] == f"cn=tabular-admins,{GROUPS}=admin;tabular-viewers=viewer"
    )
    assert "TABULAR_LDAP_USER_FILTER" not in told  # the service's own default
    assert "TABULAR_LDAP_CA_FILE" not in told
    with_ca = env_of(objects(merged(EXTERNAL, {"ldap": LDAP, "ca": {"existingSecret": "corp"}})))
    assert with_ca["TABULAR_LDAP_CA_FILE"] == "/run/trust/ca-bundle.crt"


@pytest.mark.parametrize("key", ["bindDn", "existingSecret", "groupBase", "roleMap", "userBase"])
def test_a_directory_with_which_nobody_could_sign_in_is_refused(key: str) -> None:
    """The service refuses these settings as well, but by pods that end again and again."""
    said = {name: value for name, value in LDAP.items() if name != key}
    with pytest.raises(EngineError, match=rf"ldap\.{key} is empty: nobody could sign in"):
        objects(merged(EXTERNAL, {"ldap": said}))


@pytest.mark.parametrize(
    "change",
    [
        {"userFilter": "(uid=*)"},
        {"groupFilter": "(objectClass=group)"},
        {"roleMap": {"a": "boss"}},
        {"urls": ["http://dc.corp"]},
    ],
)
def test_words_that_the_service_would_not_take_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match=f"/ldap/{next(iter(change))}"):
        objects(merged(EXTERNAL, {"ldap": {**LDAP, "roleMap": {}, **change}}))


@pytest.mark.debian
def test_the_check_in_the_pod_finds_a_person_by_these_settings(tmp_path: Path) -> None:
    (tmp_path / "slapd").mkdir()
    with slapd_server(tmp_path / "slapd") as slapd:
        _check_people(slapd, tmp_path)


def _check_people(slapd: Slapd, tmp_path: Path) -> None:
    trust.join(tmp_path / "ca-bundle.crt", [slapd.ca_file])
    (tmp_path / "password").write_text(BIND_PASSWORD)
    values = merged(
        EXTERNAL, {"ldap": {**LDAP, "urls": [slapd.ldaps]}, "ca": {"existingSecret": "corp"}}
    )
    told = {
        name: value.replace("/run/trust", str(tmp_path)).replace("/run/secrets/ldap", str(tmp_path))
        for name, value in env_of(objects(values)).items()
        if name.startswith("TABULAR_LDAP")
    }
    told["TABULAR_SECRET_KEY"] = "a secret key of more than thirty-two characters"
    found = {name: _checked(name, told) for name in ("alice", "bob", "nobody", "erin")}
    assert "user alice: would be admin" in found["alice"].stdout
    assert "user bob: would be viewer" in found["bob"].stdout
    assert "NOT OK  user nobody: " in found["nobody"].stdout
    assert "NOT OK  user erin: has no role" in found["erin"].stdout
    assert BIND_PASSWORD not in "".join(f.stdout + f.stderr for f in found.values())
    (tmp_path / "password").write_text("another word than that")
    assert "it refuses the name or password" in _checked("alice", told).stdout


def _checked(user: str, told: dict[str, str]) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TABULAR_")}
    return subprocess.run(
        [sys.executable, "-m", "tabular.api.doctor", "--user", user],
        env={**kept, **told}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


# --- secrets of operators, admission ----------------------------------------------------------


@pytest.mark.slow
def test_an_external_secret_fills_the_secret_of_the_release_and_outlives_itself() -> None:
    own = {"enabled": True, "store": {"name": "vault", "kind": "ClusterSecretStore"}, "path": "t/d"}
    found = objects(merged(BUILT_IN, {"externalSecrets": own}))
    assert custom.invalid(found) == []
    made = one(found, "ExternalSecret", f"{NAME}-secrets")["spec"]
    assert made["target"] == {
        "name": f"{NAME}-secrets",
        "creationPolicy": "Orphan",
        "deletionPolicy": "Retain",
    }
    assert made["dataFrom"] == [{"extract": {"key": "t/d"}}]
    for missing in ({"store": {"name": ""}}, {"path": ""}):
        with pytest.raises(EngineError, match=r"externalSecrets\.\S+ is empty"):
            objects(merged(BUILT_IN, {"externalSecrets": merged(own, missing)}))


@pytest.mark.slow
def test_the_models_of_operators_notice_what_is_wrong() -> None:
    found = [*objects(MANAGED)]
    certificate = one(tuple(found), "Certificate", SECRET)
    assert custom.invalid([{**certificate, "spec": {**certificate["spec"], "dnsName": ["x"]}}])
    assert custom.invalid([{**certificate, "spec": {**certificate["spec"], "dnsNames": "x"}}])
