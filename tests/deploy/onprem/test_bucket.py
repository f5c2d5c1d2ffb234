"""Bucket and user of the deployment's own MinIO: the init containers of API and workers.

The other side is MinIO's own code (`tests.testbed.minio`); whether the policy suffices is asked of
an emulator that enforces policies, with the storage driver's own suite: `test_bucket_policy`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import obstore
import pytest
from obstore.store import S3Store

from tabular.deploy.onprem.bucket.store import Keys, ensure, wait
from tabular.errors import ConfigError, TabularError, UnavailableError
from tabular.infra.storage import open_store
from tests.testbed.minio import PASSWORD, ROOT, MinIO, minio
from tests.testbed.ports import free_port
from tests.testbed.s3 import rclone_s3
from tests.testbed.tls import make_certificate

pytestmark = pytest.mark.debian

ADMINISTRATOR = Keys(ROOT, PASSWORD)
SERVICE = Keys("tabular-service", "generated-once-" + "x" * 33)
STEPS = ("PUT bucket", "add-canned-policy", "add-user", "set-user-or-group-policy")
PROGRAM = [sys.executable, "-m", "tabular.deploy.onprem.bucket"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MinIO]:
    with rclone_s3(tmp_path) as behind, minio(tmp_path, behind) as found:
        yield found


def can_work(at: MinIO, bucket: str, keys: Keys = SERVICE) -> bool:
    """Whether the service writes and reads there, by its own driver."""
    credentials = {"access_key_id": keys.user, "secret_access_key": keys.password}
    objects = open_store(at.url(bucket), credentials=credentials)
    try:
        objects.put("a/b", [b"rows"])
        return b"".join(objects.get("a/b")) == b"rows"
    except UnavailableError:
        return False


def environment(at: MinIO, bucket: str, *, administrator: bool = True) -> dict[str, str]:
    """What the chart sets for the container."""
    root = {"MINIO_ROOT_USER": ROOT, "MINIO_ROOT_PASSWORD": PASSWORD} if administrator else {}
    return {
        "PATH": os.environ["PATH"],
        "TABULAR_STORAGE_URL": at.url(bucket),
        "AWS_ACCESS_KEY_ID": SERVICE.user,
        "AWS_SECRET_ACCESS_KEY": SERVICE.password,
        **root,
    }


def test_bucket_and_user_are_made_once_and_found_afterwards(store: MinIO) -> None:
    ensure(store.url("mine"), SERVICE, ADMINISTRATOR)
    assert can_work(store, "mine")
    made = store.state()
    assert made["Users"] == {SERVICE.user: {"secretKey": SERVICE.password, "status": "enabled"}}
    assert made["Writes"] == ["bucket", *STEPS[1:]]
    ensure(store.url("mine"), SERVICE, ADMINISTRATOR)
    assert store.state() == made, "a second time writes nothing"


def test_the_user_may_use_its_bucket_alone_and_administer_nothing(store: MinIO) -> None:
    ensure(store.url("mine"), SERVICE, ADMINISTRATOR)
    ensure(store.url("other"), Keys("somebody-else", "x" * 20), ADMINISTRATOR)
    assert not can_work(store, "other")
    with pytest.raises(ConfigError, match="refuses its administrator: 403"):
        ensure(store.url("third"), Keys("yet-another", "x" * 20), SERVICE)
    assert set(store.state()["Buckets"]) == {"mine", "other"}
    assert set(store.state()["Users"]) == {SERVICE.user, "somebody-else"}


def test_another_password_is_followed(store: MinIO) -> None:
    ensure(store.url("mine"), SERVICE, ADMINISTRATOR)
    later = Keys(SERVICE.user, "another-" + "y" * 20)
    ensure(store.url("mine"), later, ADMINISTRATOR)
    assert can_work(store, "mine", later)
    assert not can_work(store, "mine", SERVICE)


def test_rights_that_somebody_added_are_taken_back(store: MinIO) -> None:
    ensure(store.url("mine"), SERVICE, ADMINISTRATOR)
    before = store.state()["Of"]
    ensure(store.url("other"), SERVICE, ADMINISTRATOR)
    assert store.state()["Of"] != before
    ensure(store.url("mine"), SERVICE, ADMINISTRATOR)
    assert store.state()["Of"] == before
    assert not can_work(store, "other")


def test_the_store_may_be_read_only_once_all_is_there(store: MinIO) -> None:
    ensure(store.url("mine"), SERVICE, ADMINISTRATOR)
    store.refuse("add-user")
    ensure(store.url("mine"), SERVICE, ADMINISTRATOR, patience=0)
    with pytest.raises(UnavailableError, match="status 503"):
        ensure(store.url("other"), SERVICE, ADMINISTRATOR, patience=0)


@pytest.mark.parametrize("step", STEPS)
def test_killed_in_any_step_the_next_one_ends_right(store: MinIO, step: str) -> None:
    store.hold(step)
    first = subprocess.Popen(PROGRAM, env=environment(store, "mine"))
    written = "bucket" if step == "PUT bucket" else step
    deadline = time.monotonic() + 30
    while written not in store.state()["Writes"]:
        assert time.monotonic() < deadline and first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    store.hold("")
    again = subprocess.run(
        PROGRAM, env=environment(store, "mine"), capture_output=True, text=True, check=False
    )
    assert (again.returncode, again.stderr) == (0, "")
    assert can_work(store, "mine")


def test_a_worker_waits_for_the_user_and_needs_no_administrator(store: MinIO) -> None:
    worker = subprocess.Popen(
        [*PROGRAM, "--wait"], env=environment(store, "mine", administrator=False)
    )
    with pytest.raises(UnavailableError, match="the API's pods make it"):
        wait(store.url("mine"), SERVICE, patience=0)
    assert worker.poll() is None
    ensure(store.url("mine"), SERVICE, ADMINISTRATOR)
    assert worker.wait(timeout=30) == 0


def test_with_tls_the_authority_of_the_url_is_trusted(tmp_path: Path) -> None:
    tls = make_certificate(tmp_path, authority=False)
    with rclone_s3(tmp_path) as behind, minio(tmp_path, behind, tls=tls) as store:
        ensure(store.url("mine"), SERVICE, ADMINISTRATOR)
        assert SERVICE.user in store.state()["Users"]
        strange = store.url("mine").replace(f"&ca={store.authority}", "")
        with pytest.raises(UnavailableError):
            ensure(strange, SERVICE, ADMINISTRATOR, patience=0)


def test_wrong_keys_are_told_and_not_tried_for_minutes(store: MinIO) -> None:
    with pytest.raises(ConfigError, match="403") as refused:
        ensure(store.url("mine"), SERVICE, Keys(ROOT, "not the password"))
    assert "storage-access-key" in str(refused.value)
    assert "not the password" not in str(refused.value)


def test_an_administrator_with_the_users_name_is_refused(store: MinIO) -> None:
    with pytest.raises(ConfigError, match="another name"):
        ensure(store.url("mine"), Keys(ROOT, "x" * 20), ADMINISTRATOR)


def test_it_waits_for_a_store_that_comes_up(store: MinIO) -> None:
    nobody = store.url("late").replace(store.endpoint, f"http://127.0.0.1:{free_port()}")
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="ConnectError"):
        ensure(nobody, SERVICE, ADMINISTRATOR, patience=1)
    assert time.monotonic() - began < 5


def test_many_at_once_make_it(store: MinIO) -> None:
    failed: list[TabularError] = []

    def make() -> None:
        try:
            ensure(store.url("by-many"), SERVICE, ADMINISTRATOR)
        except TabularError as error:
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert can_work(store, "by-many")


def test_the_other_side_knows_a_forged_signature(store: MinIO) -> None:
    """The peer itself: what it does not check would show nothing above."""
    ensure(store.url("mine"), SERVICE, ADMINISTRATOR)
    forged = S3Store(
        "mine",
        endpoint=store.endpoint,
        region="us-east-1",
        access_key_id=SERVICE.user,
        secret_access_key="wrong",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    with pytest.raises(Exception, match="SignatureDoesNotMatch"):
        obstore.put(forged, "a", b"1")
    assert httpx.put(f"{store.endpoint}/minio/admin/v3/add-user?accessKey=x").status_code == 403
