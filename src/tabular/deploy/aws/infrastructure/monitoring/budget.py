"""A budget that tells when spending nears what the spec allows."""

from __future__ import annotations

from tabular.deploy.aws.document import Document, Part, ref, resource
from tabular.deploy.aws.wanted import Wanted

TAG = "inferloop:deployment"
_SHARES = (80, 100)  # percent of the month's limit


def budget(wanted: Wanted) -> Part:
    """The budget, if the spec names one."""
    limit = wanted.spec.policy.monthly_budget
    if limit is None:
        return {}
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
