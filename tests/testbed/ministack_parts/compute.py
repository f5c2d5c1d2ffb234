"""Types of batch computing, container capacity and scaling that the emulator lacks."""

from __future__ import annotations

from typing import Any

from kit import Made, Properties, arn, camel, done, done_json, physical_name, query, register
from ministack.core.responses import AccountRegionScopedDict, new_uuid
from ministack.services import batch, ec2, ecs
from ministack.services.cloudformation import provisioners

# --- AWS::EC2::Volume


def _volume_create(logical_id: str, props: Properties, stack: str) -> Made:
    known = set(ec2._volumes)
    done(ec2._create_volume(query({key: props[key] for key in props if key != "Tags"})))
    (volume,) = set(ec2._volumes) - known
    provisioners._ec2_apply_tags(volume, props)
    return volume, {"VolumeId": volume}


def _volume_update(
    physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
) -> Made:
    changes = {key: new[key] for key in ("Size", "VolumeType", "Iops") if key in new}
    done(ec2._modify_volume(query({**changes, "VolumeId": physical_id})))
    provisioners._ec2_apply_tags(physical_id, new, old)
    return physical_id, {"VolumeId": physical_id}


def _volume_delete(physical_id: str, props: Properties) -> None:
    if physical_id in ec2._volumes:
        done(ec2._delete_volume(query({"VolumeId": physical_id})))


# --- AWS::Batch: made in the emulator's own service


def _environment_create(logical_id: str, props: Properties, stack: str) -> Made:
    name = props.get("ComputeEnvironmentName") or physical_name(stack, logical_id)
    asked = {**camel(props), "computeEnvironmentName": name}
    made = done_json(batch._create_compute_environment(asked))
    return _environment(made["computeEnvironmentArn"])


def _environment(environment_arn: str) -> Made:
    return environment_arn, {"ComputeEnvironmentArn": environment_arn}


def _environment_update(
    physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
) -> Made:
    asked = {**camel(new), "computeEnvironment": physical_id}
    done(batch._update_compute_environment(asked))
    return _environment(physical_id)


def _environment_delete(physical_id: str, props: Properties) -> None:
    used = [
        queue["jobQueueName"]
        for queue in batch._job_queues.values()
        for order in queue["computeEnvironmentOrder"]
        if physical_id.endswith(f"/{order['computeEnvironment'].rsplit('/', 1)[-1]}")
    ]
    if used:
        raise ValueError(f"Cannot delete, found existing JobQueue relationship: {used}")
    batch._compute_envs.pop(physical_id.rsplit("/", 1)[-1], None)


def _queue_create(logical_id: str, props: Properties, stack: str) -> Made:
    name = props.get("JobQueueName") or physical_name(stack, logical_id)
    made = done_json(batch._create_job_queue({**camel(props), "jobQueueName": name}))
    return made["jobQueueArn"], {"JobQueueArn": made["jobQueueArn"]}


def _queue_update(
    physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
) -> Made:
    record = batch._job_queues[physical_id.rsplit("/", 1)[-1]]
    record.update(
        state=new.get("State", "ENABLED"),
        priority=new.get("Priority", 1),
        computeEnvironmentOrder=camel(new.get("ComputeEnvironmentOrder", [])),
        tags=new.get("Tags", {}),
    )
    return physical_id, {"JobQueueArn": physical_id}


def _queue_delete(physical_id: str, props: Properties) -> None:
    batch._job_queues.pop(physical_id.rsplit("/", 1)[-1], None)


# What the emulator's RegisterJobDefinition drops.
_DEFINITION_REST = (
    "parameters",
    "platformCapabilities",
    "propagateTags",
    "retryStrategy",
    "timeout",
    "schedulingPriority",
    "nodeProperties",
)


def _definition_create(logical_id: str, props: Properties, stack: str) -> Made:
    name = props.get("JobDefinitionName") or physical_name(stack, logical_id)
    asked = {**camel(props), "jobDefinitionName": name}
    made = done_json(batch._register_job_definition(asked))["jobDefinitionArn"]
    record = _definition_record(made)
    assert record is not None
    record.update({key: asked[key] for key in _DEFINITION_REST if key in asked})
    return made, {"JobDefinitionArn": made}


def _definition_record(definition_arn: str) -> dict[str, Any] | None:
    return next(
        (
            record
            for revisions in batch._job_definitions.values()
            for record in revisions
            if record["jobDefinitionArn"] == definition_arn
        ),
        None,
    )


def _definition_update(
    physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
) -> Made:
    """A change is a new revision under the same name; the old one goes in the cleanup."""
    record = _definition_record(physical_id)
    name = record["jobDefinitionName"] if record else new.get("JobDefinitionName")
    return _definition_create(logical_id, {**new, "JobDefinitionName": name}, stack)


