"""The web application firewall in front of the load balancer.

It counts what it finds in bodies instead of refusing it: the service takes whole tables there, and
what looks like an attack in a web form is an ordinary cell of one.
"""

from __future__ import annotations

from collections.abc import Sequence

from tabular.deploy.aws.words.document import Document, Part, att, ref, resource

# Requests from one address in five minutes. The service itself limits each key; this is for floods.
FLOOD = 10_000
# Of bodies, in AWS's list of managed rules.
_COMMON = (
    "CrossSiteScripting_BODY", "EC2MetaDataSSRF_BODY", "GenericLFI_BODY", "GenericRFI_BODY",
    "SizeRestrictions_BODY",
)  # fmt: skip
_KNOWN = ("JavaDeserializationRCE_BODY", "Log4JRCE_BODY")


def waf() -> Part:
    """The firewall and its place."""
    rules = [
        _flood(0),
        _managed(1, "AWSManagedRulesCommonRuleSet", counted=_COMMON),
        _managed(2, "AWSManagedRulesKnownBadInputsRuleSet", counted=_KNOWN),
    ]
    return {
        "WebAcl": resource(
            "AWS::WAFv2::WebACL",
            {
                "Scope": "REGIONAL",
                "DefaultAction": {"Allow": {}},
                "Rules": rules,
                "VisibilityConfig": _seen("WebAcl"),
            },
        ),
        "WebAclAssociation": resource(
            "AWS::WAFv2::WebACLAssociation",
            {"ResourceArn": ref("LoadBalancer"), "WebACLArn": att("WebAcl", "Arn")},
        ),
    }


def _managed(priority: int, name: str, *, counted: Sequence[str]) -> Document:
    overridden = [{"Name": one, "ActionToUse": {"Count": {}}} for one in counted]
    group: Document = {"VendorName": "AWS", "Name": name, "RuleActionOverrides": overridden}
    return {
        "Name": name,
        "Priority": priority,
        "OverrideAction": {"None": {}},
        "Statement": {"ManagedRuleGroupStatement": group},
        "VisibilityConfig": _seen(name),
    }


def _flood(priority: int) -> Document:
    return {
        "Name": "Flood",
        "Priority": priority,
        "Action": {"Block": {}},
        "Statement": {"RateBasedStatement": {"AggregateKeyType": "IP", "Limit": FLOOD}},
        "VisibilityConfig": _seen("Flood"),
    }


def _seen(name: str) -> Document:
    return {
        "CloudWatchMetricsEnabled": True,
        "MetricName": name,
        # A sample holds headers, and so may hold the key of a user.
        "SampledRequestsEnabled": False,
    }
