"""Names of images, and who signs in for them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabular.deploy.onprem.airgap.credentials import credential
from tabular.deploy.onprem.airgap.reference import Reference, root_of
from tabular.errors import InputError, PreflightError

A = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "registry", "shelf", "wanted"),
    [
        ("postgres", "registry-1.docker.io", "library/postgres", "latest"),
        ("docker.io/library/postgres:17", "registry-1.docker.io", "library/postgres", "17"),
        ("inferloop/tabular:0.1.0", "registry-1.docker.io", "inferloop/tabular", "0.1.0"),
        (f"quay.io/minio/minio:1@{A}", "quay.io", "minio/minio", A),
        ("localhost:5000/a/b__c:x", "localhost:5000", "a/b__c", "x"),
        (f"localhost/app@{A}", "localhost", "app", A),
        ("[::1]:5000/app:1", "[::1]:5000", "app", "1"),
    ],
)
def test_a_name_says_whom_to_ask_for_what(
    text: str, registry: str, shelf: str, wanted: str
) -> None:
    found = Reference.parse(text)
    assert (found.registry, found.shelf, found.wanted) == (registry, shelf, wanted)
    assert str(found) == (text if "/" in text else f"{text}:latest")


@pytest.mark.parametrize(
    "text", ["", "A/b", "a b", "a:", "a@", "a@sha256:b", "https://a/b", "a//b", "a/b:", "../a"]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no name of an image"):
        Reference.parse(text)


@given(st.text(max_size=60))
def test_any_text_is_a_name_that_reads_back_or_an_input_error(text: str) -> None:
    try:
        found = Reference.parse(text)
    except InputError:
        return
    assert Reference.parse(str(found)) == found


@pytest.mark.parametrize(
    "text", ["https://r.example", "r.example/UPPER", "", "r.example//a", "a b"]
)
def test_what_is_no_registry_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no registry"):
        root_of(text)


def test_a_registry_may_have_a_path() -> None:
    assert root_of("r.example:5000/a/b/") == "r.example:5000/a/b"
    moved = Reference.parse("docker.io/library/postgres:17").under("r.example:5000/a")
    assert str(moved) == "r.example:5000/a/library/postgres:17"


def pair(user: str, secret: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{secret}".encode()).decode()}


def write(path: Path, said: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(said), encoding="utf-8")


def test_the_most_exact_entry_of_the_first_file_counts(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    write(
        tmp_path / ".docker/config.json",
        {
            "auths": {
                "r.example": pair("docker", "d"),
                "https://index.docker.io/v1/": pair("hub", "h"),
            }
        },
    )

    def user(host: str, path: str) -> str | None:
        found = credential(host, path, environ)
        return None if found is None else found.user

    assert user("r.example", "team/app") == "docker"
    write(
        tmp_path / "run/containers/auth.json",
        {"auths": {"r.example/team": pair("team", "t"), "r.example": pair("podman", "p")}},
    )
    assert user("r.example", "team/app") == "team"
    assert user("r.example", "other/app") == "podman"
    assert user("registry-1.docker.io", "library/postgres") == "hub"
    assert user("other.example", "app") is None
    named = tmp_path / "named.json"
    write(named, {"auths": {"r.example": {"identitytoken": "long"}}})
    found = credential("r.example", "a", {**environ, "REGISTRY_AUTH_FILE": str(named)})
    assert found is not None and found.is_token


def test_a_credential_helper_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker-credential-vault"
    program.write_text(
        '#!/bin/sh\nread host\n[ "$1 $host" = "get r.example" ] || exit 1\n'
        'echo \'{"Username": "alice", "Secret": "s3cret"}\'\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    write(tmp_path / ".docker/config.json", {"credHelpers": {"r.example": "vault"}})
    found = credential("r.example", "app", {"HOME": str(tmp_path)})
    assert found is not None and (found.user, found.secret) == ("alice", "s3cret")
    assert "s3cret" not in repr(found)
    assert credential("other.example", "app", {"HOME": str(tmp_path)}) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": {"r.example": {"auth": "%%"}}}'])
def test_a_damaged_file_is_a_sentence_without_a_secret(tmp_path: Path, text: str) -> None:
    path = tmp_path / ".docker/config.json"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PreflightError) as told:
        credential("r.example", "app", {"HOME": str(tmp_path)})
    assert told.value.where == str(path)
    assert "%%" not in str(told.value)
