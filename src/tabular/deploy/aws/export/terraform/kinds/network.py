"""Network: the VPC, its groups of rules, the load balancer and its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.export.terraform.place import Item, Piece, Place, settled
from tabular.deploy.aws.export.terraform.rules import (
    Beside,
    Kind,
    Rules,
    block,
    body,
    by,
    flag,
    inline,
    only,
    options,
    single,
    tags,
    unsaid,
)
from tabular.deploy.export.hcl import Attribute, Expression, Text, Value

_RULE: Rules = {
    "GroupId": "security_group_id",
    "Description": "description",
    "IpProtocol": "ip_protocol",
    "FromPort": "from_port",
    "ToPort": "to_port",
    "CidrIp": "cidr_ipv4",
    "CidrIpv6": "cidr_ipv6",
    "SourceSecurityGroupId": "referenced_security_group_id",
    "DestinationSecurityGroupId": "referenced_security_group_id",
}


def _group_rules(direction: str) -> Beside:
    """Rules as resources of their own, as the provider advises: two groups may name each other."""

    def write(place: Place, value: Any) -> Iterator[Piece]:
        for number, one in enumerate(place.listed(value), start=1):
            label = f"{place.label}_{direction}" + (f"_{number}" if len(value) > 1 else "")
            own = Attribute("security_group_id", place.itself("id"))
            items = settled([own, *body(_RULE, one, place.within(str(number)))])
            running = place.ids.get(f"{place.id}.{direction}.{number}")
            yield Piece(f"aws_vpc_security_group_{direction}_rule", label, items, running)

    return write


def _rule_id(place: Place) -> Value:
    """Stacks that were made before rules had ids know none."""
    return place.adopted if place.adopted.startswith("sgr-") else None


def _gateway(place: Place) -> Value:
    gateway = place.running(place.properties["InternetGatewayId"])
    return f"{gateway}:{place.running(place.properties['VpcId'])}"


def _route(place: Place) -> Value:
    table = place.running(place.properties["RouteTableId"])
    return f"{table}_{place.properties['DestinationCidrBlock']}"


def _association(place: Place) -> Value:
    subnet = place.running(place.properties["SubnetId"])
    return f"{subnet}/{place.running(place.properties['RouteTableId'])}"


def _address(place: Place) -> Value:
    """CloudFormation knows an address by itself, Terraform by the id of its allocation."""
    name = f"aws_eip.{place.label}"
    found = Attribute("public_ip", place.adopted)
    place.references.look_up(name, "aws_eip", place.label, found)
    return Expression(f"data.{name}.id")


def _zone_by_name(place: Place, value: Any) -> Iterator[Item]:
    place.references.look_up("zone", "aws_route53_zone", "zone", Attribute("name", value))
    yield Attribute("zone_id", Expression("data.aws_route53_zone.zone.zone_id"))


def _record(place: Place) -> Value:
    properties = place.properties
    zone = Expression("data.aws_route53_zone.zone.zone_id")
    known = properties.get("HostedZoneId")
    behind = f"_{properties['Name']}_{properties['Type']}"
    return f"{known}{behind}" if known else Text((zone, behind))


def _validation(place: Place, value: Any) -> Iterator[Piece]:
    """CloudFormation proves the name by itself; Terraform is told the record and waits for it.

    A certificate that runs has been proved.
    """
    if place.adopted:
        return
    if len(value) != 1 or set(value[0]) != {"DomainName", "HostedZoneId"}:
        place.refuse("the proof of other names than one")
    proof = f"one({place.address}.domain_validation_options)"
    label = f"{place.label}_validation"
    record = {
        "zone_id": place.value(value[0]["HostedZoneId"]),
        "name": Expression(f"{proof}.resource_record_name"),
        "type": Expression(f"{proof}.resource_record_type"),
        "ttl": 60,
        "records": [Expression(f"{proof}.resource_record_value")],
        "allow_overwrite": True,
    }
    yield Piece("aws_route53_record", label, tuple(Attribute(*one) for one in record.items()))
    yield Piece(
        "aws_acm_certificate_validation",
        place.label,
        (
            Attribute("certificate_arn", place.itself("arn")),
            Attribute("validation_record_fqdns", [Expression(f"aws_route53_record.{label}.fqdn")]),
        ),
    )


def _web_acl(place: Place) -> Value:
    """CloudFormation's NAME|ID|SCOPE."""
    name, _, rest = place.adopted.partition("|")
    id_, _, scope = rest.partition("|")
    return f"{id_}/{name}/{scope}"


def _web_acl_place(place: Place) -> Value:
    """CloudFormation's two ARNs, of which the firewall's goes first here."""
    arns = place.adopted.split("|")
    return ",".join(sorted(arns, key=lambda one: ":wafv2:" not in one))


_SEEN = block(
    "visibility_config",
    {
        "CloudWatchMetricsEnabled": "cloudwatch_metrics_enabled",
        "MetricName": "metric_name",
        "SampledRequestsEnabled": "sampled_requests_enabled",
    },
)
_COUNT: Rules = {"Count": block("count", {}), "Block": block("block", {}),
                 "Allow": block("allow", {})}  # fmt: skip
