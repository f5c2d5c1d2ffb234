"""What AWS refuses, or a reviewer would, and its own linter does not see.

Each rule is a plain function from a template to what is wrong, one line each. Their sources are the
API references of the services, as of November 2026; instance and node types are those of the lists
that the linter brings but applies to other properties only.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cfnlint

from tests.deploy.aws.made import REGION

Template = Mapping[str, Any]
Rule = Callable[[Template], Iterator[str]]

EVERYWHERE = frozenset({"0.0.0.0/0", "::/0"})
SPOT_STRATEGIES = frozenset(
    {"lowest-price", "capacity-optimized", "capacity-optimized-prioritized",
     "price-capacity-optimized"}
)  # fmt: skip
LOAD_BALANCER_KEYS = re.compile(
    r"access_logs\.s3\.(enabled|bucket|prefix)|connection_logs\.s3\.(enabled|bucket|prefix)"
    r"|client_keep_alive\.seconds|deletion_protection\.enabled|idle_timeout\.timeout_seconds"
    r"|ipv6\.deny_all_igw_traffic|load_balancing\.cross_zone\.enabled"
    r"|routing\.http\.(desync_mitigation_mode|drop_invalid_header_fields\.enabled"
    r"|preserve_host_header\.enabled|x_amzn_tls_version_and_cipher_suite\.enabled"
    r"|xff_client_port\.enabled|xff_header_processing\.mode)"
    r"|routing\.http2\.enabled|waf\.fail_open\.enabled|zonal_shift\.config\.enabled"
)
TARGET_GROUP_KEYS = re.compile(
    r"deregistration_delay\.timeout_seconds|stickiness\.(enabled|type)"
    r"|stickiness\.(app_cookie|lb_cookie)\.[a-z_]+|load_balancing\.cross_zone\.enabled"
    r"|load_balancing\.algorithm\.(type|anomaly_mitigation)|slow_start\.duration_seconds"
    r"|target_group_health\.(dns_failover|unhealthy_state_routing)"
    r"\.minimum_healthy_targets\.(count|percentage)"
)
# "Task CPU and memory" of Fargate, in cores and MiB.
FARGATE: Mapping[float, frozenset[int]] = {
    0.25: frozenset({512, 1024, 2048}),
    0.5: frozenset(range(1024, 4097, 1024)),
    1: frozenset(range(2048, 8193, 1024)),
    2: frozenset(range(4096, 16_385, 1024)),
    4: frozenset(range(8192, 30_721, 1024)),
    8: frozenset(range(16_384, 61_441, 4096)),
    16: frozenset(range(32_768, 122_881, 8192)),
}
ARN = re.compile(
    r"arn:(aws|aws-cn|aws-us-gov|\*|\$\{AWS::Partition\}):[a-z0-9-]+"
    r":([a-z]{2}(-[a-z]+)+-[0-9]|\*|\$\{AWS::Region\})?"
    r":([0-9]{12}|aws|\*|\$\{AWS::AccountId\})?:[^\s]+"
)
SECRET = re.compile(
    r"AKIA[0-9A-Z]{16}|-----BEGIN|\beyJ[A-Za-z0-9_-]{20,}"
    r"|[a-z0-9+]+://[^\s/@{}$]*:(?!\{|\$|\{\{)[^\s/@]+@"
)
# What holds data, and the key without which nobody reads it again.
DATA = frozenset(
    {"AWS::RDS::DBInstance", "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Backup::BackupVault"}
)
# A name of one's own is in the way of a replacement, and of a second deployment.
NAMES: Mapping[str, str] = {
    "AWS::AutoScaling::AutoScalingGroup": "AutoScalingGroupName",
    "AWS::Batch::ComputeEnvironment": "ComputeEnvironmentName",
    "AWS::Batch::JobDefinition": "JobDefinitionName",
    "AWS::Batch::JobQueue": "JobQueueName",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::EC2::LaunchTemplate": "LaunchTemplateName",
    "AWS::EC2::SecurityGroup": "GroupName",
    "AWS::ECS::Cluster": "ClusterName",
    "AWS::ECS::Service": "ServiceName",
    "AWS::ECS::TaskDefinition": "Family",
    "AWS::ElastiCache::ReplicationGroup": "ReplicationGroupId",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "Name",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::RDS::DBInstance": "DBInstanceIdentifier",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SSM::Parameter": "Name",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::WAFv2::WebACL": "Name",
}
# By type: where it says that it is encrypted, and what it has to say there; any value if None.
ENCRYPTED: Mapping[str, tuple[tuple[str, Any], ...]] = {
    "AWS::Backup::BackupVault": (("EncryptionKeyArn", None),),
    "AWS::ElastiCache::ReplicationGroup": (
        ("AtRestEncryptionEnabled", True),
        ("TransitEncryptionEnabled", True),
        ("TransitEncryptionMode", "required"),
        ("AuthToken", None),
        ("KmsKeyId", None),
    ),
    "AWS::Logs::LogGroup": (("KmsKeyId", None), ("RetentionInDays", None)),
    "AWS::S3::Bucket": (("BucketEncryption", None), ("PublicAccessBlockConfiguration", None)),
    "AWS::SNS::Topic": (("KmsMasterKeyId", None),),
    "AWS::SQS::Queue": (("KmsMasterKeyId", None),),
    "AWS::SecretsManager::Secret": (("KmsKeyId", None),),
}


def of_type(template: Template, type_: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Logical id and properties of each resource of a type."""
    for name, resource in template["Resources"].items():
        if resource["Type"] == type_:
            yield name, resource["Properties"]


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that is no container, with where it stands."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from leaves(item, (*path, str(number)))
    else:
        yield path, value


