"""Types of CloudFormation that cost nothing by themselves.

What they lead to is priced where it runs: a launch template in its group, a task definition in its
service, a rule of scaling in the instances it starts. A type that is neither here nor has a price
function is reported as unpriced.
"""

from __future__ import annotations

FREE = frozenset(
    f"AWS::{name}"
    for name in (
        "ApplicationAutoScaling::ScalableTarget", "ApplicationAutoScaling::ScalingPolicy",
        "AutoScaling::LifecycleHook", "AutoScaling::ScalingPolicy", "AutoScaling::ScheduledAction",
        "Backup::BackupPlan", "Backup::BackupSelection",
        "Batch::JobDefinition", "Batch::JobQueue",
        "EC2::InternetGateway", "EC2::LaunchTemplate", "EC2::NetworkAcl", "EC2::NetworkAclEntry",
        "EC2::EgressOnlyInternetGateway", "EC2::Route", "EC2::RouteTable", "EC2::SecurityGroup",
        "EC2::SecurityGroupEgress", "EC2::SecurityGroupIngress", "EC2::Subnet",
        "EC2::SubnetNetworkAclAssociation", "EC2::SubnetRouteTableAssociation", "EC2::VPC",
        "EC2::VPCCidrBlock", "EC2::VPCGatewayAttachment",
        "ECS::CapacityProvider", "ECS::ClusterCapacityProviderAssociations", "ECS::TaskDefinition",
        "ElastiCache::ParameterGroup", "ElastiCache::SubnetGroup",
        "ElasticLoadBalancingV2::Listener", "ElasticLoadBalancingV2::ListenerCertificate",
        "ElasticLoadBalancingV2::ListenerRule", "ElasticLoadBalancingV2::TargetGroup",
        # Rules on a schedule or on events of AWS itself are free; the Scheduler is for the first
        # 14 million calls of a month.
        "Events::Rule", "Scheduler::Schedule", "Scheduler::ScheduleGroup",
        "IAM::InstanceProfile", "IAM::ManagedPolicy", "IAM::Policy", "IAM::Role",
        "IAM::RolePolicy", "IAM::ServiceLinkedRole",
        "KMS::Alias",
        "Lambda::Alias", "Lambda::EventInvokeConfig", "Lambda::EventSourceMapping",
        "Lambda::LayerVersion", "Lambda::Permission", "Lambda::Version",
        "Logs::LogStream", "Logs::QueryDefinition", "Logs::ResourcePolicy",
        "RDS::DBParameterGroup", "RDS::DBSubnetGroup", "RDS::OptionGroup",
        "Route53::RecordSet", "Route53::RecordSetGroup",
        "S3::BucketPolicy",
        "SecretsManager::ResourcePolicy", "SecretsManager::RotationSchedule",
        "SecretsManager::SecretTargetAttachment",
        "SNS::Subscription", "SNS::TopicPolicy", "SQS::QueuePolicy",
        "WAFv2::IPSet", "WAFv2::LoggingConfiguration", "WAFv2::RegexPatternSet",
        "WAFv2::WebACLAssociation",
        "XRay::Group", "XRay::SamplingRule",
    )
)  # fmt: skip
