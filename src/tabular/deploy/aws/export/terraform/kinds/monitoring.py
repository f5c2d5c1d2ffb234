"""Monitoring: logs, alarms and whom they tell, the dashboard, the budget, and the release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.export.terraform.place import Item, Piece, Place, settled
from tabular.deploy.aws.export.terraform.rules import (
    Kind,
    Rules,
    attribute,
    block,
    body,
    inline,
    json,
    mapping,
    pairs,
    single,
    tags,
    unsaid,
)
from tabular.deploy.export.hcl import Attribute, Block, Call, Text

_STAT: Rules = {
    "Metric": inline(
        {
            "Namespace": "namespace",
            "MetricName": "metric_name",
            "Dimensions": pairs("dimensions"),
        }
    ),
    "Period": "period",
    "Stat": "stat",
    "Unit": "unit",
}
_QUERY: Rules = {
    "Id": "id",
    "Label": "label",
    "Expression": "expression",
    "ReturnData": "return_data",
    "MetricStat": block("metric", _STAT),
}
_TARGET: Rules = {
    "Id": "target_id",
    "Arn": "arn",
    "RoleArn": "role_arn",
    "InputTransformer": block(
        "input_transformer",
        {"InputPathsMap": mapping("input_paths"), "InputTemplate": "input_template"},
    ),
}
_TOLD: Rules = {
    "NotificationType": "notification_type",
    "ComparisonOperator": "comparison_operator",
    "Threshold": "threshold",
    "ThresholdType": "threshold_type",
}


def _targets(place: Place, value: Any) -> Iterator[Piece]:
    for number, one in enumerate(place.listed(value)):
        rule = Attribute("rule", place.itself("name"))
        items = settled([rule, *body(_TARGET, one, place.within(str(number)))])
        name = place.text_of(one, "Id")
        label = f"{place.label}_{name.replace('-', '_')}"
        running = f"{place.adopted}/{name}"
        yield Piece("aws_cloudwatch_event_target", label, items, running)


def _transformation(place: Place, value: Any) -> Iterator[Item]:
    rules: Rules = {
        "MetricName": "name",
        "MetricNamespace": "namespace",
        "MetricValue": "value",
        "DefaultValue": attribute("default_value", str),
        "Unit": "unit",
    }
    yield from block("metric_transformation", rules)(place, value)


def _dashboard(place: Place, value: Any) -> Iterator[Item]:
    """As what it says, not as a text of JSON."""
    text = value["Fn::Sub"] if isinstance(value, Mapping) and "Fn::Sub" in value else None
    if not isinstance(text, str):
        place.refuse("a dashboard without references")
    body_ = place.references.document(text, place.where)
    yield Attribute("dashboard_body", Call("jsonencode", (body_,)))


def _subscribers(place: Place, value: Any) -> Iterator[Item]:
    given = place.named(value, "SubscriptionType", "Address")
    topics = [place.value(address) for kind, address in given if kind == "SNS"]
    mails = [place.value(address) for kind, address in given if kind == "EMAIL"]
    if len(topics) + len(mails) != len(value):
        place.refuse("another way to tell than SNS and EMAIL")
    if topics:
        yield Attribute("subscriber_sns_topic_arns", topics)
    if mails:
        yield Attribute("subscriber_email_addresses", mails)


def _notifications(place: Place, value: Any) -> Iterator[Item]:
    rules: Rules = {"Notification": inline(_TOLD), "Subscribers": _subscribers}
    yield from block("notification", rules)(place, value)


def _filters(place: Place, value: Any) -> Iterator[Item]:
    for name in sorted(place.entries(value)):
        said = Attribute("values", place.value(value[name]))
        yield Block("cost_filter", (), (Attribute("name", name), said))


def _running_budget(place: Place) -> Any:
    account = place.value({"Ref": "AWS::AccountId"})
    return Text((account, f":{place.adopted}"))


def _running_filter(place: Place) -> str:
    return f"{place.running(place.properties['LogGroupName'])}:{place.adopted}"


KINDS: Mapping[str, Kind] = {
    "AWS::Logs::LogGroup": Kind(
        "aws_cloudwatch_log_group",
        {"RetentionInDays": "retention_in_days", "KmsKeyId": "kms_key_id", "Tags": tags},
        ref="name",
        # CloudFormation's ARN means the streams in the group as well.
        attributes={"Arn": ("arn", ":*"), "ArnPlain": "arn"},
    ),
    "AWS::Logs::MetricFilter": Kind(
        "aws_cloudwatch_log_metric_filter",
        {
            "LogGroupName": "log_group_name",
            "FilterPattern": "pattern",
            "MetricTransformations": _transformation,
        },
        ref="name",
        named="name",
        running=_running_filter,
    ),
    "AWS::SNS::Topic": Kind(
        "aws_sns_topic",
        {"DisplayName": "display_name", "KmsMasterKeyId": "kms_master_key_id", "Tags": tags},
        ref="arn",
        attributes={"TopicName": "name", "TopicArn": "arn"},
    ),
    "AWS::SNS::TopicPolicy": Kind(
        "aws_sns_topic_policy",
        {"Topics": single(attribute("arn")), "PolicyDocument": json("policy")},
        running=lambda place: place.running(place.properties["Topics"][0]),
    ),
    "AWS::SNS::Subscription": Kind(
        "aws_sns_topic_subscription",
        {"TopicArn": "topic_arn", "Protocol": "protocol", "Endpoint": "endpoint"},
        ref="arn",
    ),
    "AWS::Events::Rule": Kind(
        "aws_cloudwatch_event_rule",
        {
            "Description": "description",
            "ScheduleExpression": "schedule_expression",
            "State": "state",
            "EventPattern": json("event_pattern"),
            "Targets": unsaid,
            "Tags": tags,
        },
        beside={"Targets": _targets},
        ref="name",
        attributes={"Arn": "arn"},
    ),
    "AWS::CloudWatch::Alarm": Kind(
        "aws_cloudwatch_metric_alarm",
        {
            "AlarmDescription": "alarm_description",
            "Namespace": "namespace",
            "MetricName": "metric_name",
            "Dimensions": pairs("dimensions"),
            "Statistic": "statistic",
            "ExtendedStatistic": "extended_statistic",
            "Unit": "unit",
            "ComparisonOperator": "comparison_operator",
            "Threshold": "threshold",
            "Period": "period",
            "EvaluationPeriods": "evaluation_periods",
            "DatapointsToAlarm": "datapoints_to_alarm",
            "TreatMissingData": "treat_missing_data",
            "ActionsEnabled": "actions_enabled",
            "AlarmActions": "alarm_actions",
            "OKActions": "ok_actions",
            "InsufficientDataActions": "insufficient_data_actions",
            "Tags": tags,
            "Metrics": block("metric_query", _QUERY),
        },
        ref="alarm_name",
        attributes={"Arn": "arn"},
        named="alarm_name",
    ),
    "AWS::CloudWatch::Dashboard": Kind(
        "aws_cloudwatch_dashboard",
        # The provider gives a dashboard no tags; README tells.
        {"DashboardBody": _dashboard, "Tags": unsaid},
        ref="dashboard_name",
        named="dashboard_name",
    ),
    "AWS::Budgets::Budget": Kind(
        "aws_budgets_budget",
        {
            "Budget": inline(
                {
                    "BudgetName": "name",
                    "BudgetType": "budget_type",
                    "TimeUnit": "time_unit",
                    "BudgetLimit": inline(
                        {"Amount": attribute("limit_amount", str), "Unit": "limit_unit"}
                    ),
                    "CostFilters": _filters,
                }
            ),
            "ResourceTags": tags,
            "NotificationsWithSubscribers": _notifications,
        },
        ref="name",
        running=_running_budget,
    ),
    "AWS::SSM::Parameter": Kind(
        "aws_ssm_parameter",
        {
            "Type": "type",
            "Value": "value",
            "Description": "description",
            "Tags": tags,
        },
        ref="name",
        named="name",
    ),
}
