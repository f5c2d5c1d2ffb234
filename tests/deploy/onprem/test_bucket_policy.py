"""The policy of MinIO's service user: just what the storage driver does, in one bucket.

An emulator that enforces policies runs the suite of the storage drivers with a user of that
policy. MinIO reads policies as S3 does; its own `admin:` actions are unknown elsewhere.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from tabular.deploy.onprem.bucket.user import policy_of
from tabular.errors import NotFoundError, UnavailableError
from tabular.infra.storage import ObjectStore
from tests.infra.storage.conftest import Place
from tests.infra.storage.test_contract import *  # noqa: F403 - the suite, for `place` below
from tests.testbed.ministack import KEY_ID, REGION, SECRET, MiniStack, ministack_server

pytestmark = pytest.mark.slow

MINE, OTHER = "mine", "other"
LARGE = b"x" * (20 * 2**20)  # more than one part
_names = itertools.count()


@dataclass(frozen=True)
class Administrator:
    """What lies below a prefix, seen past the policy."""

    client: Any
    prefix: str

    def names(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=MINE)
        keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
        begin = f"{self.prefix}/"
        return sorted(key.removeprefix(begin) for key in keys if key.startswith(begin))

    def read(self, name: str) -> bytes:
        found: bytes = self.client.get_object(Bucket=MINE, Key=f"{self.prefix}/{name}")[
            "Body"
        ].read()
        return found

    def write(self, name: str, data: bytes) -> None:
        self.client.put_object(Bucket=MINE, Key=f"{self.prefix}/{name}", Body=data)

    def remove(self, name: str) -> None:
        self.client.delete_object(Bucket=MINE, Key=f"{self.prefix}/{name}")


@dataclass(frozen=True)
class Service:
    """The emulator, and keys of a user in it."""

    aws: MiniStack
    key: str
    secret: str

    def client(self, service: str = "s3", *, administrator: bool = False) -> Any:
        key, secret = (KEY_ID, SECRET) if administrator else (self.key, self.secret)
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.aws.url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
        )

    def allow(self, policy: dict[str, Any]) -> None:
        known = [one for one in policy["Statement"] if one["Action"] != ["admin:*"]]
        self.client("iam", administrator=True).put_user_policy(
            UserName="service",
            PolicyName="own",
            PolicyDocument=json.dumps({**policy, "Statement": known}),
        )

    def place(self, prefix: str, bucket: str = MINE) -> Place:
        url = f"s3://{bucket}/{prefix}?endpoint={self.aws.url}&region={REGION}"
        keys = {"access_key_id": self.key, "secret_access_key": self.secret}
        return Place(url, Administrator(self.client(administrator=True), prefix), credentials=keys)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with ministack_server(tmp_path_factory.mktemp("policy"), auth=True) as aws:
        root = Service(aws, KEY_ID, SECRET)
        for bucket in (MINE, OTHER):
            root.client().create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
            )
        root.client("iam").create_user(UserName="service")
        made = root.client("iam").create_access_key(UserName="service")["AccessKey"]
        yield Service(aws, made["AccessKeyId"], made["SecretAccessKey"])


@pytest.fixture
def place(service: Service) -> Place:
    """For the suite of the storage drivers."""
    service.allow(policy_of(MINE))
    return service.place(f"place-{next(_names)}")


@pytest.fixture
def store(place: Place) -> ObjectStore:
    return place.open()


def _work(store: ObjectStore) -> dict[str, Callable[[], object]]:
    def read() -> None:
        assert b"".join(store.get("a/large")) == LARGE
        assert not store.exists("a/nothing")

    return {
        "ping": store.ping,
        "write": lambda: (store.put("a/small", [b"1"]), store.put("a/large", [LARGE])),
        "read": read,
        "list": lambda: list(store.list("a")),
        "delete": lambda: store.delete("a/small"),
    }


# Which work misses which right. An emulator asks nobody for the end of an upload that failed;
# MinIO does (AbortMultipartUploadHandler).
NEEDED = {
    "s3:GetObject": {"read", "list"},
    "s3:PutObject": {"write"},
    "s3:DeleteObject": {"delete"},
    "s3:ListBucket": {"ping", "list"},
}


@pytest.mark.parametrize("action", NEEDED)
def test_no_right_is_there_that_could_be_left_out(service: Service, action: str) -> None:
    lesser = copy.deepcopy(policy_of(MINE))
    for one in lesser["Statement"]:
        one["Action"] = [name for name in one["Action"] if name != action]
    lesser["Statement"] = [one for one in lesser["Statement"] if one["Action"]]
    service.allow(lesser)
    place, refused = service.place(f"lesser-{next(_names)}"), set()
    for name, act in _work(place.open()).items():
        try:
            act()
        except NotFoundError:
            pass  # what could not be written
        except UnavailableError as error:
            assert "refuses" in str(error)
            refused.add(name)
    assert refused & NEEDED[action], f"nobody missed {action}"


def test_it_is_for_one_bucket_and_what_lies_in_it(service: Service) -> None:
    service.allow(policy_of(MINE))
    with pytest.raises(UnavailableError, match="refuses"):
        service.place("x", OTHER).open().put("a", [b"1"])
    with pytest.raises(UnavailableError, match="refuses"):
        service.place("x", OTHER).open().ping()
    s3 = service.client()
    attempts: dict[str, Callable[[], object]] = {
        "delete the bucket": lambda: s3.delete_bucket(Bucket=MINE),
        "make a bucket": lambda: s3.create_bucket(Bucket="third"),
        "list buckets": s3.list_buckets,
        "open the bucket": lambda: s3.put_bucket_policy(Bucket=MINE, Policy="{}"),
        "expire what is in it": lambda: s3.delete_bucket_lifecycle(Bucket=MINE),
        "make a user": lambda: service.client("iam").create_user(UserName="another"),
    }
    for name, attempt in attempts.items():
        with pytest.raises(Exception, match=r"(?i)access ?denied|not authorized"):
            attempt()
            pytest.fail(f"allowed to {name}")


def test_further_keys_and_another_password_are_denied() -> None:
    """MinIO gives both to every user whom no policy denies them."""
    denied = [one for one in policy_of(MINE)["Statement"] if one["Effect"] == "Deny"]
    assert denied == [{"Effect": "Deny", "Action": ["admin:*"]}]
    assert OTHER in json.dumps(policy_of(OTHER)) and MINE not in json.dumps(policy_of(OTHER))
