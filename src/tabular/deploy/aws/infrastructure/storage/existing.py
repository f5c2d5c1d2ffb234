"""A bucket that exists already is used as it is: nobody's settings are changed from here."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.stack import Reduction
from tabular.errors import UsageError

# The user guide of S3, "General purpose bucket naming rules".
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def check(wanted: Wanted) -> None:
    """Look at its name.

    Raises:
        UsageError: no bucket can have it.
    """
    name = wanted.spec.storage.bucket or ""
    if not _NAME.fullmatch(name) or ".." in name:
        raise UsageError(
            f"{name!r} is no name of a bucket",
            where="spec.storage.bucket",
            hint="3 to 63 lower-case letters, digits, dots and hyphens, with no s3:// before them",
        )


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """What the spec says of a bucket that is not made."""
    storage = wanted.spec.storage
    ages = sorted(storage.lifecycle.model_dump(exclude_none=True))
    said = {
        "class": storage.class_,
        "cross_region": storage.cross_region,
        "versioning": storage.versioning,
        "lifecycle": ", ".join(ages),
    }
    for name, value in said.items():
        if value:
            yield Reduction(
                f"spec.storage.{name}",
                str(value).lower() if value is True else str(value),
                "what the bucket has",
                "an existing bucket is used as it is",
            )
