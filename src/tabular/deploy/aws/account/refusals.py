"""Refusals and failures of AWS in our words: what it is, and what to type next.

boto3 has an error for each service and each way a network fails. Nobody above this room sees one.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from tabular.errors import (
    ForbiddenError,
    IntegrityError,
    PreflightError,
    TabularError,
    UnavailableError,
    UsageError,
)
from tabular.infra.optional import require

NEEDS = "deployments on AWS"
_ERRORS = 300  # from this status on an answer is an error, which boto3 looks at itself
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_WRONG = frozenset(
    {"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch",
     "InvalidAccessKeyId", "AuthFailure", "InvalidSignatureException"}
)  # fmt: skip
_DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}
)
_TIRED = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException",
     "SlowDown", "ServiceUnavailable", "InternalFailure", "InternalError", "RequestTimeout",
     "ThrottledException", "OperationAborted", "429", "500", "502", "503", "504"}
)  # fmt: skip


def code_of(error: Exception) -> str:
    """The service's code of an error, "" where it has none."""
    answer = getattr(error, "response", None) or {}
    return str(answer.get("Error", {}).get("Code", ""))


def said(error: Exception) -> str:
    """The service's words of an error."""
    answer = getattr(error, "response", None) or {}
    return str(answer.get("Error", {}).get("Message", "") or error)


@contextlib.contextmanager
def explained(doing: str) -> Iterator[None]:
    """Errors of boto3 within the block become ours.

    Args:
        doing: the call or service, e.g. ``cloudformation:DescribeStacks``.

    Raises:
        PreflightError: no credentials, expired or wrong ones.
        ForbiddenError: right ones without the permission.
        UnavailableError: AWS throttles, is down, or cannot be reached.
        IntegrityError: an answer came back garbled or cut short.
        UsageError: a profile that does not exist.
    """
    errors = require("botocore.exceptions", extra="aws", needed_by=NEEDS)
    parsers = require("botocore.parsers", extra="aws", needed_by=NEEDS)
    streams = require("urllib3.exceptions", extra="aws", needed_by=NEEDS)
    try:
        yield
    except errors.ClientError as error:
        raise _of_service(error, doing) from error
    except errors.ProfileNotFound as error:
        raise UsageError(
            str(error), hint="`aws configure list-profiles` shows them", code="usage.profile"
        ) from error
    except (errors.NoCredentialsError, errors.PartialCredentialsError) as error:
        raise PreflightError(
            "there are no AWS credentials",
            where=doing,
            hint="`aws configure`, `aws sso login`, AWS_PROFILE, or the role of this machine",
            code="preflight.credentials",
        ) from error
    except (errors.TokenRetrievalError, errors.UnauthorizedSSOTokenError) as error:
        raise PreflightError(
            "the sign-in of AWS SSO has run out",
            where=doing,
            hint="aws sso login",
            code="preflight.credentials",
        ) from error
    except (errors.HTTPClientError, errors.ConnectionError) as error:
        raise UnavailableError(
            f"AWS cannot be reached: {error}",
            where=doing,
            hint="check the network, the proxy and AWS_ENDPOINT_URL, then run the command again; "
            "it goes on where it was",
        ) from error
    except (
        parsers.ResponseParserError,
        errors.IncompleteReadError,
        errors.ChecksumError,
        errors.FlexibleChecksumError,
        streams.HTTPError,  # of a body that is read piece by piece, which boto3 lets through
    ) as error:
        raise _garbled(doing, str(error)) from error
    except errors.BotoCoreError as error:
        raise PreflightError(f"{error}", where=doing, hint="`aws configure list`") from error


def require_whole(operation_model: Any, response_dict: Mapping[str, Any], **_: Any) -> None:
    """Refuse JSON that was cut short: boto3 would take it for an answer that says nothing.

    Raises:
        IntegrityError: it was.
    """
    service = operation_model.service_model
    in_json = "json" in service.resolved_protocol and not operation_model.has_streaming_output
    if in_json and response_dict["body"] and response_dict["status_code"] < _ERRORS:
        try:
            json.loads(response_dict["body"])
        except ValueError as error:
            raise _garbled(f"{service.service_name}:{operation_model.name}", str(error)) from error


def _garbled(doing: str, why: str) -> IntegrityError:
    return IntegrityError(
        f"an answer of AWS came back garbled: {why[:200]}",
        where=doing,
        hint="run the command again; it goes on where it was",
    )


def _of_service(error: Exception, doing: str) -> TabularError:
    code, text = code_of(error), said(error)
    if code in _EXPIRED:
        return PreflightError(
            "the AWS credentials have run out",
            where=doing,
            hint="sign in again (`aws sso login`), then run the command again; it goes on",
            code="preflight.credentials",
        )
    if code == "400":  # a HEAD of S3 has no body to say more in
        return PreflightError(
            "S3 refuses these credentials: they have run out, mostly",
            where=doing,
            hint="sign in again (`aws sso login`), then run the command again; it goes on",
            code="preflight.credentials",
        )
    if code in _WRONG:
        return PreflightError(
            f"AWS does not know these credentials: {text}",
            where=doing,
            hint="`aws sts get-caller-identity` with the same profile shows who you are; a region "
            "that the account has not enabled gives the same answer",
            code="preflight.credentials",
        )
    if code in _DENIED:
        return ForbiddenError(
            f"these credentials may not: {text}",
            where=doing,
            hint="`inferloop-tabular aws iam-policy` prints what a deployer needs",
        )
    if code in _TIRED:
        return UnavailableError(
            f"AWS did not answer after several tries: {code}: {text}",
            where=doing,
            hint="wait a minute and run the command again; it goes on where it was",
        )
    if code == "OptInRequired":
        hint = "enable the region (`aws account enable-region`) or the service, and run it again"
    else:
        hint = "the words are AWS's own: mend what they name, and run the command again"
    return PreflightError(
        f"{code}: {text}", where=doing, hint=hint, code=f"aws.{code or 'unknown'}"
    )