@functools.cache
def sold(extension: str, file: str) -> frozenset[str]:
    """What is sold in the region of the tests, of one of the linter's lists."""
    folder = Path(cfnlint.__file__).parent / "data" / "schemas" / "extensions" / extension
    return frozenset(json.loads((folder / file).read_text("utf-8"))[REGION]["enum"])


def spot_strategies(template: Template) -> Iterator[str]:
    """How spot instances are chosen is one of four words."""
    for name, group in of_type(template, "AWS::AutoScaling::AutoScalingGroup"):
        mixed = group.get("MixedInstancesPolicy", {}).get("InstancesDistribution", {})
        said = mixed.get("SpotAllocationStrategy")
        if said is not None and said not in SPOT_STRATEGIES:
            yield f"{name}: no strategy {said!r}"
        shares = [mixed.get("OnDemandPercentageAboveBaseCapacity", 100)]
        if not all(0 <= int(one) <= 100 for one in shares):
            yield f"{name}: a share of {shares[0]} %"


def instance_types(template: Template) -> Iterator[str]:
    """Types of instances in overrides of a group and in Batch are sold."""
    known = sold("aws_ec2_instance", "instancetype_enum.json")
    for name, group in of_type(template, "AWS::AutoScaling::AutoScalingGroup"):
        launch = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
        for one in launch.get("Overrides", ()):
            if one["InstanceType"] not in known:
                yield f"{name}: no instance type {one['InstanceType']!r}"
    for name, made in of_type(template, "AWS::EC2::LaunchTemplate"):
        said = made["LaunchTemplateData"].get("InstanceType")
        if said is not None and said not in known:
            yield f"{name}: no instance type {said!r}"
    for name, environment in of_type(template, "AWS::Batch::ComputeEnvironment"):
        for one in environment["ComputeResources"].get("InstanceTypes", ()):
            if one not in known:
                yield f"{name}: no instance type {one!r}"


def node_types(template: Template) -> Iterator[str]:
    """ElastiCache has the node type."""
    known = sold("aws_elasticache_cachecluster", "cachenodetype_enum.json")
    for name, cache in of_type(template, "AWS::ElastiCache::ReplicationGroup"):
        if cache["CacheNodeType"] not in known:
            yield f"{name}: no node type {cache['CacheNodeType']!r}"


def attribute_keys(template: Template) -> Iterator[str]:
    """Load balancers and target groups know the attributes."""
    for type_, place, known in (
        ("LoadBalancer", "LoadBalancerAttributes", LOAD_BALANCER_KEYS),
        ("TargetGroup", "TargetGroupAttributes", TARGET_GROUP_KEYS),
    ):
        for name, found in of_type(template, f"AWS::ElasticLoadBalancingV2::{type_}"):
            for one in found.get(place, ()):
                if not known.fullmatch(one["Key"]):
                    yield f"{name}: no attribute {one['Key']!r}"


def batch_pairs(template: Template) -> Iterator[str]:
    """A job on Fargate has a pair of cores and memory that Fargate runs."""
    for name, job in of_type(template, "AWS::Batch::JobDefinition"):
        needs = {
            one["Type"]: one["Value"] for one in job["ContainerProperties"]["ResourceRequirements"]
        }
        if job["PlatformCapabilities"] == ["FARGATE"]:
            if int(needs["MEMORY"]) not in FARGATE.get(float(needs["VCPU"]), ()):
                yield f"{name}: Fargate runs no {needs['VCPU']} cores with {needs['MEMORY']} MiB"
        elif int(needs["VCPU"]) < 1 or int(needs["MEMORY"]) < 4:
            yield f"{name}: {needs}"


