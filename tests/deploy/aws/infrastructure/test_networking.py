"""The network on AWS: what lies where, who may talk to whom, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.aws.applying.variants import referred
from tabular.deploy.aws.infrastructure import networking
from tabular.deploy.aws.words.document import KEPT, policy
from tabular.deploy.policy.network import is_world, openings
from tabular.deploy.stack import Resource
from tabular.errors import TabularError, UnsupportedError, UsageError
from tests.deploy.aws.linted import findings
from tests.deploy.aws.made import stack_of, wanted_of
from tests.testbed.ministack import MiniStack

CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/0b7f4a61"
EXISTING = {
    "network": "vpc-0a1b2c3d",
    "subnets": ["subnet-0000000a", "subnet-0000000b"],
    "public_subnets": ["subnet-0000000c", "subnet-0000000d"],
    "allowed_cidrs": ["10.0.0.0/8"],
}
PUBLISHED = {"domain": "data.example.com", "certificate": CERTIFICATE}
ZONE = {"overrides": {"aws": {"hosted_zone_id": "Z0123ABC"}}}


def made(**spec: Any) -> dict[str, Any]:
    """Properties by logical id."""
    part = networking.resources(wanted_of(spec))
    return {name: one["Properties"] for name, one in part.items()}


def of_type(type_: str, **spec: Any) -> dict[str, Any]:
    part = networking.resources(wanted_of(spec))
    return {name: one["Properties"] for name, one in part.items() if one["Type"] == type_}


def reduced(**spec: Any) -> dict[str, str]:
    return {one.field: one.given for one in networking.reductions(wanted_of(spec))}


def refused(error: type[TabularError], where: str, **spec: Any) -> str:
    with pytest.raises(error) as caught:
        networking.resources(wanted_of(spec))
    assert caught.value.where == where
    assert caught.value.hint
    return f"{caught.value.message}; {caught.value.hint}"


# --- Subnets and ways out


@pytest.mark.parametrize(("environment", "zones"), [("staging", 2), ("production", 3)])
def test_private_and_public_subnets_lie_in_every_zone(environment: str, zones: int) -> None:
    found = of_type("AWS::EC2::Subnet", environment=environment)
    for number in range(1, zones + 1):
        zone = {"Fn::Select": [number - 1, {"Fn::GetAZs": ""}]}
        for kind in ("Private", "Public"):
            subnet = found[f"{kind}Subnet{number}"]
            assert subnet["AvailabilityZone"] == zone
            assert subnet["MapPublicIpOnLaunch"] is False
    assert len(found) == 2 * zones


@pytest.mark.parametrize("cidr", ["10.40.0.0/16", "192.168.4.0/22", "172.20.0.0/23"])
@pytest.mark.parametrize("zones", [2, 3, 8])
def test_subnets_lie_apart_within_the_vpc(cidr: str, zones: int) -> None:
    spec: dict[str, Any] = {
        "networking": {"cidr": cidr},
        "compute": {"availability_zones": zones},
    }
    blocks = [IPv4Network(one["CidrBlock"]) for one in of_type("AWS::EC2::Subnet", **spec).values()]
    assert all(one.subnet_of(IPv4Network(cidr)) and one.prefixlen <= 27 for one in blocks)
    assert not any(one.overlaps(other) for i, one in enumerate(blocks) for other in blocks[i + 1 :])


def test_another_zone_moves_no_subnet() -> None:
    two, three = (
        of_type("AWS::EC2::Subnet", compute={"availability_zones": zones}) for zones in (2, 3)
    )
    assert two.items() <= three.items()


def ways(**spec: Any) -> dict[str, str]:
    """The NAT gateway that each private route table sends the rest of the world to."""
    routes = of_type("AWS::EC2::Route", **spec)
    return {
        one["RouteTableId"]["Ref"]: one["NatGatewayId"]["Ref"]
        for one in routes.values()
        if "NatGatewayId" in one
    }


@pytest.mark.parametrize(
    "spec",
    [{"ha": True, "networking": {"nat": "single"}}, {}, {"networking": {"nat": "single"}}],
)
def test_one_nat_gateway_serves_all_zones(spec: dict[str, Any]) -> None:
    assert ways(**spec) == {
        "PrivateRouteTable1": "NatGateway1",
        "PrivateRouteTable2": "NatGateway1",
    }
    assert len(of_type("AWS::EC2::NatGateway", **spec)) == 1
    assert ("spec.networking.nat" in reduced(**spec)) is bool(spec.get("ha"))


@pytest.mark.parametrize("spec", [{"ha": True}, {"networking": {"nat": "per-zone"}}])
def test_each_zone_has_its_own_nat_gateway(spec: dict[str, Any]) -> None:
    assert ways(**spec) == {f"PrivateRouteTable{n}": f"NatGateway{n}" for n in (1, 2)}
    gateways = of_type("AWS::EC2::NatGateway", **spec)
    assert {one["SubnetId"]["Ref"] for one in gateways.values()} == {
        "PublicSubnet1",
        "PublicSubnet2",
    }
    addresses, _ = networking.outputs(wanted_of(spec))["natAddresses"]
    assert set(referred(addresses)) == {"NatAddress1", "NatAddress2"}


ALWAYS = {"ecr.api", "ecr.dkr", "logs", "secretsmanager"}
ALONE = ALWAYS | {"kms", "monitoring", "sqs", "ssm", "sts"}
INSTANCES = ALONE | {"ssmmessages", "ec2messages"}


@pytest.mark.parametrize(
    ("spec", "services"),
    [
        ({}, ALWAYS),
        ({"networking": {"nat": "none"}}, ALONE),
        (
            {"networking": {"nat": "none"}, "compute": {"type": "ec2"}},
            INSTANCES | {"autoscaling", "cloudformation", "ec2"},
        ),
        ({"networking": {"nat": "none"}, "compute": {"type": "batch"}}, ALONE),
        (
            {
                "networking": {"nat": "none"},
                "compute": {"type": "batch", "instance_type": "c6i.large"},
            },
            INSTANCES | {"ecs", "ecs-agent", "ecs-telemetry"},
        ),
    ],
)
def test_services_of_aws_have_endpoints_in_the_vpc(
    spec: dict[str, Any], services: set[str]
) -> None:
    found = of_type("AWS::EC2::VPCEndpoint", **spec)
    gateway = found.pop("S3Endpoint")
    assert gateway["VpcEndpointType"] == "Gateway"
    assert [one["Ref"] for one in gateway["RouteTableIds"]] == [
        "PrivateRouteTable1",
        "PrivateRouteTable2",
    ]
    prefix = "com.amazonaws.${AWS::Region}."
    assert {
        one["ServiceName"]["Fn::Sub"].removeprefix(prefix) for one in found.values()
    } == services
    for one in found.values():
        assert one["PrivateDnsEnabled"] is True
        assert one["SecurityGroupIds"] == [{"Ref": "EndpointSecurityGroup"}]
        assert [subnet["Ref"] for subnet in one["SubnetIds"]] == [
            "PrivateSubnet1",
            "PrivateSubnet2",
        ]


def test_without_nat_nothing_leads_out_and_images_come_from_the_region() -> None:
    networking_ = {"nat": "none"}
    assert ways(networking=networking_) == {}
    assert "natAddresses" not in networking.outputs(wanted_of({"networking": networking_}))
    words = refused(
        UsageError,
        "spec.networking.nat",
        networking=networking_,
        image={"repository": "ghcr.io/acme/tabular"},
    )
    assert "ghcr.io/acme/tabular" in words
    near = {"repository": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tabular"}
    assert made(networking=networking_, image=near)


@pytest.mark.parametrize("nat", ["single", "per-zone", "none"])
def test_what_starts_in_a_private_subnet_can_wait_for_its_way_out(nat: str) -> None:
    asked = wanted_of({"networking": {"nat": nat}})
    part = networking.resources(asked)
    awaited = networking.way_out(asked)
    assert awaited == sorted(set(awaited) & part.keys())
    wanted_type = "AWS::EC2::VPCEndpoint" if nat == "none" else "AWS::EC2::Route"
    private = {
        name for name, one in part.items() if one["Type"] == wanted_type and name != "PublicRoute"
    }
    assert private <= set(awaited)
    assert networking.way_out(wanted_of({"networking": EXISTING})) == []


def test_flow_logs_are_encrypted_and_kept_as_long_as_logs() -> None:
    found = made(monitoring={"log_retention": 90})
    assert found["FlowLog"]["ResourceId"] == {"Ref": "Vpc"}
    assert found["FlowLog"]["TrafficType"] == "ALL"
    assert found["FlowLog"]["LogGroupName"] == {"Ref": "FlowLogGroup"}
    assert found["FlowLogGroup"] == {
        "RetentionInDays": 90,
        "KmsKeyId": {"Fn::GetAtt": ["Key", "Arn"]},
    }
    (one,) = found["FlowLogRole"]["Policies"]
    (statement,) = one["PolicyDocument"]["Statement"]
    assert statement["Resource"] == {"Fn::GetAtt": ["FlowLogGroup", "Arn"]}
    assert (
        not {"FlowLog", "FlowLogGroup", "FlowLogRole"}
        & made(networking={"flow_logs": False}).keys()
    )


@pytest.mark.parametrize(
    ("cidr", "zones", "where"),
    [
        ("10.0.0.0/25", 3, "spec.networking.cidr"),
        ("10.0.0.0/24", 5, "spec.networking.cidr"),
        ("10.0.0.0/28", 2, "spec.networking.cidr"),
        ("10.0.0.0/8", 2, "spec.networking.cidr"),
        ("127.0.0.0/16", 2, "spec.networking.cidr"),
        ("fd00::/64", 2, "spec.networking.cidr"),
        (None, 9, "spec.compute.availability_zones"),
    ],
)
def test_addresses_that_do_not_do_are_refused(cidr: str | None, zones: int, where: str) -> None:
    block = {"cidr": cidr} if cidr else {}
    refused(UsageError, where, networking=block, compute={"availability_zones": zones})


def test_the_hint_on_room_is_right() -> None:
    compute = {"availability_zones": 3}
    words = refused(
        UsageError, "spec.networking.cidr", networking={"cidr": "10.0.0.0/25"}, compute=compute
    )
    assert "/24 or larger" in words
    assert made(networking={"cidr": "10.0.0.0/24"}, compute=compute)


# --- Who may talk to whom


def rules(part: dict[str, Any], direction: str) -> Iterator[tuple[str, str, int, int]]:
    """Group, peer (a group or addresses), first and last port of every rule."""
    peer = "SourceSecurityGroupId" if direction == "Ingress" else "DestinationSecurityGroupId"
    for name, one in part.items():
        if one["Type"] == "AWS::EC2::SecurityGroup":
            of = [(name, rule) for rule in one["Properties"].get(f"SecurityGroup{direction}", [])]
        elif one["Type"] == f"AWS::EC2::SecurityGroup{direction}":
            of = [(one["Properties"]["GroupId"]["Ref"], one["Properties"])]
        else:
            continue
        for group, rule in of:
            if rule.get("CidrIp") == "127.0.0.1/32":  # leads nowhere
                continue
            assert rule["IpProtocol"] == "tcp"
            who = rule["CidrIp"] if "CidrIp" in rule else rule[peer]["Ref"]
            yield group, who, rule["FromPort"], rule["ToPort"]


DATABASES = [("postgresql", 5432), ("mysql", 3306)]


@pytest.mark.parametrize(("engine", "port"), DATABASES)
def test_groups_let_in_each_other_and_nobody_else(engine: str, port: int) -> None:
    spec = {"database": {"type": engine}, "cache": {"type": "valkey"}}
    part = networking.resources(wanted_of(spec))
    service = "ServiceSecurityGroup"
    assert set(rules(part, "Ingress")) == {
        ("LoadBalancerSecurityGroup", "10.40.0.0/16", 80, 80),
        (service, "LoadBalancerSecurityGroup", 8000, 8000),
        ("DatabaseSecurityGroup", service, port, port),
        ("CacheSecurityGroup", service, 6379, 6379),
        ("EndpointSecurityGroup", service, 443, 443),
    }
    assert set(rules(part, "Egress")) == {
        ("LoadBalancerSecurityGroup", service, 8000, 8000),
        (service, "0.0.0.0/0", 443, 443),
        (service, "DatabaseSecurityGroup", port, port),
        (service, "CacheSecurityGroup", 6379, 6379),
    }
    # A group without any rule for what goes out would be given one that allows everything.
    for one in part.values():
        if one["Type"] == "AWS::EC2::SecurityGroup":
            assert one["Properties"]["SecurityGroupEgress"]


SPECS: list[dict[str, Any]] = [
    {},
    {"networking": PUBLISHED},
    {"networking": {**EXISTING, **PUBLISHED}},
    {"networking": EXISTING, "compute": {"type": "ec2"}},
    {"compute": {"type": "batch"}},
    {"database": {"type": "external", "url": {"secretRef": "aws-sm:db"}}},
]


@pytest.mark.parametrize("spec", SPECS)
def test_the_world_gets_to_tls_and_to_nothing_else(spec: dict[str, Any]) -> None:
    part = networking.resources(wanted_of(spec))
    found = [
        (name, one.opening.ports)
        for name, document in part.items()
        for one in openings(Resource(name, document["Type"], document["Properties"]))
        if is_world(one.opening.peers)
    ]
    allowed = spec.get("networking", {}).get("allowed_cidrs")
    published = "domain" in spec.get("networking", {}) and not allowed
    assert found == ([("LoadBalancerSecurityGroup", ("443", "443"))] if published else [])


def test_only_who_is_allowed_reaches_the_service() -> None:
    spec = {"networking": {**PUBLISHED, "allowed_cidrs": ["198.51.100.0/24", "192.0.2.0/24"]}}
    part = networking.resources(wanted_of(spec))
    assert [
        (who, first) for group, who, first, _ in rules(part, "Ingress") if "Balancer" in group
    ] == [("192.0.2.0/24", 443), ("198.51.100.0/24", 443)]


def test_the_service_reaches_the_collector_and_a_database_elsewhere() -> None:
    spec = {
        "monitoring": {"otlp_endpoint": "otel.internal:4318"},
        "database": {"type": "external", "url": {"secretRef": "aws-sm:db"}},
    }
    part = networking.resources(wanted_of(spec))
    assert set(rules(part, "Egress")) >= {
        ("ServiceSecurityGroup", "0.0.0.0/0", 4318, 4318),
        ("ServiceSecurityGroup", "0.0.0.0/0", 1024, 65535),
    }
    assert "DatabaseSecurityGroup" not in part
    refused(
        UsageError,
        "spec.monitoring.otlp_endpoint",
        monitoring={"otlp_endpoint": "otel.internal:99999"},
    )


def test_allowed_addresses_that_do_not_do_are_refused() -> None:
    where = "spec.networking.allowed_cidrs"
    refused(UsageError, where, networking={"allowed_cidrs": ["0.0.0.0/0"]})
    refused(UsageError, where, networking={"allowed_cidrs": ["2001:db8::/32"]})
    assert made(networking={**PUBLISHED, "allowed_cidrs": ["0.0.0.0/0"]})


# --- The load balancer


def test_without_a_name_the_load_balancer_stays_inside_and_says_so() -> None:
    found = made()
    assert found["LoadBalancer"]["Scheme"] == "internal"
    assert found["LoadBalancer"]["Subnets"] == [
        {"Ref": "PrivateSubnet1"},
        {"Ref": "PrivateSubnet2"},
    ]
    assert (found["Listener"]["Port"], found["Listener"]["Protocol"]) == (80, "HTTP")
    (reduction,) = networking.reductions(wanted_of({}))
    assert reduction.field == "spec.networking.domain"
    assert "networking.certificate" in reduction.reason
    outputs = networking.outputs(wanted_of({}))
    assert "url" not in outputs
    assert outputs["internalUrl"][0] == {"Fn::Sub": "http://${LoadBalancer.DNSName}"}


def test_with_a_certificate_it_faces_the_internet_by_tls() -> None:
    found = made(networking=PUBLISHED)
    assert found["LoadBalancer"]["Scheme"] == "internet-facing"
    assert found["LoadBalancer"]["Subnets"] == [{"Ref": "PublicSubnet1"}, {"Ref": "PublicSubnet2"}]
    listener = found["Listener"]
    assert (listener["Port"], listener["Protocol"]) == (443, "HTTPS")
    assert listener["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    assert listener["Certificates"] == [{"CertificateArn": CERTIFICATE}]
    assert reduced(networking=PUBLISHED) == {}
    outputs = networking.outputs(wanted_of({"networking": PUBLISHED}))
    assert outputs["url"][0] == "https://data.example.com"
    assert "data.example.com" in outputs["dnsTarget"][1]
    assert "internalUrl" not in outputs


def test_a_certificate_alone_publishes_and_leaves_the_name_to_the_user() -> None:
    outputs = networking.outputs(wanted_of({"networking": {"certificate": CERTIFICATE}}))
    assert {"loadBalancer", "dnsTarget"} <= outputs.keys()
    assert not {"url", "internalUrl"} & outputs.keys()


def test_no_listener_but_one_and_headers_that_are_wrong_are_dropped() -> None:
    assert list(of_type("AWS::ElasticLoadBalancingV2::Listener", networking=PUBLISHED)) == [
        "Listener"
    ]
    attributes = made()["LoadBalancer"]["LoadBalancerAttributes"]
    assert {"Key": "routing.http.drop_invalid_header_fields.enabled", "Value": "true"} in attributes


@pytest.mark.parametrize(("kind", "target"), [("ecs-fargate", "ip"), ("ec2", "instance")])
def test_targets_are_asked_whether_they_are_ready(kind: str, target: str) -> None:
    group = made(compute={"type": kind})["TargetGroup"]
    # Made anew with the load balancer, since it may stand behind one only: the end of its ARN.
    arn = (
        "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/a-b/50dc6c495c0c9188"
    )
    part_, of = group["Name"]["Fn::Join"][1]
    number, (separator, whole) = of["Fn::Select"][0], of["Fn::Select"][1]["Fn::Split"]
    assert (part_, whole) == (target, {"Ref": "LoadBalancer"})
    assert len(f"{part_}-{arn.split(separator)[number]}") <= 32
    assert arn.split(separator)[number] == "50dc6c495c0c9188"
    assert (group["TargetType"], group["Port"], group["Protocol"]) == (target, 8000, "HTTP")
    assert group["HealthCheckPath"] == "/ready"
    # RDS changes to the other zone within two minutes, in which no instance is to be ended.
    assert group["HealthCheckIntervalSeconds"] * group["UnhealthyThresholdCount"] > 120
    assert {"Key": "deregistration_delay.timeout_seconds", "Value": "30"} in group[
        "TargetGroupAttributes"
    ]


def test_a_certificate_is_made_where_its_proof_can_be_written() -> None:
    spec: dict[str, Any] = {"networking": {"domain": "data.example.com"}, **ZONE}
    found = made(**spec)
    assert found["Listener"]["Certificates"] == [{"CertificateArn": {"Ref": "Certificate"}}]
    assert found["Certificate"]["DomainValidationOptions"] == [
        {"DomainName": "data.example.com", "HostedZoneId": "Z0123ABC"}
    ]
    assert "DnsRecord" not in found
    words = refused(
        UsageError, "spec.networking.certificate", networking={"domain": "data.example.com"}
    )
    assert "hosted_zone_id" in words


def test_route_53_keeps_the_name() -> None:
    dns = {"provider": "route53", "health_checks": True}
    spec = {"networking": {**PUBLISHED, "dns": dns}}
    found = made(**spec)
    record = found["DnsRecord"]
    assert (record["Name"], record["HostedZoneName"]) == ("data.example.com", "example.com.")
    assert set(referred(record["AliasTarget"])) == {"LoadBalancer"}
    check = found["HealthCheck"]["HealthCheckConfig"]
    assert (check["Type"], check["Port"], check["ResourcePath"]) == ("HTTPS", 443, "/ready")
    assert "dnsTarget" not in networking.outputs(wanted_of(spec))
    assert made(**spec, **ZONE)["DnsRecord"]["HostedZoneId"] == "Z0123ABC"
    assert "HostedZoneName" not in made(**spec, **ZONE)["DnsRecord"]


def test_what_dns_gives_only_in_part_is_said() -> None:
    other = {**PUBLISHED, "dns": {"provider": "cloudflare"}}
    assert list(reduced(networking=other)) == ["spec.networking.dns.provider"]
    assert "DnsRecord" not in made(networking=other)
    dns = {"provider": "route53", "ttl": 30, "health_checks": True, "failover": "automatic"}
    assert reduced(networking={**PUBLISHED, "dns": dns}) == {
        "spec.networking.dns.ttl": "60",
        "spec.networking.dns.failover": "manual",
    }


@pytest.mark.parametrize(
    ("error", "where", "block"),
    [
        (UsageError, "spec.networking.dns", {"dns": {"provider": "route53"}}),
        (
            UsageError,
            "spec.networking.dns.zone",
            {**PUBLISHED, "dns": {"provider": "route53", "zone": "example.org"}},
        ),
        (
            UnsupportedError,
            "spec.networking.dns.health_checks",
            {**PUBLISHED, "dns": {"provider": "external", "health_checks": True}},
        ),
        (
            UsageError,
            "spec.networking.dns.health_checks",
            {
                **PUBLISHED,
                "allowed_cidrs": ["192.0.2.0/24"],
                "dns": {"provider": "route53", "health_checks": True},
            },
        ),
        (UsageError, "spec.networking.certificate", {"certificate": "my-certificate"}),
        (
            UsageError,
            "spec.networking.certificate",
            {"certificate": CERTIFICATE.replace("eu-west-1", "us-east-1")},
        ),
    ],
)
def test_names_and_certificates_that_do_not_do_are_refused(
    error: type[TabularError], where: str, block: dict[str, Any]
) -> None:
    refused(error, where, networking=block)


def test_a_zone_into_which_nothing_is_written_is_refused() -> None:
    refused(UsageError, "spec.overrides.aws.hosted_zone_id", **ZONE)


def test_the_firewall_stands_before_the_load_balancer_and_lets_tables_through() -> None:
    assert not {"WebAcl", "WebAclAssociation"} & made().keys()
    found = made(networking={"waf": True})
    assert set(referred(found["WebAclAssociation"])) == {"LoadBalancer", "WebAcl"}
    rules_ = found["WebAcl"]["Rules"]
    assert len({one["Priority"] for one in rules_}) == len(rules_)
    assert any("RateBasedStatement" in one["Statement"] for one in rules_)
    groups = {
        one["Statement"]["ManagedRuleGroupStatement"]["Name"]: one["Statement"]
        for one in rules_
        if "ManagedRuleGroupStatement" in one["Statement"]
    }
    assert groups.keys() == {"AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet"}
    counted = {
        name: {one["Name"] for one in group["ManagedRuleGroupStatement"]["RuleActionOverrides"]}
        for name, group in groups.items()
    }
    assert "SizeRestrictions_BODY" in counted["AWSManagedRulesCommonRuleSet"]
    # It refuses whatever has "${" in it, which is an ordinary cell of a table.
    assert "Log4JRCE_BODY" in counted["AWSManagedRulesKnownBadInputsRuleSet"]
    assert all(one.endswith("_BODY") for names in counted.values() for one in names)


# --- Existing networks, and kinds that serve nobody


def test_of_an_existing_network_nothing_is_made() -> None:
    found = networking.resources(wanted_of({"networking": {**EXISTING, **PUBLISHED}}))
    types = {
        one["Type"].split("::")[1] + "::" + one["Type"].split("::")[2] for one in found.values()
    }
    assert types == {
        "EC2::SecurityGroup",
        "EC2::SecurityGroupEgress",
        "EC2::SecurityGroupIngress",
        "ElasticLoadBalancingV2::Listener",
        "ElasticLoadBalancingV2::LoadBalancer",
        "ElasticLoadBalancingV2::TargetGroup",
    }
    assert found["LoadBalancer"]["Properties"]["Subnets"] == EXISTING["public_subnets"]
    assert found["ServiceSecurityGroup"]["Properties"]["VpcId"] == "vpc-0a1b2c3d"
    assert found["TargetGroup"]["Properties"]["VpcId"] == "vpc-0a1b2c3d"
    assert "spec.networking.flow_logs" in reduced(networking={**EXISTING, "flow_logs": True})


@pytest.mark.parametrize(
    ("where", "block"),
    [
        ("network", {"network": "my-network"}),
        ("subnets", {"subnets": ["subnet-0000000a"]}),
        ("subnets", {"subnets": ["subnet-0000000a", "subnet-0000000a"]}),
        ("subnets", {"subnets": ["subnet-0000000a", "left"]}),
        ("public_subnets", {"public_subnets": [], **PUBLISHED}),
        ("public_subnets", {"public_subnets": ["subnet-0000000c"]}),
        ("nat", {"nat": "single"}),
        ("allowed_cidrs", {"allowed_cidrs": []}),
    ],
)
def test_an_existing_network_that_does_not_do_is_refused(where: str, block: dict[str, Any]) -> None:
    refused(UsageError, f"spec.networking.{where}", networking={**EXISTING, **block})


def test_zones_must_be_those_of_the_subnets() -> None:
    where = "spec.compute.availability_zones"
    refused(UsageError, where, networking=EXISTING, compute={"availability_zones": 3})
    assert made(networking=EXISTING, compute={"availability_zones": 2})


def test_batch_has_a_network_and_no_load_balancer() -> None:
    found = made(compute={"type": "batch"})
    assert {"Vpc", "PrivateSubnet1", "ServiceSecurityGroup"} <= found.keys()
    assert not {"LoadBalancer", "LoadBalancerSecurityGroup", "DatabaseSecurityGroup"} & found.keys()


def test_a_function_stands_in_no_network() -> None:
    asked = wanted_of({"compute": {"type": "lambda"}})
    assert networking.resources(asked) == {}
    assert networking.outputs(asked) == {}
    assert list(networking.reductions(asked)) == []


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("lambda", "cidr", "10.0.0.0/16"),
        ("lambda", "nat", "single"),
        ("lambda", "waf", True),
        ("batch", "domain", "data.example.com"),
        ("batch", "allowed_cidrs", ["192.0.2.0/24"]),
    ],
)
def test_what_a_kind_has_not_is_refused(kind: str, key: str, value: Any) -> None:
    refused(
        UnsupportedError,
        f"spec.networking.{key}",
        compute={"type": kind},
        networking={key: value},
    )


# --- What stays when the service goes


@pytest.mark.parametrize("spec", [{}, {"networking": {**EXISTING, **PUBLISHED}}])
def test_what_the_database_stands_on_stays_and_needs_nothing_that_goes(
    spec: dict[str, Any],
) -> None:
    part = networking.resources(wanted_of(spec))
    kept = {name for name, one in part.items() if one.get("Metadata", {}).get(KEPT)}
    own = {"Vpc", "PrivateSubnet1", "PrivateSubnet2"} if not spec else set()
    assert kept == {"DatabaseSecurityGroup", *own}
    assert all(set(referred(part[name])) <= kept for name in kept)
    # AWS deletes none of them under a database; without one they would only be in the way.
    assert not any("DeletionPolicy" in part[name] for name in kept)


def test_without_a_database_nothing_stays() -> None:
    spec = {"database": {"type": "external", "url": {"secretRef": "aws-sm:db"}}}
    part = networking.resources(wanted_of(spec))
    assert not any(KEPT in one.get("Metadata", {}) for one in part.values())


# --- Others read it as it is meant


@pytest.mark.slow
def test_the_linter_of_aws_finds_nothing(tmp_path: Path) -> None:
    dns = {"provider": "route53", "health_checks": True}
    stacks = {
        "published": {"networking": {**PUBLISHED, "dns": dns, "waf": True}, "ha": True},
        "certified": {"networking": {"domain": "data.example.com", "dns": dns}, **ZONE},
        "existing": {"networking": EXISTING, "database": {"type": "mysql"}},
        "alone": {"networking": {"nat": "none"}, "compute": {"type": "ec2"}},
    }
    found = findings(tmp_path, {label: stack_of(spec) for label, spec in stacks.items()})
    ours = networking_ids(stacks)
    assert [one for one in found if one.rpartition("Resources.")[2].split(".")[0] in ours] == []


def networking_ids(stacks: dict[str, dict[str, Any]]) -> set[str]:
    return {name for spec in stacks.values() for name in networking.resources(wanted_of(spec))}


@pytest.fixture
def ask(ministack: MiniStack, aws_account: str) -> Callable[[str], Any]:
    """Clients of an emulator that was given the network of a published deployment."""
    spec = {"networking": {**PUBLISHED, "waf": True}, "ha": True}
    key = {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": policy()}}
    template = {"Resources": {"Key": key, **networking.resources(wanted_of(spec))}}
    engine = ministack.client("cloudformation", account=aws_account)
    engine.create_stack(
        StackName="net", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"]
    )
    engine.get_waiter("stack_create_complete").wait(
        StackName="net", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    return lambda service: ministack.client(service, account=aws_account)


def test_aws_sees_private_subnets_that_go_out_by_their_zones_gateway(
    ask: Callable[[str], Any],
) -> None:
    ec2 = ask("ec2")
    (vpc,) = (one for one in ec2.describe_vpcs()["Vpcs"] if one["CidrBlock"] == "10.40.0.0/16")
    of_vpc = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    zones = {
        one["SubnetId"]: one["AvailabilityZone"]
        for one in ec2.describe_subnets(Filters=of_vpc)["Subnets"]
    }
    assert len(zones) == 4
    gateways = {
        one["NatGatewayId"]: one["SubnetId"] for one in ec2.describe_nat_gateways()["NatGateways"]
    }
    seen: dict[str, str] = {}
    for table in ec2.describe_route_tables(Filters=of_vpc)["RouteTables"]:
        ways_out = [
            one.get("NatGatewayId") or one["GatewayId"]
            for one in table["Routes"]
            if one.get("DestinationCidrBlock") == "0.0.0.0/0"
        ]
        for one in table["Associations"]:
            if "SubnetId" in one:
                (seen[one["SubnetId"]],) = ways_out
    assert seen.keys() == zones.keys()
    private = {subnet: way for subnet, way in seen.items() if way in gateways}
    assert len(private) == 2
    assert all(zones[subnet] == zones[gateways[way]] for subnet, way in private.items())
    public = seen.keys() - private.keys()
    assert set(gateways.values()) == public
    assert all(seen[subnet].startswith("igw-") for subnet in public)


def test_aws_sees_groups_that_let_in_each_other(ask: Callable[[str], Any]) -> None:
    groups = {
        one["GroupId"]: one
        for one in ask("ec2").describe_security_groups()["SecurityGroups"]
        if one["Description"].partition(";")[0] in GROUPS
    }
    words = {id_: GROUPS[one["Description"].partition(";")[0]] for id_, one in groups.items()}
    let_in = {
        (words[id_], who, rule["FromPort"])
        for id_, one in groups.items()
        for rule in one["IpPermissions"]
        for who in (
            *(block["CidrIp"] for block in rule.get("IpRanges", [])),
            *(words[pair["GroupId"]] for pair in rule.get("UserIdGroupPairs", [])),
        )
    }
    assert let_in == {
        ("load balancer", "0.0.0.0/0", 443),
        ("service", "load balancer", 8000),
        ("database", "service", 5432),
        ("cache", "service", 6379),
        ("endpoints", "service", 443),
    }


GROUPS = {
    "The load balancer": "load balancer",
    "The service and its workers": "service",
    "The database": "database",
    "The cache": "cache",
    "Endpoints of AWS in the VPC": "endpoints",
}


def test_aws_sees_one_listener_by_tls_behind_a_firewall(ask: Callable[[str], Any]) -> None:
    elb = ask("elbv2")
    (balancer,) = elb.describe_load_balancers()["LoadBalancers"]
    assert balancer["Scheme"] == "internet-facing"
    (listener,) = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    assert (listener["Port"], listener["Protocol"]) == (443, "HTTPS")
    assert [one["CertificateArn"] for one in listener["Certificates"]] == [CERTIFICATE]
    (target,) = elb.describe_target_groups()["TargetGroups"]
    assert (target["Port"], target["HealthCheckPath"], target["TargetType"]) == (
        8000,
        "/ready",
        "ip",
    )
    acl = ask("wafv2").get_web_acl_for_resource(ResourceArn=balancer["LoadBalancerArn"])
    assert len(acl["WebACL"]["Rules"]) == 3
