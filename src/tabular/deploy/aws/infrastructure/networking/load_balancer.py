"""The load balancer, its certificate and its name.

It faces the internet only with TLS, so only where the spec names a domain or a certificate; no
port of it is open without TLS to the world, not even to send users on to the right one.
"""

from __future__ import annotations

from typing import Any

from tabular.deploy.aws.infrastructure.networking.groups import HTTPS, listener_port
from tabular.deploy.aws.infrastructure.service import PORT
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, att, ref, resource

READY = "/ready"
# Seconds between two questions, and how many bad answers in a row count. ECS and Auto Scaling end
# what is not ready, and /ready asks the database too: a failover of RDS, which takes up to two
# minutes, must not end every instance. Source: "Failing over a Multi-AZ DB instance" in the user
# guide of RDS.
INTERVAL, PATIENCE = 15, 10
TLS = "ELBSecurityPolicy-TLS13-1-2-2021-06"  # TLS 1.2 and 1.3 with forward secrecy
ZONE_OPTION = "hosted_zone_id"


def load_balancer(wanted: Wanted) -> Part:
    """The load balancer and all that hangs on it."""
    part: Part = {
        "LoadBalancer": _balancer(wanted),
        "TargetGroup": _targets(wanted),
        "Listener": _listener(wanted),
    }
    if makes_certificate(wanted):
        part["Certificate"] = _certificate(wanted)
    if keeps_name(wanted):
        part["DnsRecord"] = _record(wanted)
    if checks_health(wanted):
        part["HealthCheck"] = _health_check()
    return part


def makes_certificate(wanted: Wanted) -> bool:
    """Whether a certificate is made."""
    networking = wanted.spec.networking
    return networking.domain is not None and networking.certificate is None


def keeps_name(wanted: Wanted) -> bool:
    """Whether the name of the service is kept by Route 53."""
    networking = wanted.spec.networking
    dns = networking.dns
    return networking.domain is not None and dns is not None and dns.provider == "route53"


def checks_health(wanted: Wanted) -> bool:
    """Whether Route 53 looks at the service from outside."""
    dns = wanted.spec.networking.dns
    return keeps_name(wanted) and dns is not None and dns.health_checks


def _balancer(wanted: Wanted) -> Document:
    published = wanted.published
    # Not protected from deletion: it holds no data, and a destroy that keeps the data has it go.
    attributes = {"routing.http.drop_invalid_header_fields.enabled": True}
    return resource(
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        {
            "Type": "application",
            "IpAddressType": "ipv4",
            "Scheme": "internet-facing" if published else "internal",
            "Subnets": wanted.public_subnets if published else wanted.private_subnets,
            "SecurityGroups": [ref("LoadBalancerSecurityGroup")],
            "LoadBalancerAttributes": _attributes(attributes),
        },
        depends_on=["PublicRoute"] if published and wanted.own_network else [],
    )


def _targets(wanted: Wanted) -> Document:
    type_ = "ip" if wanted.kind == "ecs-fargate" else "instance"
    # A group stands behind one load balancer only, and CloudFormation makes the new one before the
    # old one goes. So the group has a name of the load balancer's own number, and of its own type:
    # when one of these changes, as when an internal service is published, both are made anew.
    number = {"Fn::Select": [3, {"Fn::Split": ["/", ref("LoadBalancer")]}]}
    return resource(
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        {
            "Name": {"Fn::Join": ["-", [type_, number]]},
            "TargetType": type_,
            "VpcId": wanted.vpc,
            "Port": PORT,
            "Protocol": "HTTP",
            "HealthCheckPath": READY,
            "HealthCheckIntervalSeconds": INTERVAL,
            "HealthCheckTimeoutSeconds": 5,
            "HealthyThresholdCount": 2,
            "UnhealthyThresholdCount": PATIENCE,
            "Matcher": {"HttpCode": "200"},
            "TargetGroupAttributes": _attributes({"deregistration_delay.timeout_seconds": 30}),
        },
    )


def _attributes(values: dict[str, Any]) -> list[Document]:
    return [
        {"Key": key, "Value": str(value).lower() if isinstance(value, bool) else str(value)}
        for key, value in values.items()
    ]


def _listener(wanted: Wanted) -> Document:
    published = wanted.published
    named = wanted.spec.networking.certificate or ref("Certificate")
    return resource(
        "AWS::ElasticLoadBalancingV2::Listener",
        {
            "LoadBalancerArn": ref("LoadBalancer"),
            "Port": listener_port(wanted),
            "Protocol": "HTTPS" if published else "HTTP",
            "SslPolicy": TLS if published else None,
            "Certificates": [{"CertificateArn": named}] if published else None,
            "DefaultActions": [{"Type": "forward", "TargetGroupArn": ref("TargetGroup")}],
        },
    )


def _certificate(wanted: Wanted) -> Document:
    domain = wanted.spec.networking.domain
    return resource(
        "AWS::CertificateManager::Certificate",
        {
            "DomainName": domain,
            "ValidationMethod": "DNS",
            "DomainValidationOptions": [
                {"DomainName": domain, "HostedZoneId": wanted.overrides[ZONE_OPTION]}
            ],
        },
    )


def _record(wanted: Wanted) -> Document:
    networking = wanted.spec.networking
    known = wanted.overrides.get(ZONE_OPTION)
    return resource(
        "AWS::Route53::RecordSet",
        {
            "Name": networking.domain,
            "Type": "A",
            "HostedZoneId": known,
            "HostedZoneName": None if known else f"{zone_name(wanted)}.",
            "AliasTarget": {
                "DNSName": att("LoadBalancer", "DNSName"),
                "HostedZoneId": att("LoadBalancer", "CanonicalHostedZoneID"),
                "EvaluateTargetHealth": True,
            },
        },
    )


def zone_name(wanted: Wanted) -> str:
    """The zone that the service's name is in."""
    networking = wanted.spec.networking
    said = networking.dns.zone if networking.dns else None
    return said or (networking.domain or "").partition(".")[2]


def _health_check() -> Document:
    return resource(
        "AWS::Route53::HealthCheck",
        {
            "HealthCheckConfig": {
                "Type": "HTTPS",
                # Its own name, so that the answer does not hang on the record it decides about.
                "FullyQualifiedDomainName": att("LoadBalancer", "DNSName"),
                "Port": HTTPS,
                "ResourcePath": READY,
                "RequestInterval": 30,
                "FailureThreshold": 3,
                "EnableSNI": True,
            }
        },
    )
