"""Regular backups: the platform's own always, copies of volumes by Velero where it is named."""

from __future__ import annotations

import math
from urllib.parse import parse_qs, urlsplit

from tabular.deploy.onprem.names import backup_secret_name
from tabular.errors import UnsupportedError

from .wanted import Values, Wanted

VELERO = "velero"
_WHERE = "spec.backup.destination"


def values(wanted: Wanted) -> Values:
    """Values of backups; none where they are off.

    Raises:
        UnsupportedError: a destination that no pod of the cluster writes to.
    """
    backup = wanted.spec.backup
    if not backup.enabled:
        return {}
    found: Values = {
        "enabled": True,
        "schedule": backup.schedule,
        "timezone": backup.timezone,
        "retentionDays": max(1, math.ceil(backup.retention.total_seconds() / 86_400)),
    }
    velero: Values = {"enabled": True} if VELERO in wanted.operators else {}
    if backup.destination is not None:
        _require_s3(backup.destination)
        secret = backup_secret_name(wanted.target.name)
        found["logical"] = {"destination": backup.destination, "existingSecret": secret}
        if velero:
            velero["location"] = _location(backup.destination, secret)
    if velero:
        found["velero"] = velero
    return {"backup": found}


def _require_s3(destination: str) -> None:
    parts = urlsplit(destination)
    if parts.scheme == "s3" and parts.hostname and "@" not in parts.netloc:
        return
    raise UnsupportedError(
        f"backups of a cluster do not go to {destination}",
        where=_WHERE,
        hint="s3://bucket/prefix?endpoint=https://host, of S3, MinIO or Ceph; or leave it out for "
        "a volume of the cluster",
    )


def _location(destination: str, secret: str) -> Values:
    """The same store for Velero, beside what is ours."""
    parts = urlsplit(destination)
    options = {name: found[0] for name, found in parse_qs(parts.query).items()}
    config = {"region": options.get("region", "us-east-1")}
    if "endpoint" in options:
        config |= {"s3Url": options["endpoint"], "s3ForcePathStyle": "true"}
    prefix = parts.path.strip("/")
    return {
        "bucket": parts.netloc,
        "prefix": f"{prefix}/velero".lstrip("/"),
        "config": config,
        "secret": secret,
    }
