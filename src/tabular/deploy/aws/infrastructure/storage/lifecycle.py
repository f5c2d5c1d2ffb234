"""What S3 does with objects as they grow old, within what it takes.

Limits are of the user guide of S3, "Transitioning objects using Amazon S3 Lifecycle": which class
may follow which, and how long an object stays where it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document
from tabular.deploy.spec.model import Lifecycle
from tabular.deploy.spec.quantities import format_duration
from tabular.deploy.stack import Reduction
from tabular.errors import UnsupportedError, UsageError, nearest

UNFINISHED = 7  # days after which the parts of an upload that was never finished are deleted
IN_STANDARD = 30  # days that an object is in STANDARD before it moves to an infrequent class
IN_INFREQUENT = 30  # days that it is there before it moves on
OLD_VERSIONS = 30  # days for which old versions are kept that only copying needs
ASKED_VERSIONS = 365  # days for which they are kept where the spec asks for them
_DAY = timedelta(days=1)
_WHERE = "spec.storage.lifecycle"

# Storage classes whose objects are read at once, by the day from which an object may be in them.
CLASSES: Mapping[str, int | None] = {
    "STANDARD": None,
    "INTELLIGENT_TIERING": 0,
    "STANDARD_IA": IN_STANDARD,
    "ONEZONE_IA": IN_STANDARD,
    "GLACIER_IR": 0,
}
_ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")


def rules(wanted: Wanted) -> Iterator[Document]:
    """Rules of the bucket.

    Raises:
        UsageError: ages that S3 does not take.
        UnsupportedError: a class that it does not have, or that cannot be read from.
    """
    yield {
        "Id": "unfinished-uploads",
        "Status": "Enabled",
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UNFINISHED},
    }
    moves = list(_moves(wanted))
    expire = _days(wanted.spec.storage.lifecycle, "expire")
    if moves or expire is not None:
        yield {
            "Id": "age",
            "Status": "Enabled",
            **({"Transitions": moves} if moves else {}),
            **({"ExpirationInDays": _after(moves, expire)} if expire is not None else {}),
        }
    if wanted.versioned:
        yield {
            "Id": "old-versions",
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": _version_days(wanted)},
            "ExpiredObjectDeleteMarker": True,
        }


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """What the ages mean for whoever reads the objects."""
    storage = wanted.spec.storage
    start = CLASSES.get(storage.class_ or "")
    if start and storage.lifecycle.transition_to_ia is None:
        yield Reduction(
            "spec.storage.class",
            str(storage.class_),
            f"STANDARD for {start} days, then {storage.class_}",
            "S3 moves no younger object there",
        )
    archived = storage.lifecycle.transition_to_glacier
    if archived is not None:
        yield Reduction(
            f"{_WHERE}.transition_to_glacier",
            format_duration(archived),
            "objects of that age have to be restored before the service can read them",
            "an archive answers in minutes to hours, and the service waits for none",
        )
    if storage.versioning:
        yield Reduction(
            "spec.storage.versioning",
            "true",
            f"old versions are deleted after {ASKED_VERSIONS} days",
            "without an end they would cost more each day, and deleted data would stay for ever",
        )


def _moves(wanted: Wanted) -> Iterator[Document]:
    """Transitions, the earliest first."""
    ages = wanted.spec.storage.lifecycle
    class_ = _class(wanted)
    infrequent, archive = _days(ages, "transition_to_ia"), _days(ages, "transition_to_glacier")
    start = CLASSES[class_]
    if infrequent is not None:
        _require_standard(class_)
        if infrequent < IN_STANDARD:
            raise UsageError(
                f"S3 moves objects to an infrequent class after {IN_STANDARD} days at the "
                f"earliest, not after {infrequent}",
                where=f"{_WHERE}.transition_to_ia",
                hint=f"transition_to_ia: {IN_STANDARD}, or class: INTELLIGENT_TIERING",
            )
        class_, start = "STANDARD_IA", infrequent
    if start is not None:
        yield {"StorageClass": class_, "TransitionInDays": start}
    if archive is not None:
        _require_stay(class_, start, archive)
        yield {"StorageClass": "GLACIER", "TransitionInDays": archive}


def _class(wanted: Wanted) -> str:
    """Storage class of objects that are new, or nearly."""
    said = wanted.spec.storage.class_ or "STANDARD"
    where = "spec.storage.class"
    if said in _ARCHIVES:
        raise UnsupportedError(
            f"what is in {said} has to be restored before it can be read",
            where=where,
            hint="class: GLACIER_IR, or lifecycle: {transition_to_glacier: 90}",
        )
    if said not in CLASSES:
        raise UnsupportedError(
            f"S3 has no class {said!r} for live objects",
            where=where,
            hint=f"{nearest(said, CLASSES)}known: {', '.join(CLASSES)}",
        )
    if said == "ONEZONE_IA" and wanted.ha:
        raise UsageError(
            "ONEZONE_IA loses its objects with its zone, and spec.ha asks to survive that",
            where=where,
            hint="class: STANDARD_IA",
        )
    return said


def _require_standard(class_: str) -> None:
    if class_ not in ("STANDARD", "STANDARD_IA"):
        raise UsageError(
            f"S3 moves nothing from {class_} to STANDARD_IA",
            where=f"{_WHERE}.transition_to_ia",
            hint="leave out transition_to_ia, or spec.storage.class",
        )


def _require_stay(class_: str, start: int | None, archive: int) -> None:
    if class_ in ("STANDARD_IA", "ONEZONE_IA") and start is not None:
        earliest = start + IN_INFREQUENT
        if archive < earliest:
            raise UsageError(
                f"an object stays in {class_} for {IN_INFREQUENT} days, so the archive may follow "
                f"after {earliest} days, not after {archive}",
                where=f"{_WHERE}.transition_to_glacier",
                hint=f"transition_to_glacier: {earliest}, or leave out transition_to_ia",
            )


def _after(moves: list[Document], expire: int) -> int:
    latest = moves[-1]["TransitionInDays"] if moves else -1
    if expire <= latest:
        raise UsageError(
            f"objects would be deleted after {expire} days and moved to "
            f"{moves[-1]['StorageClass']} after {latest}",
            where=f"{_WHERE}.expire",
            hint=f"expire: {latest + 1} or later, or leave out spec.storage.class",
        )
    return expire


def _days(ages: Lifecycle, name: str) -> int | None:
    """An age in days, which are all that S3 counts."""
    age: timedelta | None = getattr(ages, name)
    if age is None:
        return None
    if age % _DAY or not age:
        raise UsageError(
            f"S3 counts ages in whole days, and {format_duration(age)} is none",
            where=f"{_WHERE}.{name}",
            hint=f"{name}: {max(1, round(age / _DAY))}",
        )
    return age.days


def _version_days(wanted: Wanted) -> int:
    return ASKED_VERSIONS if wanted.spec.storage.versioning else OLD_VERSIONS