def task_pairs(template: Template) -> Iterator[str]:
    """A task has a pair of cores and memory that Fargate runs."""
    for name, task in of_type(template, "AWS::ECS::TaskDefinition"):
        cpu, memory = int(task["Cpu"]) / 1024, int(task["Memory"])
        if memory not in FARGATE.get(cpu, ()):
            yield f"{name}: Fargate runs no {cpu:g} cores with {memory} MiB"


def containers(template: Template) -> Iterator[str]:
    """What a service and a task say of containers and volumes is there."""
    tasks = dict(of_type(template, "AWS::ECS::TaskDefinition"))
    for name, task in tasks.items():
        found = task["ContainerDefinitions"]
        names = [one["Name"] for one in found]
        volumes = {one["Name"] for one in task.get("Volumes", ())}
        if len(set(names)) < len(names):
            yield f"{name}: two containers with one name"
        if not any(one.get("Essential", True) for one in found):
            yield f"{name}: no essential container"
        for one in found:
            for needed in one.get("DependsOn", ()):
                if needed["ContainerName"] not in names:
                    yield f"{name}: waits for {needed['ContainerName']!r}, which is not there"
            for mount in one.get("MountPoints", ()):
                if mount["SourceVolume"] not in volumes:
                    yield f"{name}: no volume {mount['SourceVolume']!r}"
    for name, service in of_type(template, "AWS::ECS::Service"):
        task = tasks[service["TaskDefinition"]["Ref"]]
        ports = {
            (one["Name"], port["ContainerPort"])
            for one in task["ContainerDefinitions"]
            for port in one.get("PortMappings", ())
        }
        for target in service.get("LoadBalancers", ()):
            if (target["ContainerName"], target["ContainerPort"]) not in ports:
                yield f"{name}: {target['ContainerName']}:{target['ContainerPort']} is not open"
            group = template["Resources"][target["TargetGroupArn"]["Ref"]]["Properties"]
            if group["Port"] != target["ContainerPort"]:
                yield f"{name}: its target group is for port {group['Port']}"


def bounds(template: Template) -> Iterator[str]:
    """The smallest size is not above the largest, and what is wished is between them."""
    for name, group in of_type(template, "AWS::AutoScaling::AutoScalingGroup"):
        wished = group.get("DesiredCapacity", group["MinSize"])
        if not int(group["MinSize"]) <= int(wished) <= int(group["MaxSize"]):
            yield f"{name}: {group['MinSize']} to {group['MaxSize']}, wished {wished}"
    for name, target in of_type(template, "AWS::ApplicationAutoScaling::ScalableTarget"):
        actions = [one["ScalableTargetAction"] for one in target.get("ScheduledActions", ())]
        for one in (target, *actions):
            if one.get("MinCapacity", 0) > one.get("MaxCapacity", one.get("MinCapacity", 0)):
                yield f"{name}: {one['MinCapacity']} to {one['MaxCapacity']}"
    for name, action in of_type(template, "AWS::AutoScaling::ScheduledAction"):
        sizes = [action.get(key) for key in ("MinSize", "DesiredCapacity", "MaxSize")]
        said = [int(one) for one in sizes if one is not None]
        if said != sorted(said):
            yield f"{name}: {said}"


def arns(template: Template) -> Iterator[str]:
    """Every ARN that is written out has its six parts."""
    for path, value in leaves(template["Resources"]):
        if isinstance(value, str) and value.startswith("arn:") and not ARN.fullmatch(value):
            yield f"{'.'.join(path)}: {value!r}"


def dashboards(template: Template) -> Iterator[str]:
    """The body of a dashboard is JSON once it is filled in, and its widgets fit on a page."""
    for name, dashboard in of_type(template, "AWS::CloudWatch::Dashboard"):
        body = dashboard["DashboardBody"]
        text = body["Fn::Sub"] if isinstance(body, Mapping) else body
        try:
            widgets = json.loads(re.sub(r"\$\{[^}]*\}", "x", text))["widgets"]
        except (ValueError, KeyError, TypeError) as error:
            yield f"{name}: {error}"
            continue
        for number, one in enumerate(widgets):
            yield from (f"{name}: widget {number}: {what}" for what in _widget(one))


