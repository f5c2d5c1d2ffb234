"""What only Google Cloud Storage has: sessions that are continued, and access tokens."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tabular.errors import ConfigError, UnavailableError
from tabular.infra.storage import open_store
from tabular.infra.storage.record import BLOCK
from tests.testbed.faults import ALWAYS, Fault, FaultProxy, faults_before
from tests.testbed.gcs import GCS
from tests.testbed.google_tokens import GoogleTokenServer, google_token_server
from tests.testbed.s3 import BUCKET

DATA = random.Random(3).randbytes(3 * BLOCK + 54_321)
CHUNK = {"method": "PUT", "path": "upload_id", "after": 1}  # not the first one, see below


@pytest.fixture
def proxy(gcs_python: GCS) -> Iterator[FaultProxy]:
    """Before the emulator that keeps track of sessions.

    Of a session that has nothing yet it says that it has one byte, so the first chunk is let pass.
    """
    with faults_before(gcs_python.endpoint) as proxy:
        yield proxy


@pytest.mark.parametrize(
    ("kind", "after"),
    [
        *(("refuse", 1), ("lose", 1), ("reset", 1), ("reset-after", 1), ("stall", 1)),
        *(("refuse", 3), ("reset", 3), ("stall", 3)),  # it forgets a session that is complete
    ],
)
def test_an_upload_is_continued_where_it_was_left(
    proxy: FaultProxy, gcs_python: GCS, kind: str, after: int
) -> None:
    name = f"sessions-{kind}-{after}"
    url = f"gs://{BUCKET}/{name}?endpoint={proxy.endpoint}&anonymous=true&timeout=1"
    proxy.fault = Fault(kind, least=10_000, **{**CHUNK, "after": after})  # type: ignore[arg-type]
    store = open_store(url)
    store.put("k", DATA)
    assert proxy.fault.fired == 1
    asked = [line for line in proxy.seen if line.startswith("PUT")]
    assert len(asked) in (5, 6), "four chunks, a question, and a chunk again if it was lost"
    proxy.fault = None
    assert b"".join(store.get("k")) == DATA


def test_an_upload_that_stays_broken_is_given_up_and_ended(
    proxy: FaultProxy, gcs_python: GCS
) -> None:
    url = f"gs://{BUCKET}/given-up?endpoint={proxy.endpoint}&anonymous=true&timeout=1"
    proxy.fault = Fault("refuse", times=ALWAYS, **CHUNK)  # type: ignore[arg-type]
    with pytest.raises(UnavailableError, match="cannot write: 503"):
        open_store(url).put("k", DATA)
    assert any(line.startswith("DELETE") and "upload_id" in line for line in proxy.seen)
    assert gcs_python.names(BUCKET, "given-up") == []


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[GoogleTokenServer]:
    with google_token_server(tmp_path) as server:
        yield server


def test_a_service_account_signs_in(
    tokens: GoogleTokenServer, gcs_go: GCS, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faults_before(gcs_go.endpoint) as proxy:
        url = f"gs://{BUCKET}/signed?endpoint={proxy.endpoint}"
        store = open_store(url, credentials={"service_account": str(tokens.credentials)})
        store.put("k", DATA)
        assert b"".join(store.get("k")) == DATA
        assert tokens.scopes == ["https://www.googleapis.com/auth/devstorage.read_write"]
        assert set(proxy.authorizations) == {"Bearer token-1"}

        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tokens.credentials))
        assert b"".join(open_store(url).get("k")) == DATA
        assert len(tokens.scopes) == 2
        assert proxy.authorizations[-1] == "Bearer token-2"


def test_a_token_is_renewed_before_it_ends(tokens: GoogleTokenServer, gcs_go: GCS) -> None:
    tokens.lifetime = 1
    url = f"gs://{BUCKET}/renewed?endpoint={gcs_go.endpoint}"
    store = open_store(url, credentials={"service_account": str(tokens.credentials)})
    store.ping()
    store.ping()
    assert len(tokens.scopes) == 2


def test_an_account_that_is_refused_is_said(tokens: GoogleTokenServer, gcs_go: GCS) -> None:
    tokens.refuse = True
    url = f"gs://{BUCKET}?endpoint={gcs_go.endpoint}"
    store = open_store(url, credentials={"service_account": str(tokens.credentials)})
    with pytest.raises(UnavailableError, match="does not let the account sign in") as caught:
        store.ping()
    assert "PRIVATE KEY" not in str(caught.value)


def test_no_credentials_at_all_are_said(tmp_path: Path) -> None:
    store = open_store(
        "gs://bucket?endpoint=http://127.0.0.1:9",
        credentials={"service_account": str(tmp_path / "none.json")},
    )
    with pytest.raises(ConfigError, match="no Google credentials"):
        store.ping()
