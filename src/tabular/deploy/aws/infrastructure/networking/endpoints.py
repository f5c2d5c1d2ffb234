"""Endpoints of AWS's own services within the VPC, so that images, secrets and logs stay inside it.

The gateway to S3 costs nothing; the others cost by the hour and zone, so only what carries much or
is secret has one, unless there is no other way out.
"""

from __future__ import annotations

from collections.abc import Mapping

from tabular.deploy.aws.infrastructure.networking.groups import endpoint_group
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, ref, resource, sub
from tabular.deploy.aws.words.partitions import CHINA, partition

# Logical id to the name of the service, which is also that of its endpoint.
_ALWAYS: Mapping[str, str] = {
    "EcrApiEndpoint": "ecr.api",
    "EcrDkrEndpoint": "ecr.dkr",
    "LogsEndpoint": "logs",
    "SecretsManagerEndpoint": "secretsmanager",
}
_ALONE: Mapping[str, str] = {
    "KmsEndpoint": "kms",
    "MonitoringEndpoint": "monitoring",
    "SqsEndpoint": "sqs",
    "SsmEndpoint": "ssm",
    "StsEndpoint": "sts",
}
# What instances ask besides: an administrator's way in, Auto Scaling, the agent of ECS for Batch.
_INSTANCES: Mapping[str, str] = {
    "Ec2MessagesEndpoint": "ec2messages",
    "SsmMessagesEndpoint": "ssmmessages",
}
# CloudFormation is told by each new instance that it is ready, and waits for that.
_GROUPS: Mapping[str, str] = {
    "AutoScalingEndpoint": "autoscaling",
    "CloudFormationEndpoint": "cloudformation",
    "Ec2Endpoint": "ec2",
}
_BATCH: Mapping[str, str] = {
    "EcsAgentEndpoint": "ecs-agent",
    "EcsEndpoint": "ecs",
    "EcsTelemetryEndpoint": "ecs-telemetry",
}
# Services whose interfaces have a name of their own in China, as `aws ec2
# describe-vpc-endpoint-services` lists them there; AWS's CDK has the same list. The gateway to S3
# has none.
_CHINESE = frozenset(
    {"autoscaling", "cloudformation", "ec2", "ecr.api", "ecr.dkr", "monitoring", "sqs", "sts"}
)


def endpoints(wanted: Wanted) -> Part:
    """The endpoints in a VPC of our own."""
    return {
        "S3Endpoint": resource(
            "AWS::EC2::VPCEndpoint",
            {
                "VpcId": ref("Vpc"),
                "VpcEndpointType": "Gateway",
                "ServiceName": sub("com.amazonaws.${AWS::Region}.s3"),
                "RouteTableIds": [ref(f"PrivateRouteTable{one}") for one in wanted.zone_numbers],
            },
        ),
        "EndpointSecurityGroup": endpoint_group(wanted),
        **{name: _interface(wanted, service) for name, service in interfaces(wanted).items()},
    }


def interfaces(wanted: Wanted) -> Mapping[str, str]:
    """The services that have an interface in the private subnets, by logical id."""
    found = dict(_ALWAYS)
    if wanted.nat == "none":
        found |= {**_ALONE, **_instances(wanted)}
    return dict(sorted(found.items()))


def _instances(wanted: Wanted) -> dict[str, str]:
    """What instances of EC2 ask for, where there are any."""
    if wanted.kind == "ec2":
        return {**_INSTANCES, **_GROUPS}
    if wanted.kind == "batch" and wanted.spec.compute.instance_type:
        return {**_INSTANCES, **_BATCH}
    return {}


def _interface(wanted: Wanted, service: str) -> Document:
    return resource(
        "AWS::EC2::VPCEndpoint",
        {
            "VpcId": ref("Vpc"),
            "VpcEndpointType": "Interface",
            "ServiceName": _service_name(wanted, service),
            "SubnetIds": wanted.private_subnets,
            "SecurityGroupIds": [ref("EndpointSecurityGroup")],
            "PrivateDnsEnabled": True,
        },
    )


def _service_name(wanted: Wanted, service: str) -> Document:
    chinese = service in _CHINESE and partition(wanted.region) == CHINA
    return sub(f"{'cn.' if chinese else ''}com.amazonaws.${{AWS::Region}}.{service}")
