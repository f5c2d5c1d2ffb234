"""Log groups as every compiler makes them: kept for as long as the spec says, and encrypted.

CloudWatch Logs knows only certain numbers of days, so the spec's is settled here, once.
"""

from __future__ import annotations

from datetime import timedelta

from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, resource
from tabular.errors import UsageError

# "PutRetentionPolicy" in the API reference of CloudWatch Logs.
LEGAL_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
)  # fmt: skip


def log_group(wanted: Wanted) -> Document:
    """A log group.

    Raises:
        UsageError: logs are to be kept for longer than CloudWatch keeps them.
    """
    return resource(
        "AWS::Logs::LogGroup",
        {"RetentionInDays": retention_days(wanted), "KmsKeyId": wanted.key_arn},
    )


def retention_days(wanted: Wanted) -> int:
    """The shortest time that CloudWatch keeps logs for and that is not below the spec's, in days.

    Raises:
        UsageError: it keeps none for so long.
    """
    said = wanted.spec.monitoring.log_retention
    for legal in LEGAL_DAYS:
        if timedelta(days=legal) >= said:
            return legal
    raise UsageError(
        f"CloudWatch keeps logs for at most {LEGAL_DAYS[-1]} days, not {said.days}",
        where="spec.monitoring.log_retention",
        hint=f"{LEGAL_DAYS[-1]}d, or have them exported to S3",
    )
