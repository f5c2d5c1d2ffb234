"""Imports of one more type, a database of RDS; and the drift of what was just imported.

The user guide's page on drift lists no state of an import, and the emulator goes by that list; its
page on imports recommends to detect drift right after one, so AWS must take it then.
"""

from __future__ import annotations

from kit import Made, Properties
from ministack.services import rds
from ministack.services.cloudformation import changesets, drift, provisioners

DATABASE = "AWS::RDS::DBInstance"


def install() -> None:
    """Teach change sets to look a database up, and the importing of it; and drift its states."""
    drift.DRIFT_DETECTABLE_STATUSES |= {"IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}
    changesets._IMPORT_LOOKUPS.setdefault(DATABASE, (("DBInstanceIdentifier",), _problem))
    provisioners._RESOURCE_HANDLERS[DATABASE].setdefault("import", _database)


def _problem(name: str) -> str | None:
    return None if name in rds._instances else f"DBInstance {name} not found."


def _database(identifier: Properties) -> Made:
    record = rds._instances[identifier["DBInstanceIdentifier"]]
    endpoint = record["Endpoint"]
    attributes = {"Endpoint.Address": endpoint["Address"], "Endpoint.Port": str(endpoint["Port"]),
                  "DBInstanceArn": record["DBInstanceArn"]}  # fmt: skip
    return record["DBInstanceIdentifier"], attributes
