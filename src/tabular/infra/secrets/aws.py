"""``aws-sm:``: AWS Secrets Manager, with the credentials and region of the machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabular.infra.optional import require
from tabular.infra.secrets.parts import denied, malformed, missing, silent, split_key, value_at


def resolve(reference: str, environ: Mapping[str, str]) -> str:
    """The secret of a name or ARN, or one key of it: ``NAME_OR_ARN[#KEY]``.

    Raises:
        ConfigError: no such secret or key, no right to it, or boto3 is not installed.
        UnavailableError: the service does not answer.
    """
    name, key = split_key(reference)
    where = f"aws-sm:{name}"
    boto3 = require("boto3", extra="aws", needed_by="aws-sm: references")
    config_of = require("botocore.config", extra="aws", needed_by="aws-sm: references")
    errors = require("botocore.exceptions", extra="aws", needed_by="aws-sm: references")
    parts = name.split(":")
    region = parts[3] if name.startswith("arn:") and len(parts) > 6 else environ.get("AWS_REGION")
    config = config_of.Config(connect_timeout=3, read_timeout=5, retries={"max_attempts": 2})
    try:
        client = boto3.client("secretsmanager", region_name=region, config=config)
        found: dict[str, Any] = client.get_secret_value(SecretId=name)
    except errors.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code == "ResourceNotFoundException":
            raise missing(where) from error
        if "AccessDenied" in code or code in (
            "UnrecognizedClientException",
            "InvalidClientTokenId",
        ):
            raise denied(where, "these AWS credentials") from error
        raise silent(where, code or "no code") from error
    except errors.NoRegionError as error:
        raise malformed(where, "an ARN, or set AWS_REGION") from error
    except errors.BotoCoreError as error:
        raise silent(where, type(error).__name__) from error
    text = found.get("SecretString")
    value = text if text is not None else bytes(found["SecretBinary"]).decode("utf-8", "replace")
    return value_at(value, key, where)
