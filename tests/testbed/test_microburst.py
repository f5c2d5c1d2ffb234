"""The failing proxy: boto3 takes its faults for AWS's, and the proxy knows which it made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.testbed import parts
from tests.testbed.microburst import Microburst, microburst_server
from tests.testbed.ministack import SECRET, MiniStack

botocore_exceptions = parts.module("botocore.exceptions", package="boto3")


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, ministack: MiniStack) -> Iterator[Microburst]:
    with microburst_server(tmp_path_factory.mktemp("microburst"), ministack.url) as server:
        yield server


def client(proxy: Microburst, account: str, service: str, attempts: int = 1) -> Any:
    boto3 = parts.module("boto3", package="boto3")
    config = parts.module("botocore.config", package="boto3").Config(
        retries={"total_max_attempts": attempts, "mode": "standard"}
    )
    return boto3.client(
        service,
        region_name="eu-west-1",
        endpoint_url=proxy.url,
        aws_access_key_id=account,
        aws_secret_access_key=SECRET,
        config=config,
    )


def test_the_first_call_is_not_kept_waiting(proxy: Microburst, aws_account: str) -> None:
    proxy.fail()
    cloudformation = client(proxy, aws_account, "cloudformation")
    began = time.monotonic()
    assert cloudformation.list_stacks()["StackSummaries"] == []
    assert time.monotonic() - began < 2.5
    assert proxy.fired() == []


@pytest.mark.parametrize(
    ("code", "status"), [("Throttling", 400), ("ServiceUnavailable", 503), ("InternalFailure", 500)]
)
def test_errors_are_in_the_words_of_the_service(
    proxy: Microburst, aws_account: str, code: str, status: int
) -> None:
    rule = {"service": "cloudformation", "operation": "ListStacks", "error": {"code": code}}
    proxy.fail(rule)
    with pytest.raises(botocore_exceptions.ClientError) as caught:
        client(proxy, aws_account, "cloudformation").list_stacks()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    (fault,) = proxy.fired()
    assert (fault["service"], fault["operation"]) == ("cloudformation", "ListStacks")
    assert fault["action"] == f"error:{code}"


def test_a_fault_that_ends_is_survived_by_retries(proxy: Microburst, aws_account: str) -> None:
    proxy.fail({"service": "cloudformation", "error": {"code": "Throttling"}, "times": 2})
    client(proxy, aws_account, "cloudformation", attempts=4).list_stacks()
    assert len(proxy.fired()) == 2


def test_connections_are_cut(proxy: Microburst, aws_account: str) -> None:
    proxy.fail({"service": "cloudformation", "reset": True})
    with pytest.raises(botocore_exceptions.ConnectionClosedError):
        client(proxy, aws_account, "cloudformation").list_stacks()
    assert proxy.fired()[0]["action"] == "reset"


def test_bodies_are_cut_short(proxy: Microburst, aws_account: str) -> None:
    proxy.fail()
    store = client(proxy, aws_account, "s3")
    bucket = f"cut-{aws_account}"
    where = {"LocationConstraint": "eu-west-1"}
    store.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
    store.put_object(Bucket=bucket, Key="k", Body=b"x" * 100_000)
    proxy.fail({"service": "s3", "operation": "GetObject", "response": {"abort_frac": 0.5}})
    with pytest.raises(botocore_exceptions.HTTPClientError):
        store.get_object(Bucket=bucket, Key="k")["Body"].read()
    assert len(proxy.fired()) == 1
