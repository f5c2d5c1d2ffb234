"""Network types that the emulator lacks, made in its own EC2."""

from __future__ import annotations

import re
from typing import Any

from kit import Made, Properties, done, query, register
from ministack.core.responses import AccountRegionScopedDict
from ministack.services import ec2
from ministack.services.cloudformation import provisioners


def _one(tag: str, body: str) -> str:
    found = re.search(rf"<{tag}>([^<]+)</{tag}>", body)
    if found is None:
        raise ValueError(f"the emulator answered without <{tag}>: {body[:300]}")
    return found[1]


# --- AWS::EC2::EIP: its physical id is the address, its allocation is an attribute


def _address_create(logical_id: str, props: Properties, stack: str) -> Made:
    body = done(ec2._allocate_address(query({"Domain": props.get("Domain", "vpc")})))
    allocation, address = _one("allocationId", body), _one("publicIp", body)
    provisioners._ec2_apply_tags(allocation, props)
    return address, {"AllocationId": allocation, "PublicIp": address}


def _allocation(address: str) -> str | None:
    records = ec2._addresses.items()
    return next((key for key, record in records if record["PublicIp"] == address), None)


def _address_update(
    physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
) -> Made:
    allocation = _allocation(physical_id)
    if allocation is None:
        raise ValueError(f"The address {physical_id} does not exist")
    provisioners._ec2_apply_tags(allocation, new, old)
    return physical_id, {"AllocationId": allocation, "PublicIp": physical_id}


def _address_delete(physical_id: str, props: Properties) -> None:
    allocation = _allocation(physical_id)
    if allocation is not None:
        done(ec2._release_address(query({"AllocationId": allocation})))


# --- AWS::EC2::NatGateway


def _nat_create(logical_id: str, props: Properties, stack: str) -> Made:
    asked = {
        key: props[key] for key in ("AllocationId", "SubnetId", "ConnectivityType") if key in props
    }
    if asked.get("AllocationId") and asked["AllocationId"] not in ec2._addresses:
        raise ValueError(f"The allocation ID '{asked['AllocationId']}' does not exist")
    nat = _one("natGatewayId", done(ec2._create_nat_gateway(query(asked))))
    _nat_tags(nat, props, None)
    return nat, {"NatGatewayId": nat}


def _nat_tags(nat: str, new: Properties, old: Properties | None) -> None:
    provisioners._ec2_apply_tags(nat, new, old)
    ec2._nat_gateways[nat]["Tags"] = list(ec2._tags.get(nat) or [])


def _nat_update(
    physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
) -> Made:
    _nat_tags(physical_id, new, old)
    return physical_id, {"NatGatewayId": physical_id}


def _nat_delete(physical_id: str, props: Properties) -> None:
    if physical_id in ec2._nat_gateways:
        done(ec2._delete_nat_gateway(query({"NatGatewayId": physical_id})))


# --- AWS::EC2::SecurityGroupIngress and -Egress: one rule of a group each

_STORES = {False: "IpPermissions", True: "IpPermissionsEgress"}
# The rules that are resources: in drift detection they are not differences of their group.
rule_resources = AccountRegionScopedDict()
_RULE_PARTS = {
    False: "CidrIp CidrIpv6 FromPort GroupId GroupName IpProtocol SourcePrefixListId "
    "SourceSecurityGroupId SourceSecurityGroupName SourceSecurityGroupOwnerId ToPort",
    True: "CidrIp CidrIpv6 DestinationPrefixListId DestinationSecurityGroupId FromPort GroupId "
    "IpProtocol ToPort",
}


def _rule(egress: bool) -> dict[str, Any]:
    store = _STORES[egress]

    def create(logical_id: str, props: Properties, stack: str) -> Made:
        group = ec2._security_groups.get(props["GroupId"])
        if group is None:
            raise ValueError(f"The security group '{props['GroupId']}' does not exist")
        (rule,) = provisioners._ec2_sg_permissions([props])
        rule_id = ec2._sg_rule_id(props["GroupId"], egress, rule)
        if any(ec2._rules_match(rule, other) for other in group[store]):
            raise ValueError(f"the specified rule of {props['GroupId']} already exists")
        group[store].append({**rule, "SecurityGroupRuleId": rule_id})
        rule_resources[rule_id] = props["GroupId"]
        return rule_id, {"Id": rule_id}

    def update(
        physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
    ) -> Made:
        delete(physical_id, old)
        (rule,) = provisioners._ec2_sg_permissions([new])
        ec2._security_groups[new["GroupId"]][store].append(
            {**rule, "SecurityGroupRuleId": physical_id}
        )
        rule_resources[physical_id] = new["GroupId"]
        return physical_id, {"Id": physical_id}

    def delete(physical_id: str, props: Properties) -> None:
        group = ec2._security_groups.get(props.get("GroupId"))
        if group is not None:
            group[store] = [
                rule for rule in group[store] if rule.get("SecurityGroupRuleId") != physical_id
            ]
        rule_resources.pop(physical_id, None)

    return {
        "create": create,
        "update": update,
        "delete": delete,
        "replacing": _RULE_PARTS[egress],
    }


# --- AWS::EC2::FlowLog


def _flow_log_create(logical_id: str, props: Properties, stack: str) -> Made:
    asked = {key: value for key, value in props.items() if key not in ("ResourceId", "Tags")}
    parameters = query(asked) | {"ResourceId.1": [props["ResourceId"]]}
    flow_log = _one("item", done(ec2._create_flow_logs(parameters)))
    provisioners._ec2_apply_tags(flow_log, props)
    return flow_log, {"Id": flow_log}


def _flow_log_update(
    physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
) -> Made:
    provisioners._ec2_apply_tags(physical_id, new, old)
    return physical_id, {"Id": physical_id}


def _flow_log_delete(physical_id: str, props: Properties) -> None:
    done(ec2._delete_flow_logs({"FlowLogId.1": [physical_id]}))


def install() -> None:
    """Register the types of this module."""
    register(
        "AWS::EC2::EIP",
        create=_address_create,
        update=_address_update,
        delete=_address_delete,
        replacing="Address IpamPoolId NetworkBorderGroup TransferAddress",
        tags=("Tags", "list"),
    )
    register(
        "AWS::EC2::NatGateway",
        create=_nat_create,
        update=_nat_update,
        delete=_nat_delete,
        replacing="AllocationId AvailabilityMode ConnectivityType PrivateIpAddress SubnetId VpcId",
        tags=("Tags", "list"),
    )
    register("AWS::EC2::SecurityGroupIngress", **_rule(egress=False))
    register("AWS::EC2::SecurityGroupEgress", **_rule(egress=True))
    register(
        "AWS::EC2::FlowLog",
        create=_flow_log_create,
        update=_flow_log_update,
        delete=_flow_log_delete,
        replacing=(
            "DeliverCrossAccountRole DeliverLogsPermissionArn DestinationOptions "
            "LogDestination LogDestinationType LogFormat LogGroupName "
            "MaxAggregationInterval ResourceId ResourceType TrafficType"
        ),
        tags=("Tags", "list"),
    )