def _widget(one: Mapping[str, Any]) -> Iterator[str]:
    if one["type"] not in ("metric", "alarm", "log", "text", "explorer"):
        yield f"no type {one['type']!r}"
    if not (0 <= one["x"] <= 23 and 1 <= one["width"] <= 24 - one["x"] and one["y"] >= 0):
        yield "beyond the page"
    if one["type"] == "metric" and not ({"metrics", "region"} <= one["properties"].keys()):
        yield "no metrics, or no region"


def open_to_the_world(template: Template) -> Iterator[str]:
    """Nobody gets in from everywhere but by 443 to a load balancer that speaks TLS."""
    groups = {name: one["SecurityGroupIngress"]
              for name, one in of_type(template, "AWS::EC2::SecurityGroup")
              if "SecurityGroupIngress" in one}  # fmt: skip
    for name, found in groups.items():
        for one in found:
            if _everywhere(one) and not (_only(one, 443) and name in _published(template)):
                yield f"{name}: everybody gets in at {one.get('FromPort', 'every port')}"
    for name, one in of_type(template, "AWS::EC2::SecurityGroupIngress"):
        if _everywhere(one):
            yield f"{name}: everybody gets in at {one.get('FromPort', 'every port')}"


def administration(template: Template) -> Iterator[str]:
    """Nobody gets in by SSH or RDP, from wherever."""
    groups = [(name, one) for name, found in of_type(template, "AWS::EC2::SecurityGroup")
              for one in found.get("SecurityGroupIngress", ())]  # fmt: skip
    for name, one in [*groups, *of_type(template, "AWS::EC2::SecurityGroupIngress")]:
        low, high = one.get("FromPort", 0), one.get("ToPort", 65_535)
        if any(low <= port <= high for port in (22, 3389)):
            yield f"{name}: lets in at {low} to {high}"


def _everywhere(rule: Mapping[str, Any]) -> bool:
    return bool(EVERYWHERE & {str(rule.get("CidrIp")), str(rule.get("CidrIpv6"))})


def _only(rule: Mapping[str, Any], port: int) -> bool:
    return rule["IpProtocol"] == "tcp" and rule["FromPort"] == rule["ToPort"] == port


def _published(template: Template) -> set[str]:
    """Security groups of load balancers that face the internet and listen by TLS alone."""
    listeners = dict(of_type(template, "AWS::ElasticLoadBalancingV2::Listener")).values()
    found: set[str] = set()
    for name, balancer in of_type(template, "AWS::ElasticLoadBalancingV2::LoadBalancer"):
        own = [one for one in listeners if one["LoadBalancerArn"] == {"Ref": name}]
        tls = all(one["Protocol"] == "HTTPS" and _modern(one) for one in own) and bool(own)
        if tls and balancer["Scheme"] == "internet-facing":
            found |= {one["Ref"] for one in balancer["SecurityGroups"]}
    return found


def _modern(listener: Mapping[str, Any]) -> bool:
    """TLS 1.2 and later."""
    policy = listener.get("SslPolicy", "")
    return policy.startswith(("ELBSecurityPolicy-TLS13-1-2-", "ELBSecurityPolicy-TLS13-1-3-"))


# What data stands on, which AWS deletes only once the data is gone.
BASES = frozenset(
    {"AWS::EC2::SecurityGroup", "AWS::EC2::Subnet", "AWS::EC2::VPC", "AWS::RDS::DBParameterGroup",
     "AWS::RDS::DBSubnetGroup", "AWS::SecretsManager::SecretTargetAttachment"}
)  # fmt: skip
# How data outlives the loss of its resource, by what loses it. What stays of a resource that was
# only just made, when its deployment fails, is an orphan: so "Retain" is no answer for it.
_OUTLIVING = {
    "DeletionPolicy": {"RetainExceptOnCreate", "Snapshot"},
    "UpdateReplacePolicy": {"Retain", "Snapshot"},
}


def kept_data(template: Template) -> Iterator[str]:
    """What holds data outlives its stack and its replacement, however it is deleted."""
    for name, resource in template["Resources"].items():
        type_ = resource["Type"]
        copy = "SourceDBInstanceIdentifier" in resource["Properties"]
        marked = resource.get("Metadata", {}).get("InferloopKept") and type_ not in BASES
        if type_ == "AWS::SecretsManager::RotationSchedule":
            continue  # it cannot be deleted, and goes with its secret
        if (type_ in DATA and not copy) or marked:
            for policy, words in _OUTLIVING.items():
                if resource.get(policy) not in words:
                    yield f"{name}: {policy} is {resource.get(policy)}"


