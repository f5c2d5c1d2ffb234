"""Properties of types that the emulator knows, but loses or takes wrongly."""

from __future__ import annotations

import copy
import string
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from kit import Made, Properties, camel, done
from ministack.services import autoscaling, ecs, rds, s3
from ministack.services.cloudformation import changesets, engine, handlers, provisioners

Handler = dict[str, Any]


def install() -> None:
    """Wrap what is repaired."""
    wrap("AWS::S3::Bucket", after=_bucket_rest)
    provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]["delete"] = _bucket_delete
    provisioners._STACK_TAG_PROPERTY["AWS::S3::Bucket"] = ("Tags", "list")
    database = provisioners._RESOURCE_HANDLERS["AWS::RDS::DBInstance"]
    database["delete"] = _unless_protected(database["delete"])
    wrap("AWS::AutoScaling::AutoScalingGroup", before=_group_bounds, after=_group_rest)
    autoscaling._ACTION_MAP["DescribeAutoScalingGroups"] = _describe_groups
    wrap("AWS::CloudWatch::Alarm", before=_alarm_of_one_metric)
    wrap("AWS::ECS::Service", before=_service_numbers, after=_service_rest)
    wrap("AWS::SecretsManager::Secret", before=_generated)
    _always_ask_for_capabilities()
    _refuse_unknown_references()


def wrap(
    resource_type: str,
    *,
    before: Callable[[Properties], Properties] = lambda props: props,
    after: Callable[[str, Properties, Properties], None] = lambda name, old, new: None,
) -> None:
    """Run `before` on the properties and `after` on what was made, at create and update."""
    handler: Handler = provisioners._RESOURCE_HANDLERS[resource_type]
    create, update = handler["create"], handler["update"]
    with_logical_id = handler.get("update_with_logical_id")

    def created(logical_id: str, props: Properties, stack: str) -> Made:
        made: Made = create(logical_id, before(props), stack)
        after(made[0], {}, before(props))
        return made

    def updated(
        physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
    ) -> Made:
        last = (logical_id,) if with_logical_id else ()
        made: Made = update(physical_id, before(old), before(new), stack, *last)
        after(made[0], before(old), before(new))
        return made

    handler.update(create=created, update=updated, update_with_logical_id=True)


# --- AWS::S3::Bucket: encryption, lifecycle, tags, ownership, logging, suspended versioning


def element(name: str, value: Any) -> str:
    """A property as XML; a list repeats its element."""
    if isinstance(value, list):
        return "".join(element(name, inner) for inner in value)
    if isinstance(value, dict):
        inside = "".join(element(key, inner) for key, inner in value.items())
    else:
        inside = escape(str(value).lower() if isinstance(value, bool) else str(value))
    return f"<{name}>{inside}</{name}>"


def _document(name: str, value: Any) -> bytes:
    text = element(name, value)
    return text.replace(f"<{name}>", f'<{name} xmlns="{s3.S3_NS}">', 1).encode()


def encryption_xml(config: Properties) -> bytes:
    """``BucketEncryption`` as the body of PutBucketEncryption."""
    names = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}
    rules = [
        {
            names.get(key, key): (
                {"KMSMasterKeyID" if k == "KMSMasterKeyID" else k: v for k, v in value.items()}
                if isinstance(value, dict)
                else value
            )
            for key, value in rule.items()
        }
        for rule in config["ServerSideEncryptionConfiguration"]
    ]
    return _document("ServerSideEncryptionConfiguration", {"Rule": rules})


def lifecycle_xml(config: Properties) -> bytes:
    """``LifecycleConfiguration`` as the body of PutBucketLifecycleConfiguration."""
    return _document("LifecycleConfiguration", {"Rule": [_rule(rule) for rule in config["Rules"]]})


