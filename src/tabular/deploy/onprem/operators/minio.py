"""MinIO by its operator: what a Tenant reads of its administrator."""

from __future__ import annotations

from tabular.errors import ConfigError

CONFIGURATION = "config.env"


def configuration(access_key: str, secret_key: str) -> str:
    """The text of the key ``config.env`` from which a Tenant reads its administrator.

    Raises:
        ConfigError: a quote or a line break, for which that file has no form.
    """
    for value in (access_key, secret_key):
        if any(sign in value for sign in "\"'\r\n"):
            raise ConfigError(
                "the MinIO operator reads no key with a quote or a line break",
                where=CONFIGURATION,
                hint="give storage-access-key and storage-secret-key without",
            )
    return f'export MINIO_ROOT_USER="{access_key}"\nexport MINIO_ROOT_PASSWORD="{secret_key}"\n'