def _definition_delete(physical_id: str, props: Properties) -> None:
    record = _definition_record(physical_id)
    if record is not None:
        record["status"] = "INACTIVE"


# --- AWS::ECS capacity


def _provider_create(logical_id: str, props: Properties, stack: str) -> Made:
    name = props.get("Name") or physical_name(stack, logical_id)
    asked = {**camel(props, verbatim=()), "name": name}
    done(ecs._create_capacity_provider(asked))
    return name, {}


def _provider_update(
    physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
) -> Made:
    record = ecs._capacity_providers[physical_id]
    record["autoScalingGroupProvider"].update(camel(new.get("AutoScalingGroupProvider", {})))
    return physical_id, {}


def _provider_delete(physical_id: str, props: Properties) -> None:
    if physical_id in ecs._capacity_providers:
        done(ecs._delete_capacity_provider({"capacityProvider": physical_id}))


def _providers_put(logical_id: str, props: Properties, stack: str) -> Made:
    asked = camel({key: value for key, value in props.items() if key != "Cluster"})
    done(ecs._put_cluster_capacity_providers({**asked, "cluster": props["Cluster"]}))
    return props["Cluster"], {}


def _providers_update(
    physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
) -> Made:
    return _providers_put(logical_id, new, stack)


def _providers_delete(physical_id: str, props: Properties) -> None:
    if physical_id.rsplit("/", 1)[-1] in ecs._clusters:
        done(ecs._put_cluster_capacity_providers({"cluster": physical_id}))


# --- AWS::ApplicationAutoScaling: the emulator has no such service, so records only

_scaling = AccountRegionScopedDict()


def _target_create(logical_id: str, props: Properties, stack: str) -> Made:
    low, high = int(props["MinCapacity"]), int(props["MaxCapacity"])
    if low > high:
        raise ValueError(f"Maximum capacity {high} cannot be less than minimum capacity {low}")
    target = "|".join(props[key] for key in ("ResourceId", "ScalableDimension", "ServiceNamespace"))
    _scaling[target] = props
    return target, {"Id": target}


def _target_update(
    physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
) -> Made:
    return _target_create(logical_id, new, stack)


def _policy_create(logical_id: str, props: Properties, stack: str) -> Made:
    target = props.get("ScalingTargetId") or "|".join(
        props[key] for key in ("ResourceId", "ScalableDimension", "ServiceNamespace")
    )
    if target not in _scaling:
        raise ValueError(f"No scalable target registered for {target}")
    resource, _, service = target.split("|")
    made = arn(
        "autoscaling",
        f"scalingPolicy:{new_uuid()}:resource/{service}/{resource}:policyName/{props['PolicyName']}",
    )
    _scaling[made] = props
    return made, {"Arn": made}


def _policy_update(
    physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
) -> Made:
    _scaling[physical_id] = new
    return physical_id, {"Arn": physical_id}


def _scaling_delete(physical_id: str, props: Properties) -> None:
    _scaling.pop(physical_id, None)


def install() -> None:
    """Register the types of this module."""
    register(
        "AWS::EC2::Volume",
        create=_volume_create,
        update=_volume_update,
        delete=_volume_delete,
        tags=("Tags", "list"),
    )
    register(
        "AWS::Batch::ComputeEnvironment",
        create=_environment_create,
        update=_environment_update,
        delete=_environment_delete,
        replacing="ComputeEnvironmentName EksConfiguration Tags Type",
        named_by="ComputeEnvironmentName",
    )
    register(
        "AWS::Batch::JobQueue",
        create=_queue_create,
        update=_queue_update,
        delete=_queue_delete,
        replacing="JobQueueName JobQueueType",
        named_by="JobQueueName",
    )
    register(
        "AWS::Batch::JobDefinition",
        create=_definition_create,
        update=_definition_update,
        delete=_definition_delete,
        replacing="JobDefinitionName",
    )
    register(
        "AWS::ECS::CapacityProvider",
        create=_provider_create,
        update=_provider_update,
        delete=_provider_delete,
        replacing="Name",
        named_by="Name",
    )
    register(
        "AWS::ECS::ClusterCapacityProviderAssociations",
        create=_providers_put,
        update=_providers_update,
        delete=_providers_delete,
        replacing="Cluster",
    )
    register(
        "AWS::ApplicationAutoScaling::ScalableTarget",
        create=_target_create,
        update=_target_update,
        delete=_scaling_delete,
        replacing="ResourceId ScalableDimension ServiceNamespace",
    )
    register(
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        create=_policy_create,
        update=_policy_update,
        delete=_scaling_delete,
        replacing="PolicyName ResourceId ScalableDimension ScalingTargetId ServiceNamespace",
    )
