"""What AWS calls the resources of a stack that runs, for those who take them over.

CloudFormation tells the id of each resource. Rules within a security group are no resources to it,
and to others they are; EC2 tells their ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.account.refusals import explained
from tabular.deploy.aws.account.session import Session
from tabular.deploy.aws.account.stacks import Found, Stacks

_GROUP = "AWS::EC2::SecurityGroup"
_DIRECTIONS = {"ingress": "SecurityGroupIngress", "egress": "SecurityGroupEgress"}
_PEERS = ("SourceSecurityGroupId", "DestinationSecurityGroupId")
Rule = tuple[bool, str, int, int, str]


def identities(session: Session, stacks: Stacks, found: Found, region: str) -> dict[str, str]:
    """Physical ids by logical id, and ``GROUP.ingress.1`` for the rules within a group.

    Args:
        session: that may ask EC2 for ``DescribeSecurityGroupRules``.
        stacks: reads stacks.
        found: what runs.
        region: of it.
    """
    ids = {
        one["LogicalResourceId"]: one["PhysicalResourceId"]
        for one in stacks.resources(found, region)
        if one.get("PhysicalResourceId")
    }
    groups = {
        name: one["Properties"]
        for name, one in found.template.get("Resources", {}).items()
        if one["Type"] == _GROUP and name in ids
    }
    if groups:
        there = _rules(session, region, [ids[name] for name in groups])
        for name, properties in groups.items():
            ids |= dict(_within(name, properties, ids, there))
    return ids


def _within(
    name: str,
    properties: Mapping[str, Any],
    ids: Mapping[str, str],
    there: Mapping[tuple[str, Rule], str],
) -> Iterator[tuple[str, str]]:
    """Ids of the rules that one group names."""
    for direction, key in _DIRECTIONS.items():
        for number, said in enumerate(properties.get(key, ()), start=1):
            rule = _meant(said, ids, egress=direction == "egress")
            found = there.get((ids[name], rule))
            if found:
                yield f"{name}.{direction}.{number}", found


def _meant(said: Mapping[str, Any], ids: Mapping[str, str], *, egress: bool) -> Rule:
    peer = next((said[key] for key in _PEERS if key in said), said.get("CidrIp", ""))
    known = peer if isinstance(peer, str) else ids.get(peer.get("Ref", ""), "")
    return (
        egress,
        str(said["IpProtocol"]),
        int(said.get("FromPort", -1)),
        int(said.get("ToPort", -1)),
        known,
    )


def _rules(session: Session, region: str, groups: list[str]) -> dict[tuple[str, Rule], str]:
    """Ids of the rules of some groups, by group and what they say."""
    client = session.client("ec2", region)
    with explained("ec2:DescribeSecurityGroupRules"):
        pages = client.get_paginator("describe_security_group_rules").paginate(
            Filters=[{"Name": "group-id", "Values": sorted(groups)}]
        )
        return {
            (one["GroupId"], _present(one)): one["SecurityGroupRuleId"]
            for page in pages
            for one in page["SecurityGroupRules"]
        }


def _present(one: Mapping[str, Any]) -> Rule:
    peer = one.get("ReferencedGroupInfo", {}).get("GroupId") or one.get("CidrIpv4", "")
    ports = one.get("FromPort", -1), one.get("ToPort", -1)
    return one["IsEgress"], str(one["IpProtocol"]), *ports, peer