_MANAGED: Rules = {
    "VendorName": "vendor_name",
    "Name": "name",
    "Version": "version",
    "RuleActionOverrides": block(
        "rule_action_override", {"Name": "name", "ActionToUse": block("action_to_use", _COUNT)}
    ),
}
_STATEMENT: Rules = {
    "ManagedRuleGroupStatement": block("managed_rule_group_statement", _MANAGED),
    "RateBasedStatement": block(
        "rate_based_statement",
        {
            "AggregateKeyType": "aggregate_key_type",
            "Limit": "limit",
            "EvaluationWindowSec": "evaluation_window_sec",
        },
    ),
}
_OVERRIDE: Rules = {"None": block("none", {}), "Count": block("count", {})}
_ACL_RULE: Rules = {
    "Name": "name",
    "Priority": "priority",
    "Action": block("action", _COUNT),
    "OverrideAction": block("override_action", _OVERRIDE),
    "Statement": block("statement", _STATEMENT),
    "VisibilityConfig": _SEEN,
}
_BALANCER = {
    "deletion_protection.enabled": "enable_deletion_protection",
    "idle_timeout.timeout_seconds": "idle_timeout",
    "routing.http.drop_invalid_header_fields.enabled": "drop_invalid_header_fields",
    "routing.http2.enabled": "enable_http2",
}
_TARGETS = {
    "deregistration_delay.timeout_seconds": "deregistration_delay",
    "load_balancing.algorithm.type": "load_balancing_algorithm_type",
    "slow_start.duration_seconds": "slow_start",
}
_ACTION: Rules = {"Type": "type", "TargetGroupArn": "target_group_arn", "Order": "order"}
_HEALTH: Rules = {
    "HealthCheckPath": "path",
    "HealthCheckPort": "port",
    "HealthCheckProtocol": "protocol",
    "HealthCheckIntervalSeconds": "interval",
    "HealthCheckTimeoutSeconds": "timeout",
    "HealthyThresholdCount": "healthy_threshold",
    "UnhealthyThresholdCount": "unhealthy_threshold",
    "Matcher": inline({"HttpCode": "matcher"}),
}

