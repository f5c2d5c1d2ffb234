"""Secrets that nobody thinks up: Secrets Manager makes them, and only roles read them."""

from __future__ import annotations

from typing import Any

from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, resource

SECRET_KEY_LENGTH = 64
ADMIN_KEY_LENGTH = 48


def resources(wanted: Wanted) -> Part:
    """The key that the service signs with, and the administrator's where an API is served."""
    found = {
        "SecretKey": secret(
            wanted, "What the service signs and seals with.", SECRET_KEY_LENGTH, kept=True
        )
    }
    if wanted.served:
        found["AdminKey"] = secret(wanted, "API key of the administrator.", ADMIN_KEY_LENGTH)
    return found


def secret(
    wanted: Wanted,
    description: str,
    length: int,
    *,
    kept: bool = False,
    **form: Any,
) -> Document:
    """A secret of letters and digits, which need no escape in a URL, a header or a file.

    Args:
        wanted: what is deployed.
        description: what it is for.
        length: in characters.
        kept: as of :func:`tabular.deploy.aws.words.document.resource`.
        form: further properties of ``GenerateSecretString``.
    """
    return resource(
        "AWS::SecretsManager::Secret",
        {
            "Description": description,
            "KmsKeyId": wanted.key_arn,
            "GenerateSecretString": {
                "PasswordLength": length,
                "ExcludePunctuation": True,
                **form,
            },
        },
        kept=kept,
    )
