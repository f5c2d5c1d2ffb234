"""Service Quotas, which the emulator does not have, and what its EC2 says too little of.

An increase that is asked for is granted at once, and a smaller number is taken too: that is how a
test gives an account little room.
"""

from __future__ import annotations

import json
from typing import Any

import offers
from ministack import app
from ministack.core import iam_actions, router
from ministack.core.responses import get_account_id, get_region
from ministack.services import ec2

SERVICE = "servicequotas"
# What AWS gives an account that has asked for nothing, by service and code; but of vCPUs what one
# has that was used for a while, since new accounts have single ones.
DEFAULTS = {
    "vpc": {"L-F678F1CE": 5, "L-FE5A380F": 5, "L-E79EC296": 2500, "L-1B52E74A": 20},
    "ec2": {"L-0263D0A3": 5, "L-1216C47A": 256, "L-34B43A08": 256, "L-DB2E81BA": 0},
    "elasticloadbalancing": {"L-53DA6B97": 50},
    "rds": {"L-7B6409FD": 40, "L-7ADDB58A": 100_000},
    "fargate": {"L-3032A538": 256, "L-36FBB829": 256},
}
SIZES = {"micro": 2, "small": 2, "medium": 2, "large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16}
_granted: dict[tuple[str, str, str, str], float] = {}


def install() -> None:
    """Put the service beside the others."""
    app.SERVICE_HANDLERS[SERVICE] = _answer
    router.SERVICE_PATTERNS[SERVICE] = {"target_prefixes": ["ServiceQuotasV20190624"]}
    iam_actions.SERVICE_TO_IAM_NAMESPACE[SERVICE] = SERVICE
    ec2._ACTION_MAP["DescribeInstanceTypes"] = _instance_types


async def _answer(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
    action = headers.get("x-amz-target", "").rpartition(".")[2]
    asked = json.loads(body or b"{}")
    service, code = asked["ServiceCode"], asked["QuotaCode"]
    default = DEFAULTS.get(service, {}).get(code)
    key = (get_account_id(), get_region(), service, code)
    if action == "RequestServiceQuotaIncrease":
        _granted[key] = float(asked["DesiredValue"])
        return _json(200, {"RequestedQuota": {"QuotaCode": code, "Status": "APPROVED"}})
    value = default if action == "GetAWSDefaultServiceQuota" else _granted.get(key)
    if value is None:
        words = {"__type": "NoSuchResourceException", "message": f"no {service} {code}"}
        return _json(400, words)
    return _json(200, {"Quota": {"ServiceCode": service, "QuotaCode": code, "Value": value}})


def _json(status: int, body: Any) -> Any:
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(body).encode()


def _instance_types(asked: offers.Query) -> Any:
    """By filter, with the vCPUs that AWS documents for a size."""
    named = {value[0] for key, value in asked.items() if ".Value." in key}
    items = "".join(
        f"<item><instanceType>{name}</instanceType><vCpuInfo>"
        f"<defaultVCpus>{SIZES[name.rpartition('.')[2]]}</defaultVCpus></vCpuInfo></item>"
        for name in offers.INSTANCE_TYPES
        if name in named
    )
    return ec2._xml(
        200, "DescribeInstanceTypesResponse", f"<instanceTypeSet>{items}</instanceTypeSet>"
    )
