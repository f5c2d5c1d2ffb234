"""The administrator's key of a deployment: registered, replaced, and never brought back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.platform import Processes, environment

FIRST = "K3yOfTheDeployment0123456789abcdefghijkLMNOPQRST"  # 48, as a vendor generates them
SECOND = "An0therK3yOfTheDeployment9876543210zyxwvutsrqpon"


def _ask(url: str, key: str, method: str = "GET", path: str = "/v1/keys") -> httpx.Response:
    return httpx.request(method, f"{url}{path}", headers={"Authorization": f"Bearer {key}"})


def _keys(url: str, key: str) -> list[dict[str, Any]]:
    answer = _ask(url, key)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


class Place:
    """Processes of one deployment whose key is in a file, as a store of secrets has it."""

    def __init__(self, folder: Path, database_url: str | None = None) -> None:
        self.secret = folder / "admin-key"
        self.secret.write_text(FIRST)
        env = environment(
            folder,
            database_url,
            TABULAR_ADMIN_KEY=f"file:{self.secret}",
            TABULAR_CREDENTIAL_CACHE="0",
        )
        self._folder, self._env = folder, env
        self._opened: list[Processes] = []

    def replica(self) -> Processes:
        """Processes of their own port."""
        self._opened.append(Processes(self._folder, self._env))
        return self._opened[-1]

    def close(self) -> None:
        for one in self._opened:
            one.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    opened = Place(tmp_path)
    yield opened
    opened.close()


@pytest.mark.slow
def test_it_is_an_administrator_after_restarts_and_on_each_replica(place: Place) -> None:
    first, second = place.replica(), place.replica()
    said = first.run("tabular.api", "migrate")
    assert "'bootstrap' is bootstrap-" in said
    assert "bootstrap" not in first.run("tabular.api", "migrate")  # nothing new to say
    running = first.api()
    second.api()
    made = _ask(first.url, FIRST, "POST").json()  # no body: it is let in and told what is missing
    assert made["code"] == "input.invalid"
    for replica in (first, second):
        (only,) = _keys(replica.url, FIRST)
        assert (only["name"], only["scopes"], only["revoked_at"]) == ("bootstrap", ["admin"], None)
    assert _ask(second.url, FIRST[:-1] + "x").status_code == 401

    running.terminate()
    running.wait(30)
    first.api()
    assert len(_keys(first.url, FIRST)) == 1
    events = _ask(first.url, FIRST, path="/v1/audit").json()["items"]
    created = [(one["event"], one["resource"], one["name"]) for one in events]
    assert created == [("key.created", only["id"], "bootstrap")]
    assert FIRST not in first.log + said


@pytest.mark.slow
def test_another_value_replaces_it_and_the_old_one_never_comes_back(place: Place) -> None:
    replica = place.replica()
    replica.run("tabular.api", "migrate")
    running = replica.api()
    (old,) = _keys(replica.url, FIRST)
    signed_in = httpx.post(f"{replica.url}/v1/session", json={"key": FIRST})
    session = str(signed_in.json()["token"])
    assert _ask(replica.url, session).status_code == 200

    place.secret.write_text(SECOND + "\n")
    assert _ask(replica.url, FIRST).status_code == 200  # until something reads the new value
    assert f"instead of {old['id']}" in replica.run("tabular.api", "migrate")
    assert _ask(replica.url, FIRST).status_code == 401
    assert _ask(replica.url, session).status_code == 401
    listed = {one["id"]: one["revoked_at"] is None for one in _keys(replica.url, SECOND)}
    assert listed.pop(old["id"]) is False
    assert list(listed.values()) == [True]

    # A replica that starts with the value of before changes nothing, and says so.
    place.secret.write_text(FIRST)
    assert "give it another value" in replica.run("tabular.api", "migrate")
    running.terminate()
    running.wait(30)
    replica.api()
    assert _ask(replica.url, FIRST).status_code == 401
    assert _ask(replica.url, SECOND).status_code == 200
    assert "stays so" in replica.log
    assert FIRST not in replica.log
    assert SECOND not in replica.log


@pytest.mark.slow
def test_a_revoked_one_is_not_brought_back_by_a_restart(place: Place) -> None:
    replica = place.replica()
    replica.run("tabular.api", "migrate")
    other = replica.run("tabular.api", "create-key", "--name", "other").strip()
    running = replica.api()
    (brought,) = [one for one in _keys(replica.url, FIRST) if one["name"] == "bootstrap"]
    path = f"/v1/keys/{brought['id']}"

    itself = _ask(replica.url, FIRST, "DELETE", path)
    assert itself.status_code == 409
    turned = _ask(replica.url, other, "POST", f"{path}/rotate")
    assert turned.status_code == 409
    assert "TABULAR_ADMIN_KEY" in turned.json()["hint"]
    assert _ask(replica.url, other, "DELETE", path).status_code == 204
    assert _ask(replica.url, FIRST).status_code == 401

    replica.run("tabular.api", "migrate")
    running.terminate()
    running.wait(30)
    replica.api()
    assert _ask(replica.url, FIRST).status_code == 401
    assert _ask(replica.url, other).status_code == 200


@pytest.mark.slow
def test_a_start_alone_registers_it(place: Place) -> None:
    """As when the value was changed and only the service was started again."""
    replica = place.replica()
    replica.run("tabular.api", "migrate")
    place.secret.write_text(SECOND)
    replica.api()
    assert _ask(replica.url, SECOND).status_code == 200
    assert _ask(replica.url, FIRST).status_code == 401


@pytest.mark.slow
def test_replicas_that_migrate_at_once_agree(tmp_path: Path, postgres_url: str) -> None:
    env = environment(tmp_path, postgres_url, TABULAR_ADMIN_KEY=FIRST)
    replica = Processes(tmp_path, env)
    replica.run("tabular.api", "migrate")  # the schema, and a first key
    changed = {**os.environ, **env, "TABULAR_ADMIN_KEY": SECOND}
    try:
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "tabular.api", "migrate"],
                env=changed,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for _ in range(4)
        ]
        assert [one.wait(60) for one in started] == [0] * 4
        replica.api()
        assert _ask(replica.url, FIRST).status_code == 401
        listed = _keys(replica.url, SECOND)
        assert sorted(one["revoked_at"] is None for one in listed) == [False, True]
    finally:
        replica.close()
