"""Helm's own record of a release, corrected where Helm did not look.

Helm brings objects and calls that deployed; whether they came up we see. A release that did not is
marked as failed in its record, so that `helm history` and the next rollback know it as well.
Format: storage driver `secret` of Helm 3 and 4 (pkg/storage/driver): JSON, gzip, base64.
"""

from __future__ import annotations

import base64
import gzip
import json

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.target import Target

FAILED = "it did not come up"  # the description of such a release
_STATUS = "failed"


def mark_failed(cluster: Cluster, target: Target, revision: int) -> None:
    """Mark a release as failed; a record that is kept elsewhere stays as it is.

    Args:
        cluster: where.
        target: of the release.
        revision: its number.
    """
    name = f"sh.helm.release.v1.{target.name}.v{revision}"
    found = cluster.get("v1", "Secret", name, target.region)
    if found is None:
        return
    text = base64.b64decode(base64.b64decode(found["data"]["release"]))
    record = json.loads(gzip.decompress(text))
    record["info"] |= {"status": _STATUS, "description": FAILED}
    packed = base64.b64encode(gzip.compress(json.dumps(record).encode(), mtime=0))
    patch = {
        "metadata": {"labels": {"status": _STATUS}},
        "data": {"release": base64.b64encode(packed).decode()},
    }
    cluster.merge("v1", "Secret", name, target.region, patch)
