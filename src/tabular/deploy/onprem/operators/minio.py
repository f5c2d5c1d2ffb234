"""MinIO, by its operator or by the chart: which disks make a set, and what a Tenant reads."""

from __future__ import annotations

from tabular.errors import ConfigError

# MinIO's limits of an erasure set; fewer than four servers cannot be written to while one is away.
# Source: "Erasure Coding" in MinIO's documentation; its code takes the largest size that divides
# the disks and spreads evenly over the servers.
_SIZES = range(4, 17)
FEWEST_SERVERS = 4
CONFIGURATION = "config.env"


def legal_sets(servers: int, drives: int) -> tuple[int, ...]:
    """Sizes of the erasure sets that disks may be divided into; the last one is taken.

    Args:
        servers: of a distributed store.
        drives: of each server.

    Returns:
        Nothing if there is none: the chart refuses such a store.
    """
    if servers < FEWEST_SERVERS:
        return ()
    whole = servers * drives
    return tuple(
        size
        for size in _SIZES
        if whole % size == 0 and (size % servers == 0 or servers % size == 0)
    )


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