def principals(template: Template) -> Iterator[str]:
    """Nobody is trusted whom no name, and no condition on the name, tells."""
    for name, statement in statements(template):
        said = statement.get("Principal")
        everybody = said == "*" or (isinstance(said, Mapping) and "*" in _flat(said.values()))
        if statement["Effect"] == "Allow" and everybody and not _narrowed(statement):
            yield f"{name}: everybody may {statement['Action']}"


def _narrowed(statement: Mapping[str, Any]) -> bool:
    """Whether a condition names the only one who is meant."""
    equal = statement.get("Condition", {}).get("StringEquals", {})
    said = json.dumps(equal.get("aws:PrincipalArn", "*"))
    return "*" not in said and {"kms:CallerAccount", "aws:PrincipalAccount"} & equal.keys() != set()


def actions(template: Template) -> Iterator[str]:
    """No right is given with a star, but for the key's owner, who is the account."""
    for name, statement in statements(template):
        if statement["Effect"] != "Allow":
            continue
        wide = [one for one in _flat([statement["Action"]]) if one == "*" or one.endswith(":*")]
        of_key = template["Resources"][name]["Type"] == "AWS::KMS::Key" and wide == ["kms:*"]
        root = ":root" in json.dumps(statement.get("Principal", ""))
        if wide and not (of_key and root):
            yield f"{name}: may {wide}"


def statements(template: Template) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every statement of every policy, with the resource that it stands in."""
    for name, resource in template["Resources"].items():
        yield from ((name, one) for one in _statements(resource["Properties"]))


def _statements(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        if "Effect" in value and "Action" in value:
            yield value
        for item in value.values():
            yield from _statements(item)
    elif isinstance(value, list):
        for item in value:
            yield from _statements(item)


def _flat(values: Any) -> list[str]:
    return [str(one) for item in values for one in (item if isinstance(item, list) else [item])]


def secrets(template: Template) -> Iterator[str]:
    """No secret is written out."""
    for path, value in leaves(template):
        if isinstance(value, str) and SECRET.search(value):
            yield ".".join(path)
    for name, resource in template["Resources"].items():
        for key in ("MasterUserPassword", "AuthToken", "SecretString"):
            if key in resource["Properties"]:
                said = json.dumps(resource["Properties"][key])
                if "{{resolve:secretsmanager:" not in said:
                    yield f"{name}: {key} is written out"


def encryption(template: Template) -> Iterator[str]:
    """What is stored is encrypted, and so is what goes over a wire."""
    for type_, wanted in ENCRYPTED.items():
        for name, properties in of_type(template, type_):
            for key, value in wanted:
                said = properties.get(key)
                if said is None or (value is not None and said != value):
                    yield f"{name}: {key} is {said}"
    for name, database in of_type(template, "AWS::RDS::DBInstance"):
        if "SourceDBInstanceIdentifier" not in database and not database.get("StorageEncrypted"):
            yield f"{name}: StorageEncrypted is not on"
    for name, made in of_type(template, "AWS::EC2::LaunchTemplate"):
        for disk in made["LaunchTemplateData"].get("BlockDeviceMappings", ()):
            if disk["Ebs"].get("Encrypted") is not True:
                yield f"{name}: a disk is not encrypted"


def hidden(template: Template) -> Iterator[str]:
    """What is not the load balancer has no public address, and credentials take a token."""
    for name, database in of_type(template, "AWS::RDS::DBInstance"):
        if database.get("PubliclyAccessible") is not False:
            yield f"{name}: PubliclyAccessible"
    for name, subnet in of_type(template, "AWS::EC2::Subnet"):
        if subnet.get("MapPublicIpOnLaunch") is not False:
            yield f"{name}: MapPublicIpOnLaunch"
    for name, service in of_type(template, "AWS::ECS::Service"):
        network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
        if network.get("AssignPublicIp") != "DISABLED":
            yield f"{name}: AssignPublicIp"
    for name, made in of_type(template, "AWS::EC2::LaunchTemplate"):
        if made["LaunchTemplateData"].get("MetadataOptions", {}).get("HttpTokens") != "required":
            yield f"{name}: IMDSv1"


def names(template: Template) -> Iterator[str]:
    """CloudFormation gives the names."""
    for type_, key in NAMES.items():
        yield from (f"{name}: {key}" for name, one in of_type(template, type_) if key in one)


RULES: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        spot_strategies, instance_types, node_types, attribute_keys, batch_pairs, task_pairs,
        containers, bounds, arns, dashboards, open_to_the_world, administration, kept_data,
        principals, actions, secrets, encryption, hidden, names,
    )
}  # fmt: skip


def broken(template: Template) -> list[str]:
    """What any rule finds."""
    return [f"{name}: {found}" for name, rule in RULES.items() for found in rule(template)]
