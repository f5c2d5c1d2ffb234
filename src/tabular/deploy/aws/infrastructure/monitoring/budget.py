"""A budget that tells when spending nears what the spec allows."""

from __future__ import annotations

from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, ref, resource
from tabular.errors import UnsupportedError

TAG = "inferloop:deployment"
# Where CloudFormation has the type, says its registry as of November 2026; elsewhere a budget,
# which belongs to no region, can only be made from one of these or by hand.
REGIONS = frozenset(
    {"ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
     "ca-central-1", "cn-north-1", "cn-northwest-1", "eu-central-1", "eu-west-1", "eu-west-2",
     "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"}
)  # fmt: skip
_SHARES = (80, 100)  # percent of the month's limit


def budget(wanted: Wanted) -> Part:
    """The budget, if the spec names one.

    Raises:
        UnsupportedError: CloudFormation makes none in this region.
    """
    limit = wanted.spec.policy.monthly_budget
    if limit is None:
        return {}
    if wanted.region not in REGIONS:
        raise UnsupportedError(
            f"CloudFormation makes no budget in {wanted.region}",
            where="spec.policy.monthly_budget",
            hint="leave it out and make one by hand (`aws budgets create-budget`), or choose "
            f"another region: {', '.join(sorted(REGIONS))}",
        )
    return {
        "Budget": resource(
            "AWS::Budgets::Budget",
            {
                "Budget": {
                    "BudgetType": "COST",
                    "TimeUnit": "MONTHLY",
                    "BudgetLimit": {"Amount": limit, "Unit": "USD"},
                    "CostFilters": {"TagKeyValue": [f"user:{TAG}${wanted.target.name}"]},
                },
                "NotificationsWithSubscribers": [_notification(share) for share in _SHARES],
            },
            # Budgets asks whether it may speak to the topic when it is made.
            depends_on=["AlarmTopicPolicy"],
        )
    }


def _notification(share: int) -> Document:
    return {
        "Notification": {
            "NotificationType": "ACTUAL",
            "ComparisonOperator": "GREATER_THAN",
            "Threshold": share,
            "ThresholdType": "PERCENTAGE",
        },
        "Subscribers": [{"SubscriptionType": "SNS", "Address": ref("AlarmTopic")}],
    }
