"""What a change set says about replacement, for the types that the emulator answers vaguely.

For these the emulator says `Conditional` for every property, though it updates and replaces them
correctly. The create-only properties are those of the resource schemas that AWS publishes
(`createOnlyProperties` and `conditionalCreateOnlyProperties`, October 2026).
"""

from __future__ import annotations

from ministack.services.cloudformation import provisioners, stacks

_TASK = (
    "ContainerDefinitions Cpu EnableFaultInjection EphemeralStorage ExecutionRoleArn Family "
    "InferenceAccelerators IpcMode Memory NetworkMode PidMode PlacementConstraints "
    "ProxyConfiguration RequiresCompatibilities RuntimePlatform TaskRoleArn Volumes"
)
_SUBNET = (
    "AvailabilityZone AvailabilityZoneId CidrBlock Ipv4IpamPoolId Ipv4NetmaskLength "
    "Ipv6IpamPoolId Ipv6Native Ipv6NetmaskLength OutpostArn VpcId"
)
_PERMISSION = (
    "Action EventSourceToken FunctionName FunctionUrlAuthType InvokedViaFunctionUrl Principal "
    "PrincipalOrgID SourceAccount SourceArn"
)
_ROUTE = "DestinationCidrBlock DestinationIpv6CidrBlock DestinationPrefixListId RouteTableId"
_ENDPOINT = (
    "ResourceConfigurationArn ServiceName ServiceNetworkArn ServiceRegion VpcEndpointType VpcId"
)

CREATE_ONLY = {
    "AWS::AutoScaling::AutoScalingGroup": "AutoScalingGroupName InstanceId",
    "AWS::AutoScaling::ScalingPolicy": "AutoScalingGroupName",
    "AWS::AutoScaling::ScheduledAction": "AutoScalingGroupName",
    "AWS::Backup::BackupPlan": "",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::EC2::InternetGateway": "",
    "AWS::EC2::LaunchTemplate": "LaunchTemplateName",
    "AWS::EC2::Route": _ROUTE,
    "AWS::EC2::RouteTable": "VpcId",
    "AWS::EC2::SecurityGroup": "GroupDescription GroupName VpcId",
    "AWS::EC2::Subnet": _SUBNET,
    "AWS::EC2::SubnetRouteTableAssociation": "RouteTableId SubnetId",
    "AWS::EC2::VPC": "CidrBlock Ipv4IpamPoolId Ipv4NetmaskLength VpcEncryptionControl",
    "AWS::EC2::VPCEndpoint": _ENDPOINT,
    "AWS::EC2::VPCGatewayAttachment": "VpcId",
    "AWS::ECS::Cluster": "ClusterName",
    "AWS::ECS::Service": "Cluster Role SchedulingStrategy ServiceName",
    "AWS::ECS::TaskDefinition": _TASK,
    "AWS::ElasticLoadBalancingV2::Listener": "LoadBalancerArn",
    "AWS::ElasticLoadBalancingV2::ListenerRule": "ListenerArn",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::Policy": "",
    "AWS::KMS::Alias": "AliasName",
    "AWS::KMS::Key": "",
    "AWS::Lambda::EventSourceMapping": (
        "EventSourceArn SelfManagedEventSource StartingPosition StartingPositionTimestamp"
    ),
    "AWS::Lambda::Permission": _PERMISSION,
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::Logs::MetricFilter": "FilterName LogGroupName",
    "AWS::Route53::HostedZone": "DelegationSetId Name",
    "AWS::Route53::RecordSet": "HostedZoneId HostedZoneName",
    "AWS::S3::Bucket": "BucketName BucketNamePrefix BucketNamespace",
    "AWS::S3::BucketPolicy": "Bucket",
    "AWS::SNS::Subscription": "Endpoint Protocol TopicArn",
    "AWS::SNS::TopicPolicy": "",
    "AWS::SQS::QueuePolicy": "",
    "AWS::Scheduler::Schedule": "Name",
    "AWS::SecretsManager::Secret": "Name",
}

CONDITIONALLY = {
    "AWS::AutoScaling::AutoScalingGroup": (
        "LaunchConfigurationName LaunchTemplate MixedInstancesPolicy VPCZoneIdentifier"
    ),
    "AWS::EC2::Subnet": "Ipv6CidrBlock",
    "AWS::EC2::VPC": "InstanceTenancy",
    "AWS::ECS::Service": "LaunchType",
    "AWS::Events::Rule": "EventBusName",
    "AWS::SNS::Subscription": "Region",
}


def install() -> None:
    """Answer for change sets only: how an update is done stays the emulator's."""
    original = stacks._property_recreation

    def recreation(resource_type: str, name: str) -> str:
        if resource_type not in CREATE_ONLY or resource_type in provisioners._REPLACING_PROPERTIES:
            return str(original(resource_type, name))
        if name in CREATE_ONLY[resource_type].split():
            return "Always"
        return "Conditionally" if name in CONDITIONALLY.get(resource_type, "").split() else "Never"

    stacks._property_recreation = recreation
