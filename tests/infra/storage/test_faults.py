"""Killed writers, full disks, dead servers, wrong credentials and wrong URLs."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tabular.errors import ConfigError, UnavailableError
from tabular.infra.storage import open_store
from tests.infra.storage.conftest import Folder, Place
from tests.testbed import disk
from tests.testbed.ports import free_port
from tests.testbed.s3 import S3
from tests.testbed.tls import make_certificate, tls_in_front_of

_ENDLESS = """
import sys, time
from tabular.infra.storage import open_store
def chunks():
    while True:
        yield b"x" * 1_000_000
        print("going", flush=True)
        time.sleep(0.002)
open_store(sys.argv[1], credentials=eval(sys.argv[2])).put("k", chunks())
"""

_MEASURE = """
import resource, sys
from tabular.infra.storage import open_store
store = open_store(sys.argv[1], credentials=eval(sys.argv[2]))
store.put("warm", b"x" * 5_000_000)
list(store.get("warm"))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
chunk = bytes(1_000_000)
store.put("k", (chunk for _ in range(int(sys.argv[3]))))
for _ in store.get("k"): pass
print(peak() - before)
"""


def _script(code: str, place: Place) -> list[str]:
    return [sys.executable, "-c", code, place.url, repr(dict(place.credentials))]


def test_a_killed_writer_leaves_the_old_object(place: Place) -> None:
    if not place.shared:
        pytest.skip("memory ends with its process")
    store = place.open()
    store.put("k", b"old")
    writer = subprocess.Popen(_script(_ENDLESS, place), stdout=subprocess.PIPE)
    assert writer.stdout is not None
    for _ in range(40):
        assert writer.stdout.readline(), "the writer ended by itself"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    assert b"".join(store.get("k")) == b"old"
    assert [info.key for info in store.list()] == ["k"]
    store.sweep(older_than=-60)
    assert len(place.outside.names()) == 2


def test_a_killed_first_writer_leaves_no_object(place: Place) -> None:
    if not place.shared:
        pytest.skip("memory ends with its process")
    writer = subprocess.Popen(_script(_ENDLESS, place), stdout=subprocess.PIPE)
    assert writer.stdout is not None
    for _ in range(20):
        assert writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    store = place.open()
    assert not store.exists("k")
    assert list(store.list()) == []
    store.put("k", b"works", if_absent=True)


@pytest.mark.timeout(120)
def test_memory_stays_bounded(place: Place) -> None:
    if not place.shared:
        pytest.skip("memory keeps everything in memory")
    kept_by_server = place.url.startswith(("gs", "az"))  # those emulators keep all in memory
    command = [*_script(_MEASURE, place), "130" if kept_by_server else "300"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 90, "MB above the peak of a small object"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    with disk.small_disk(tmp_path / "small", "3m") as folder:
        yield folder


@pytest.mark.root
def test_a_full_disk_is_said_and_leaves_no_half_file(small_disk: Path) -> None:
    store = open_store((small_disk / "objects").as_uri())
    store.put("small", b"x" * 1000)
    with pytest.raises(UnavailableError, match="the disk is full") as caught:
        store.put("large", (b"x" * 500_000 for _ in range(20)))
    assert caught.value.code == "unavailable.disk-full"
    assert caught.value.hint is not None
    assert {name.partition("@")[0] for name in Folder(small_disk / "objects").names()} == {"small"}
    assert b"".join(store.get("small")) == b"x" * 1000
    store.put("small2", b"y" * 1000)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = open_store((tmp_path / "file").as_uri())
    for call in (store.ping, lambda: store.put("k", b"x")):
        with pytest.raises(UnavailableError, match="the store cannot write") as caught:
            call()
        assert caught.value.where == (tmp_path / "file").as_uri()


def test_files_are_private(tmp_path: Path) -> None:
    open_store((tmp_path / "o").as_uri()).put("a/k", b"x")
    for path in (tmp_path / "o").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_dead_server_is_unavailable_and_soon() -> None:
    port = free_port()
    secret = "canary-Zx81-secret"
    store = open_store(
        f"s3://bucket?endpoint=http://127.0.0.1:{port}",
        credentials={"access_key_id": "id", "secret_access_key": secret},
    )
    calls: list[Callable[[], object]] = [
        store.ping,
        lambda: store.put("k", b"x"),
        lambda: store.head("k"),
        lambda: list(store.list()),
    ]
    for call in calls:
        start = time.monotonic()
        with pytest.raises(UnavailableError) as caught:
            call()
        assert time.monotonic() - start < 10
        assert secret not in str(caught.value) + repr(caught.value.__cause__)


def test_wrong_credentials_are_refused_with_a_hint(place: Place) -> None:
    if not place.credentials:
        pytest.skip("nothing there asks for credentials")
    secret = base64.b64encode(b"canary-Zx81-secret").decode()
    wrong = {name: secret for name in place.credentials if name.endswith("key")}
    store = replace(place, credentials={**place.credentials, **wrong}).open()
    calls: list[Callable[[], object]] = [
        store.ping,
        lambda: store.head("k"),
        lambda: store.put("k", b"x"),
    ]
    for call in calls:
        with pytest.raises(UnavailableError, match=r"refuses to .*403") as caught:
            call()
        assert "credentials" in str(caught.value.hint)
        assert secret not in str(caught.value)


def test_a_missing_bucket_is_no_missing_object(place: Place) -> None:
    scheme, _, rest = place.url.partition("://")
    if scheme in ("file", "memory"):
        pytest.skip("a folder is made when it is missing")
    store = replace(place, url=f"{scheme}://no-such-bucket/{rest.partition('/')[2]}").open()
    calls: list[Callable[[], object]] = [
        store.ping,
        lambda: store.head("k"),
        lambda: store.put("k", b"x"),
        lambda: list(store.list()),
    ]
    for call in calls:
        with pytest.raises(UnavailableError, match="bucket or container does not exist") as caught:
            call()
        assert caught.value.code == "unavailable.no-bucket"
        assert "create it" in str(caught.value.hint)


def test_a_private_authority_is_an_option(s3: S3, bucket_url: str, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, authority=False)
    port = int(s3.endpoint.rpartition(":")[2])
    with tls_in_front_of(port, certificate, key) as secured:
        url = bucket_url.replace(s3.endpoint, f"https://localhost:{secured}")
        trusting = open_store(f"{url}&ca={certificate}", credentials=s3.credentials)
        trusting.put("k", b"over TLS")
        assert b"".join(trusting.get("k")) == b"over TLS"
        with pytest.raises(UnavailableError):
            open_store(url, credentials=s3.credentials).ping()


class _LosesOneAnswer(BaseHTTPRequestHandler):
    """Passes requests on, and answers the first conditional one with an error after it worked."""

    endpoint: str
    lost: list[str]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        sent = urllib.request.Request(self.endpoint + self.path, body or None, method=self.command)
        for name, value in self.headers.items():
            sent.add_unredirected_header(name, value)
        try:
            with urllib.request.urlopen(sent, timeout=10) as answer:
                status, reply = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, reply = error.code, error.read()
        if status == 200 and "If-None-Match" in self.headers and not self.lost:
            self.lost.append(self.path)
            status, reply = 503, b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(reply)))
        self.send_header("ETag", '"x"')
        self.end_headers()
        self.wfile.write(reply)

    do_GET = do_HEAD = do_POST = do_DELETE = do_PUT

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def test_a_conditional_put_whose_answer_was_lost_is_not_undone(s3: S3, bucket_url: str) -> None:
    handler = type("Handler", (_LosesOneAnswer,), {"endpoint": s3.endpoint, "lost": []})
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    lossy = bucket_url.replace(s3.endpoint, f"http://127.0.0.1:{proxy.server_port}")
    try:
        open_store(lossy, credentials=s3.credentials).put("k", b"kept", if_absent=True)
    finally:
        proxy.shutdown()
        proxy.server_close()
    assert handler.lost, "no answer was lost"
    assert b"".join(open_store(bucket_url, credentials=s3.credentials).get("k")) == b"kept"


def test_raw_copies_between_stores_still_verify(tmp_path: Path, s3: S3, bucket_url: str) -> None:
    data = os.urandom(5_000_000)
    open_store((tmp_path / "o").as_uri()).put("a/k", data)
    s3.rclone("copy", str(tmp_path / "o"), s3.remote(bucket_url))
    assert b"".join(open_store(bucket_url, credentials=s3.credentials).get("a/k")) == data


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("objects", "not a URL"),
        ("", "not a URL"),
        ("fiel:///x", "did you mean 'file'?"),
        ("file://x/y", "three slashes"),
        ("file:///", "names no folder"),
        ("s3://bucket?endpiont=http://h", "did you mean 'endpoint'"),
        ("s3://bucket?region=a&region=b", "given twice"),
        ("s3://bucket/../x", "illegal prefix"),
        ("file:///x?endpoint=y", "unknown option 'endpoint'"),
        ("s3://user:pass@bucket/x", "credentials"),
        ("s3://", "names no bucket"),
    ],
)
def test_wrong_urls(url: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(url)
    assert says in str(caught.value)
    assert "pass@" not in str(caught.value)


def test_opening_contacts_nobody() -> None:
    for url in ("gs://b/p?endpoint=http://127.0.0.1:9&anonymous=true", "az://c/p?account=a"):
        credentials = {"account_key": "QQ=="} if url.startswith("az") else {}
        assert open_store(url, credentials=credentials).where == url.partition("?")[0]


def test_the_record_says_its_format(tmp_path: Path) -> None:
    open_store((tmp_path / "o").as_uri()).put("k", b"x")
    assert json.loads((tmp_path / "o" / "k@ref").read_bytes())["format"] == 1
