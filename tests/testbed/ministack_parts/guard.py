"""Types that watch over money, health, secrets, copies and traffic, and the serverless cache."""

from __future__ import annotations

import copy
import re
import uuid
from typing import Any

from kit import (
    Made,
    Properties,
    arn,
    changed,
    done,
    done_json,
    never,
    physical_name,
    query,
    register,
)
from ministack.core.responses import AccountRegionScopedDict
from ministack.services import (
    backup,
    budgets,
    cloudwatch,
    elasticache,
    route53,
    secretsmanager,
    waf,
)

# --- AWS::Budgets::Budget


def _budget_body(name: str, props: Properties) -> dict[str, Any]:
    budget = {**copy.deepcopy(props["Budget"]), "BudgetName": name}
    if "BudgetLimit" in budget:
        budget["BudgetLimit"]["Amount"] = str(budget["BudgetLimit"]["Amount"])
    return budget


def _budget_create(logical_id: str, props: Properties, stack: str) -> Made:
    name = props["Budget"].get("BudgetName") or physical_name(stack, logical_id)
    asked = {
        "Budget": _budget_body(name, props),
        "NotificationsWithSubscribers": props.get("NotificationsWithSubscribers"),
        "ResourceTags": props.get("ResourceTags"),
    }
    done(budgets._create_budget(asked))
    return name, {}


def _budget_update(
    physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
) -> Made:
    if changed(old, new, "Budget", "BudgetName") or changed(old, new, "Budget", "BudgetType"):
        return _budget_create(logical_id, new, stack)
    done(budgets._update_budget({"NewBudget": _budget_body(physical_id, new)}))
    return physical_id, {}


def _budget_delete(physical_id: str, props: Properties) -> None:
    if physical_id in budgets._budgets:
        done(budgets._delete_budget({"BudgetName": physical_id}))


# --- AWS::CloudWatch::CompositeAlarm


def _composite_put(name: str, props: Properties) -> Made:
    asked = {key: value for key, value in props.items() if key != "Tags"} | {"AlarmName": name}
    done(cloudwatch._put_composite_alarm({}, asked, False, True))
    return name, {"Arn": cloudwatch._composite_alarms[name]["AlarmArn"]}


def _composite_create(logical_id: str, props: Properties, stack: str) -> Made:
    return _composite_put(props.get("AlarmName") or physical_name(stack, logical_id), props)


def _composite_update(
    physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
) -> Made:
    return _composite_put(physical_id, new)


def _composite_delete(physical_id: str, props: Properties) -> None:
    done(cloudwatch._delete_alarms({}, {"AlarmNames": [physical_id]}, False, True))


# --- AWS::Route53::HealthCheck


def _health_create(logical_id: str, props: Properties, stack: str) -> Made:
    check, caller = str(uuid.uuid4()), str(uuid.uuid4())
    record = {
        "id": check,
        "caller_reference": caller,
        "config": copy.deepcopy(props["HealthCheckConfig"]),
        "version": 1,
    }
    route53._health_checks[check] = record
    route53._hc_caller_refs[caller] = check
    return check, {"HealthCheckId": check}


def _health_update(
    physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
) -> Made:
    for name in ("Type", "MeasureLatency", "RequestInterval", "RoutingControlArn"):
        if changed(old, new, "HealthCheckConfig", name):
            return _health_create(logical_id, new, stack)
    record = route53._health_checks[physical_id]
    record.update(config=copy.deepcopy(new["HealthCheckConfig"]), version=record["version"] + 1)
    return physical_id, {"HealthCheckId": physical_id}


def _health_delete(physical_id: str, props: Properties) -> None:
    if physical_id in route53._health_checks:
        route53._delete_health_check(physical_id)


# --- AWS::Backup::BackupSelection


def _selection_create(logical_id: str, props: Properties, stack: str) -> Made:
    plan = props["BackupPlanId"]
    asked = {"BackupSelection": props["BackupSelection"]}
    selection = done_json(backup._create_selection(plan, asked))["SelectionId"]
    return selection, {"Id": selection, "SelectionId": selection, "BackupPlanId": plan}


def _selection_delete(physical_id: str, props: Properties) -> None:
    backup._selections.pop(physical_id, None)


# --- AWS::WAFv2::WebACLAssociation


def _association_create(logical_id: str, props: Properties, stack: str) -> Made:
    done(waf._associate_web_acl(props))
    return f"{props['WebACLArn']}|{props['ResourceArn']}", {}


def _association_delete(physical_id: str, props: Properties) -> None:
    # A replacement has put the new ACL in place before the old association goes.
    if waf._associations.get(props["ResourceArn"]) == props["WebACLArn"]:
        done(waf._disassociate_web_acl(props))


# --- AWS::SecretsManager::RotationSchedule


def _rotation_create(logical_id: str, props: Properties, stack: str) -> Made:
    _rotation_put(props)
    _, secret = secretsmanager._resolve(props["SecretId"])
    return secret["ARN"], {"Id": secret["ARN"]}


def _rotation_put(props: Properties) -> None:
    _, secret = secretsmanager._resolve(props["SecretId"])
    if not secret:
        raise ValueError("Secrets Manager can't find the specified secret.")
    rules = copy.deepcopy(props.get("RotationRules"))
    if str(props.get("RotateImmediatelyOnUpdate", True)).lower() == "true":
        asked = {
            "SecretId": props["SecretId"],
            "RotationRules": rules,
            "RotationLambdaARN": props.get("RotationLambdaARN"),
        }
        done(secretsmanager._rotate_secret(asked))
    else:
        secret.update(
            RotationEnabled=True,
            RotationRules=rules,
            RotationLambdaARN=props.get("RotationLambdaARN"),
        )


