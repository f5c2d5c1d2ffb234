"""The bucket: encrypted, closed to the public and to anything but TLS, kept when all else goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.infrastructure.storage import bucket, existing, lifecycle, replication
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Part
from tabular.deploy.spec.quantities import format_size
from tabular.deploy.stack import Reduction


def resources(wanted: Wanted) -> Part:
    """Bucket, its policy and what copies it; nothing where the spec names a bucket that exists.

    Raises:
        UsageError, UnsupportedError: ages, a class or a copy that S3 does not take.
    """
    if wanted.spec.storage.bucket is not None:
        existing.check(wanted)
        return {}
    return {**bucket.resources(wanted), **replication.resources(wanted)}


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """What S3 gives in another way than it is asked."""
    storage = wanted.spec.storage
    if storage.size is not None:
        yield Reduction(
            "spec.storage.size",
            format_size(storage.size),
            "as much as is stored",
            "S3 has no quota; the size is what the cost is estimated for",
        )
    if storage.replication is not None:
        yield Reduction(
            "spec.storage.replication",
            str(storage.replication),
            "three or more",
            "S3 keeps each object on devices of at least three zones, and takes no number",
        )
    if storage.bucket is not None:
        yield from existing.reductions(wanted)
    else:
        yield from lifecycle.reductions(wanted)


def outputs(wanted: Wanted) -> Mapping[str, tuple[Any, str]]:
    """The bucket that is used."""
    return {"bucket": (wanted.bucket_name, "Bucket of S3 that has the objects.")}
