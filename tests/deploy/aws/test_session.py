"""The way to an account: roles in other accounts, credentials that are renewed, garbled answers."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tabular.deploy.aws.account.refusals import explained
from tabular.deploy.aws.account.session import Access, Session
from tabular.errors import ForbiddenError, IntegrityError, PreflightError, UsageError
from tests.deploy.aws.cloud import AT, Cloud, deploy, destroy, small
from tests.deploy.aws.harness import credentials
from tests.deploy.aws.scripted import Scripted
from tests.testbed.ministack import ACCOUNT, REGION, MiniStack

# --- A role to take on first


def role_in(cloud: Cloud, trusted: str) -> str:
    """A role in an account that another one may take on."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole",
             "Principal": {"AWS": f"arn:aws:iam::{trusted}:root"}}
        ],
    }  # fmt: skip
    made = cloud.client("iam").create_role(
        RoleName="deployer", AssumeRolePolicyDocument=json.dumps(trust)
    )
    arn: str = made["Role"]["Arn"]
    return arn


def test_a_role_of_another_account_deploys_there(cloud: Cloud, ministack: MiniStack) -> None:
    own = Cloud(ministack.url, "7" * 12)
    access = Access(role_arn=role_in(cloud, own.account), endpoint_url=ministack.url)
    session = Session(access, base=credentials(own.account))
    assert session.account == cloud.account
    session.require_account(cloud.account)
    with pytest.raises(UsageError, match=f"of account {cloud.account}, and the spec says 7"):
        session.require_account(own.account)
    deploy(cloud.engine(session), small())
    assert list(cloud.stacks()) and own.stacks() == {}
    destroy(cloud.engine(session), AT, data=True)
    assert cloud.stacks() == {}


class Sts:
    """A service of one's own that gives credentials of a few minutes, and counts them."""

    def __init__(self) -> None:
        self.given = 0
        outer = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                asked = self.rfile.read(length).decode()
                body = outer.answer(asked).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing to be seen."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, asked: str) -> str:
        name = "AssumeRole" if "Action=AssumeRole" in asked else "GetCallerIdentity"
        if name == "GetCallerIdentity":
            inner = f"<Account>{ACCOUNT}</Account><Arn>arn</Arn><UserId>u</UserId>"
        else:
            self.given += 1
            # botocore renews what has less than ten minutes left.
            until = (datetime.now(UTC) + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
            inner = (
                f"<Credentials><AccessKeyId>k{self.given}</AccessKeyId>"
                "<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
                f"<Expiration>{until}</Expiration></Credentials>"
            )
        return (
            f'<{name}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            f"<{name}Result>{inner}</{name}Result></{name}Response>"
        )


@pytest.fixture
def sts() -> Iterator[Sts]:
    made = Sts()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_credentials_of_a_role_are_renewed_before_they_run_out(sts: Sts) -> None:
    """An apply takes longer than the hour that a role's credentials last."""
    access = Access(role_arn="arn:aws:iam::111122223333:role/deployer", endpoint_url=sts.url)
    session = Session(access, base=credentials())
    client = session.client("sts", REGION)
    for _ in range(3):
        client.get_caller_identity()
    assert sts.given == 3


def test_a_role_that_may_not_be_taken_on_is_said() -> None:
    denied = {"Error": "AccessDenied", "Message": "not authorized: sts:AssumeRole", "Status": 403}
    base = Scripted(sts=[("assume_role", None, denied)])
    session = Session(Access(role_arn="arn:aws:iam::111122223333:role/r"), base=base)
    with pytest.raises(ForbiddenError, match="not authorized: sts:AssumeRole"):
        session.account  # noqa: B018 - it is asked


# --- Partitions and errors


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")],
)
def test_arns_are_those_of_the_part_of_aws_that_a_region_is_in(region: str, partition: str) -> None:
    assert Session(Access(), base=credentials()).partition(region) == partition


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_json_that_was_cut_short_is_no_answer(cut: int) -> None:
    class Half(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps({"events": [{"message": "m", "timestamp": 1}]}).encode()[:-cut]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing to be seen."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Half)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    client = Session(Access(endpoint_url=url), base=credentials()).client("logs", REGION)
    try:
        with pytest.raises(IntegrityError, match="garbled") as caught, explained("logs"):
            client.filter_log_events(logGroupName="g")
    finally:
        server.shutdown()
        server.server_close()
    assert caught.value.where == "logs:FilterLogEvents"
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "RequestExpired"])
def test_credentials_that_ran_out_are_said_with_the_way_on(code: str) -> None:
    base = Scripted(sts=[("get_caller_identity", None, {"Error": code, "Status": 403})])
    with pytest.raises(PreflightError, match="have run out") as caught:
        Session(Access(), base=base).account  # noqa: B018 - it is asked
    assert "run the command again; it goes on" in str(caught.value.hint)


# --- An endpoint of one's own


@pytest.mark.parametrize("wrong", ["nope", "localhost:4566", "http://", "ftp://127.0.0.1"])
def test_an_endpoint_that_is_no_address_is_said(wrong: str) -> None:
    with pytest.raises(UsageError, match="no address") as refused:
        Session(Access(endpoint_url=wrong))
    assert refused.value.where == "--endpoint-url"
    assert "http://" in (refused.value.hint or "")