def _rotation_update(
    physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
) -> Made:
    _rotation_put(new)
    return physical_id, {"Id": physical_id}


def _rotation_delete(physical_id: str, props: Properties) -> None:
    _, secret = secretsmanager._resolve(physical_id)
    if secret:
        secret.update(RotationEnabled=False, RotationRules=None, RotationLambdaARN=None)


# --- AWS::ElastiCache::ServerlessCache


def _cache_create(logical_id: str, props: Properties, stack: str) -> Made:
    name = props.get("ServerlessCacheName") or physical_name(
        stack, logical_id, lowercase=True, max_len=40
    )
    asked = {key: value for key, value in props.items() if key not in ("Tags", "FinalSnapshotName")}
    done(elasticache._create_serverless_cache(query({**asked, "ServerlessCacheName": name})))
    record = elasticache._serverless_caches[name]
    elasticache._tags[record["ARN"]] = [
        {"Key": tag["Key"], "Value": tag["Value"]} for tag in props.get("Tags", [])
    ]
    return name, _cache_attributes(record)


def _cache_attributes(record: dict[str, Any]) -> dict[str, Any]:
    ends = {
        f"{end}.{part}": str(record[end][part])
        for end in ("Endpoint", "ReaderEndpoint")
        for part in ("Address", "Port")
    }
    return {
        "ARN": record["ARN"],
        "Status": record["Status"],
        "FullEngineVersion": record["FullEngineVersion"],
        **ends,
    }


def _cache_update(
    physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
) -> Made:
    asked = {key: value for key, value in new.items() if key != "Tags" and old.get(key) != value}
    if asked:
        asked["ServerlessCacheName"] = physical_id
        done(elasticache._modify_serverless_cache(query(asked)))
    return physical_id, _cache_attributes(elasticache._serverless_caches[physical_id])


def _cache_delete(physical_id: str, props: Properties) -> None:
    if physical_id in elasticache._serverless_caches:
        done(elasticache._delete_serverless_cache(query({"ServerlessCacheName": physical_id})))


# --- AWS::XRay: the emulator has no such service, so records only

_tracing = AccountRegionScopedDict()


def _trace_rule_create(logical_id: str, props: Properties, stack: str) -> Made:
    rule = props["SamplingRule"]
    name = rule.get("RuleName") or physical_name(stack, logical_id, max_len=32)
    return _trace_put("RuleARN", f"sampling-rule/{name}", props)


def _trace_group_create(logical_id: str, props: Properties, stack: str) -> Made:
    return _trace_put("GroupARN", f"group/{props['GroupName']}/{uuid.uuid4().hex[:16]}", props)


def _trace_put(attribute: str, path: str, props: Properties) -> Made:
    made = arn("xray", path)
    if any(
        re.sub(r"/[0-9a-f]{16}$", "", key) == re.sub(r"/[0-9a-f]{16}$", "", made)
        for key in _tracing
    ):
        raise ValueError(f"{path.rsplit('/', 1)[0]} already exists")
    _tracing[made] = props
    return made, {attribute: made}


def _trace_update(
    physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
) -> Made:
    _tracing[physical_id] = new
    return physical_id, {"GroupARN" if ":group/" in physical_id else "RuleARN": physical_id}


def _trace_delete(physical_id: str, props: Properties) -> None:
    _tracing.pop(physical_id, None)


def install() -> None:
    """Register the types of this module."""
    register(
        "AWS::Budgets::Budget",
        create=_budget_create,
        update=_budget_update,
        delete=_budget_delete,
        replacing="NotificationsWithSubscribers",
    )
    register(
        "AWS::CloudWatch::CompositeAlarm",
        create=_composite_create,
        update=_composite_update,
        delete=_composite_delete,
        replacing="AlarmName",
    )
    register(
        "AWS::Route53::HealthCheck",
        create=_health_create,
        update=_health_update,
        delete=_health_delete,
    )
    register(
        "AWS::Backup::BackupSelection",
        create=_selection_create,
        update=never,
        delete=_selection_delete,
        replacing="BackupPlanId BackupSelection",
    )
    register(
        "AWS::WAFv2::WebACLAssociation",
        create=_association_create,
        update=never,
        delete=_association_delete,
        replacing="ResourceArn WebACLArn",
    )
    register(
        "AWS::SecretsManager::RotationSchedule",
        create=_rotation_create,
        update=_rotation_update,
        delete=_rotation_delete,
        replacing="SecretId",
    )
    register(
        "AWS::ElastiCache::ServerlessCache",
        create=_cache_create,
        update=_cache_update,
        delete=_cache_delete,
        replacing=(
            "ConnectionType KmsKeyId NetworkType ServerlessCacheName SnapshotArnsToRestore "
            "SubnetIds"
        ),
        tags=("Tags", "list"),
        named_by="ServerlessCacheName",
    )
    register(
        "AWS::XRay::SamplingRule",
        create=_trace_rule_create,
        update=_trace_update,
        delete=_trace_delete,
    )
    register(
        "AWS::XRay::Group",
        create=_trace_group_create,
        update=_trace_update,
        delete=_trace_delete,
    )