def _rule(rule: Properties) -> Properties:
    made: Properties = {"ID": rule["Id"]} if "Id" in rule else {}
    made["Status"] = rule["Status"]
    narrowing: Properties = {
        key: rule[key]
        for key in ("Prefix", "ObjectSizeGreaterThan", "ObjectSizeLessThan")
        if key in rule
    }
    tags = rule.get("TagFilters", [])
    if len(tags) + len(narrowing) > 1:
        made["Filter"] = {"And": {**narrowing, **({"Tag": tags} if tags else {})}}
    else:
        made["Filter"] = {**narrowing, **({"Tag": tags} if tags else {})}
    expiration = {
        short: rule[long]
        for short, long in (
            ("Days", "ExpirationInDays"),
            ("Date", "ExpirationDate"),
            ("ExpiredObjectDeleteMarker", "ExpiredObjectDeleteMarker"),
        )
        if long in rule
    }
    if expiration:
        made["Expiration"] = expiration
    made["Transition"] = [
        {
            **({"Days": move["TransitionInDays"]} if "TransitionInDays" in move else {}),
            **({"Date": move["TransitionDate"]} if "TransitionDate" in move else {}),
            "StorageClass": move["StorageClass"],
        }
        for move in [*rule.get("Transitions", []), *filter(None, [rule.get("Transition")])]
    ]
    made["NoncurrentVersionTransition"] = [
        {
            "NoncurrentDays": move["TransitionInDays"],
            "StorageClass": move["StorageClass"],
            **{k: move[k] for k in ("NewerNoncurrentVersions",) if k in move},
        }
        for move in rule.get("NoncurrentVersionTransitions", [])
    ]
    if "NoncurrentVersionExpiration" in rule:
        made["NoncurrentVersionExpiration"] = rule["NoncurrentVersionExpiration"]
    elif "NoncurrentVersionExpirationInDays" in rule:
        days = rule["NoncurrentVersionExpirationInDays"]
        made["NoncurrentVersionExpiration"] = {"NoncurrentDays": days}
    if "AbortIncompleteMultipartUpload" in rule:
        made["AbortIncompleteMultipartUpload"] = rule["AbortIncompleteMultipartUpload"]
    return made


def _tags_xml(tags: list[Properties]) -> bytes:
    return _document("Tagging", {"TagSet": {"Tag": tags}})


def _ownership_xml(config: Properties) -> bytes:
    return _document("OwnershipControls", {"Rule": config["Rules"]})


def _logging_xml(config: Properties) -> bytes:
    enabled = {
        "TargetBucket": config.get("DestinationBucketName", ""),
        "TargetPrefix": config.get("LogFilePrefix", ""),
    }
    return _document("BucketLoggingStatus", {"LoggingEnabled": enabled})


def _no_logging(name: str) -> tuple[int, Any, Any]:
    answer: tuple[int, Any, Any] = s3._put_bucket_logging(
        name, _document("BucketLoggingStatus", {})
    )
    return answer


_BUCKET_PARTS = (
    ("BucketEncryption", encryption_xml, "encryption", None),
    ("LifecycleConfiguration", lifecycle_xml, "lifecycle", None),
    ("Tags", _tags_xml, "tagging", None),
    ("OwnershipControls", _ownership_xml, "ownership_controls", None),
    ("LoggingConfiguration", _logging_xml, "logging", _no_logging),
)


def _bucket_rest(name: str, old: Properties, new: Properties) -> None:
    for prop, to_xml, what, remove in _BUCKET_PARTS:
        if new.get(prop):
            done(getattr(s3, f"_put_bucket_{what}")(name, to_xml(new[prop])))
        elif old.get(prop):
            done((remove or getattr(s3, f"_delete_bucket_{what}"))(name))
    if new.get("VersioningConfiguration", {}).get("Status") == "Suspended":
        s3._bucket_versioning[name] = "Suspended"


def _bucket_delete(physical_id: str, props: Properties) -> None:
    """As S3 does: a bucket that holds anything is not deleted."""
    if physical_id in s3._buckets:
        done(s3._delete_bucket(physical_id))


# --- AWS::RDS::DBInstance: deletion protection


def _unless_protected(
    delete: Callable[[str, Properties], None],
) -> Callable[[str, Properties], None]:
    def deleted(physical_id: str, props: Properties) -> None:
        if rds._instances.get(physical_id, {}).get("DeletionProtection"):
            raise ValueError(
                "Cannot delete protected DB Instance, please disable deletion protection and "
                "try again."
            )
        delete(physical_id, props)

    return deleted


# --- AWS::AutoScaling::AutoScalingGroup: mixed instances, target groups, and their description

_GROUP_PARTS = ("MixedInstancesPolicy", "TargetGroupARNs", "CapacityRebalance",
                "MaxInstanceLifetime", "DefaultInstanceWarmup")  # fmt: skip


