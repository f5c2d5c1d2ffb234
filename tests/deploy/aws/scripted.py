"""Answers of AWS that no emulator gives, in the shape that boto3's own models prescribe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.stub import Stubber

from tests.deploy.aws.harness import credentials
from tests.testbed.ministack import ACCOUNT, REGION

Script = Sequence[tuple[str, Mapping[str, Any] | None, Mapping[str, Any]]]


class Scripted:
    """In place of a session of boto3: its clients give these answers, in this order.

    Args:
        scripts: by service, for each call its method, its parameters (None for any) and its
            answer; one with ``Error`` is an error.
    """

    region_name = REGION

    def __init__(self, **scripts: Script) -> None:
        self._stubs: list[Stubber] = []
        self._scripts = scripts

    def client(self, service: str, **options: Any) -> Any:
        """A client of a service that reaches nothing."""
        client = credentials(ACCOUNT).client(service, **options)
        stub = Stubber(client)
        for method, expected, answer in self._scripts[service]:
            if "Error" in answer:
                stub.add_client_error(
                    method,
                    service_error_code=answer["Error"],
                    service_message=answer.get("Message", ""),
                    http_status_code=answer.get("Status", 400),
                    expected_params=expected,
                )
            else:
                stub.add_response(method, dict(answer), expected)
        stub.activate()
        self._stubs.append(stub)
        return client

    def get_available_partitions(self) -> list[str]:
        """As boto3 knows them."""
        found: list[str] = credentials(ACCOUNT).get_available_partitions()
        return found

    def get_available_regions(self, service: str, partition: str) -> list[str]:
        """As boto3 knows them."""
        found: list[str] = credentials(ACCOUNT).get_available_regions(service, partition)
        return found

    def require_all(self) -> None:
        """Everything that was to be asked was asked."""
        for stub in self._stubs:
            stub.assert_no_pending_responses()