KINDS: Mapping[str, Kind] = {
    "AWS::EC2::VPC": Kind(
        "aws_vpc",
        {
            "CidrBlock": "cidr_block",
            "EnableDnsSupport": "enable_dns_support",
            "EnableDnsHostnames": "enable_dns_hostnames",
            "InstanceTenancy": "instance_tenancy",
            "Tags": tags,
        },
    ),
    "AWS::EC2::InternetGateway": Kind("aws_internet_gateway", {"Tags": tags}),
    "AWS::EC2::VPCGatewayAttachment": Kind(
        "aws_internet_gateway_attachment",
        {"VpcId": "vpc_id", "InternetGatewayId": "internet_gateway_id"},
        running=_gateway,
    ),
    "AWS::EC2::Subnet": Kind(
        "aws_subnet",
        {
            "VpcId": "vpc_id",
            "CidrBlock": "cidr_block",
            "AvailabilityZone": "availability_zone",
            "MapPublicIpOnLaunch": "map_public_ip_on_launch",
            "Tags": tags,
        },
        attributes={"CidrBlock": "cidr_block"},
    ),
    "AWS::EC2::RouteTable": Kind("aws_route_table", {"VpcId": "vpc_id", "Tags": tags}),
    "AWS::EC2::Route": Kind(
        "aws_route",
        {
            "RouteTableId": "route_table_id",
            "DestinationCidrBlock": "destination_cidr_block",
            "GatewayId": "gateway_id",
            "NatGatewayId": "nat_gateway_id",
            "TransitGatewayId": "transit_gateway_id",
        },
        running=_route,
    ),
    "AWS::EC2::SubnetRouteTableAssociation": Kind(
        "aws_route_table_association",
        {"SubnetId": "subnet_id", "RouteTableId": "route_table_id"},
        running=_association,
    ),
    "AWS::EC2::EIP": Kind(
        "aws_eip",
        {"Domain": "domain", "Tags": tags},
        ref="public_ip",
        attributes={"AllocationId": "allocation_id", "PublicIp": "public_ip"},
        running=_address,
    ),
    "AWS::EC2::NatGateway": Kind(
        "aws_nat_gateway",
        {
            "SubnetId": "subnet_id",
            "AllocationId": "allocation_id",
            "ConnectivityType": "connectivity_type",
            "Tags": tags,
        },
    ),
    "AWS::EC2::VPCEndpoint": Kind(
        "aws_vpc_endpoint",
        {
            "VpcId": "vpc_id",
            "VpcEndpointType": "vpc_endpoint_type",
            "ServiceName": "service_name",
            "RouteTableIds": "route_table_ids",
            "SubnetIds": "subnet_ids",
            "SecurityGroupIds": "security_group_ids",
            "PrivateDnsEnabled": "private_dns_enabled",
            "Tags": tags,
        },
    ),
    "AWS::EC2::FlowLog": Kind(
        "aws_flow_log",
        {
            "ResourceType": only("VPC"),
            "ResourceId": "vpc_id",
            "TrafficType": "traffic_type",
            "LogDestinationType": "log_destination_type",
            "LogGroupName": by("log_destination", "ArnPlain"),
            "DeliverLogsPermissionArn": "iam_role_arn",
            "MaxAggregationInterval": "max_aggregation_interval",
            "Tags": tags,
        },
    ),
    "AWS::EC2::SecurityGroup": Kind(
        "aws_security_group",
        {
            "GroupDescription": "description",
            "VpcId": "vpc_id",
            "SecurityGroupIngress": unsaid,
            "SecurityGroupEgress": unsaid,
            "Tags": tags,
        },
        beside={
            "SecurityGroupIngress": _group_rules("ingress"),
            "SecurityGroupEgress": _group_rules("egress"),
        },
        attributes={"GroupId": "id"},
    ),
    "AWS::EC2::SecurityGroupIngress": Kind(
        "aws_vpc_security_group_ingress_rule", _RULE, running=_rule_id
    ),
    "AWS::EC2::SecurityGroupEgress": Kind(
        "aws_vpc_security_group_egress_rule", _RULE, running=_rule_id
    ),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": Kind(
        "aws_lb",
        {
            "Type": "load_balancer_type",
            "Scheme": flag("internal", {"internal": True, "internet-facing": False}),
            "IpAddressType": "ip_address_type",
            "Subnets": "subnets",
            "SecurityGroups": "security_groups",
            "LoadBalancerAttributes": options(_BALANCER),
            "Tags": tags,
        },
        ref="arn",
        attributes={
            "LoadBalancerArn": "arn",
            "LoadBalancerFullName": "arn_suffix",
            "DNSName": "dns_name",
            "CanonicalHostedZoneID": "zone_id",
        },
    ),
    "AWS::ElasticLoadBalancingV2::TargetGroup": Kind(
        "aws_lb_target_group",
        {
            "Name": unsaid,  # Terraform ends the old load balancer before it makes the new one.
            "TargetType": "target_type",
            "VpcId": "vpc_id",
            "Port": "port",
            "Protocol": "protocol",
            "TargetGroupAttributes": options(_TARGETS),
            "Tags": tags,
            "HealthCheck": block("health_check", _HEALTH),
        },
        nested={"HealthCheck": tuple(_HEALTH)},
        ref="arn",
        attributes={"TargetGroupFullName": "arn_suffix"},
        ahead=True,
    ),
    "AWS::ElasticLoadBalancingV2::Listener": Kind(
        "aws_lb_listener",
        {
            "LoadBalancerArn": "load_balancer_arn",
            "Port": "port",
            "Protocol": "protocol",
            "SslPolicy": "ssl_policy",
            "Certificates": single(inline({"CertificateArn": "certificate_arn"})),
            "Tags": tags,
            "DefaultActions": block("default_action", _ACTION),
        },
        ref="arn",
    ),
    "AWS::CertificateManager::Certificate": Kind(
        "aws_acm_certificate",
        {
            "DomainName": "domain_name",
            "ValidationMethod": "validation_method",
            "DomainValidationOptions": unsaid,
            "Tags": tags,
        },
        beside={"DomainValidationOptions": _validation},
        ref="arn",
        ahead=True,
        replaced_ref="aws_acm_certificate_validation.{label}.certificate_arn",
    ),
    "AWS::Route53::RecordSet": Kind(
        "aws_route53_record",
        {
            "HostedZoneId": "zone_id",
            "HostedZoneName": _zone_by_name,
            "Name": "name",
            "Type": "type",
            "AliasTarget": block(
                "alias",
                {
                    "DNSName": "name",
                    "HostedZoneId": "zone_id",
                    "EvaluateTargetHealth": "evaluate_target_health",
                },
            ),
        },
        ref="fqdn",
        running=_record,
    ),
    "AWS::Route53::HealthCheck": Kind(
        "aws_route53_health_check",
        {
            "HealthCheckConfig": inline(
                {
                    "Type": "type",
                    "FullyQualifiedDomainName": "fqdn",
                    "Port": "port",
                    "ResourcePath": "resource_path",
                    "RequestInterval": "request_interval",
                    "FailureThreshold": "failure_threshold",
                    "EnableSNI": "enable_sni",
                    "MeasureLatency": "measure_latency",
                }
            ),
            "HealthCheckTags": tags,
        },
    ),
    "AWS::WAFv2::WebACL": Kind(
        "aws_wafv2_web_acl",
        {
            "Scope": "scope",
            "Tags": tags,
            "DefaultAction": block("default_action", _COUNT),
            "Rules": block("rule", _ACL_RULE),
            "VisibilityConfig": _SEEN,
        },
        ref="name",
        attributes={"Arn": "arn"},
        running=_web_acl,
        named="name",
        name_of=lambda place: place.adopted.partition("|")[0],
    ),
    "AWS::WAFv2::WebACLAssociation": Kind(
        "aws_wafv2_web_acl_association",
        {"ResourceArn": "resource_arn", "WebACLArn": "web_acl_arn"},
        running=_web_acl_place,
    ),
}