def _group_bounds(props: Properties) -> Properties:
    low, high = int(props["MinSize"]), int(props["MaxSize"])
    if low > high:
        raise ValueError(f"Max bound, {high}, must be greater than or equal to min bound, {low}")
    return props


def _group_rest(name: str, old: Properties, new: Properties) -> None:
    record = autoscaling._asgs[name]
    for part in _GROUP_PARTS:
        record.pop(part, None)
        if part in new:
            record[part] = copy.deepcopy(new[part])


def _describe_groups(parameters: dict[str, Any]) -> tuple[int, Any, Any]:
    status, headers, body = autoscaling._describe_asgs(parameters)
    text = body.decode() if isinstance(body, bytes) else body
    for name, record in autoscaling._asgs.items():
        parts = "".join(
            f"<{part}>{autoscaling._member_xml(record[part])}</{part}>"
            for part in _GROUP_PARTS
            if part in record
        )
        head = f"<AutoScalingGroupName>{name}</AutoScalingGroupName><AutoScalingGroupARN>"
        text = text.replace(head, parts + head)
    return status, headers, text.encode()


# --- AWS::CloudWatch::Alarm: the emulator refuses metric math, so it watches the first metric


def _alarm_of_one_metric(props: Properties) -> Properties:
    first = next(
        (part["MetricStat"] for part in props.get("Metrics", []) if "MetricStat" in part), None
    )
    if first is None:
        return props
    rest = {key: value for key, value in props.items() if key != "Metrics"}
    return {**first["Metric"], "Period": first["Period"], "Statistic": first["Stat"], **rest}


# --- AWS::ECS::Service: numbers that a Ref brings as text, and what the create drops

_SERVICE_REST = ("HealthCheckGracePeriodSeconds", "EnableExecuteCommand", "PlatformVersion")


def _service_numbers(props: Properties) -> Properties:
    props = copy.deepcopy(props)
    for name in ("DesiredCount", "HealthCheckGracePeriodSeconds"):
        if name in props:
            props[name] = int(props[name])
    for balancer in props.get("LoadBalancers", []):
        if "ContainerPort" in balancer:
            balancer["ContainerPort"] = int(balancer["ContainerPort"])
    return props


def _service_rest(physical_id: str, old: Properties, new: Properties) -> None:
    rest = {name: new[name] for name in _SERVICE_REST if name in new}
    if rest and not old:
        where = {"cluster": new.get("Cluster", "default"), "service": physical_id}
        done(ecs._update_service({**where, **camel(rest)}))


# --- AWS::SecretsManager::Secret: what a generated password leaves out


def _generated(props: Properties) -> Properties:
    made = props.get("GenerateSecretString")
    if not made or not made.get("ExcludePunctuation"):
        return props
    without = made.get("ExcludeCharacters", "") + string.punctuation
    return {**props, "GenerateSecretString": {**made, "ExcludeCharacters": without}}


# --- The template: capabilities and references are always checked


def _always_ask_for_capabilities() -> None:
    """CloudFormation asks for CAPABILITY_IAM always; the emulator only with ``AUTH=true``."""
    handlers._capabilities_enforced = lambda: True


def _refuse_unknown_references() -> None:
    """A Ref to nothing is a ValidationError; the emulator takes the name for the value."""
    original = engine.validate_template_support

    def checked(template: Properties, conditions: Any, params: Any = None) -> None:
        original(template, conditions, params=params)
        for block in ("Resources", "Outputs"):
            missing = unknown_references(template, block)
            if missing:
                raise ValueError(
                    "Template format error: Unresolved resource dependencies "
                    f"[{', '.join(missing)}] in the {block} block of the template"
                )

    handlers.validate_template_support = checked
    changesets.validate_template_support = checked


def unknown_references(template: Properties, block: str) -> list[str]:
    """The names in a block that neither a parameter nor a resource of the template has."""
    known = {*template.get("Parameters", {}), *template.get("Resources", {})}
    asked: set[str] = set()
    for entry in (template.get(block) or {}).values():
        if isinstance(entry, dict):
            asked |= {name for name, _ in engine._intrinsic_references(entry)}
            depends = entry.get("DependsOn", [])
            asked |= {depends} if isinstance(depends, str) else set(depends)
    return sorted(name for name in asked - known if not name.startswith("AWS::"))
