"""The record of everything that was accepted: jobs, datasets, models, evaluations and keys.

The database is the one truth of the service. Objects, queue messages and progress events
follow it; whatever it does not name does not exist, and may be removed.

engine      connections, transactions, errors      models   the tables
migrate     schema revisions                       columns  column types of our own
"""

from __future__ import annotations

from tabular.infra.database import usage_models  # the metadata has its tables from here on
from tabular.infra.database.engine import Database
from tabular.infra.database.migrate import check_schema, head, migrate, revision

__all__ = ["Database", "check_schema", "head", "migrate", "revision", "usage_models"]
