"""What the emulator lacks of imports: one more type, drift right after one, and later updates.

The user guide's page on drift lists no state of an import, and the emulator goes by that list; its
page on imports recommends to detect drift right after one, so AWS must take it then. And a resource
whose name no template says is known by the name that it was imported under, not by the one that
CloudFormation would have made.
"""

from __future__ import annotations

from typing import Any

from kit import Made, Properties
from ministack.services import rds
from ministack.services.cloudformation import changesets, drift, provisioners

DATABASE = "AWS::RDS::DBInstance"


def install() -> None:
    """Teach change sets to look a database up and import it, drift its states, updates the name."""
    drift.DRIFT_DETECTABLE_STATUSES |= {"IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}
    changesets._IMPORT_LOOKUPS.setdefault(DATABASE, (("DBInstanceIdentifier",), _problem))
    provisioners._RESOURCE_HANDLERS[DATABASE].setdefault("import", _database)
    _keep_names()


def _keep_names() -> None:
    original = provisioners._rename_replacement
    log_group = provisioners._RESOURCE_HANDLERS["AWS::Logs::LogGroup"]
    update = log_group["update"]

    def replacement(
        physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str,
        declared: str, current: str | None, *rest: Any, **more: Any,
    ) -> Made | None:  # fmt: skip
        if current not in (None, *old.values()) and declared not in new.values():
            declared = str(current)
        found: Made | None = original(
            physical_id, old, new, stack, logical_id, declared, current, *rest, **more
        )
        return found

    def updated(physical_id: str, old: Properties, new: Properties, *rest: Any) -> Made:
        # It gives back the name that it makes up, too.
        if "LogGroupName" not in old and "LogGroupName" not in new:
            named = {"LogGroupName": physical_id}
            old, new = old | named, new | named
        found: Made = update(physical_id, old, new, *rest)
        return found

    provisioners._rename_replacement = replacement
    log_group["update"] = updated


def _problem(name: str) -> str | None:
    return None if name in rds._instances else f"DBInstance {name} not found."


def _database(identifier: Properties) -> Made:
    record = rds._instances[identifier["DBInstanceIdentifier"]]
    endpoint = record["Endpoint"]
    attributes = {"Endpoint.Address": endpoint["Address"], "Endpoint.Port": str(endpoint["Port"]),
                  "DBInstanceArn": record["DBInstanceArn"]}  # fmt: skip
    return record["DBInstanceIdentifier"], attributes
