"""``python -m tabular.api serve|migrate|create-key``: what a deployment runs.

Settings come from the environment alone (see ``TABULAR_*``), so that a container, a supervisor
and a person start the same thing.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tabular.errors import TabularError, UnavailableError
from tabular.infra.config import Settings, load_settings

if TYPE_CHECKING:
    from tabular.infra.database import Database


_PAUSE = 1.0  # seconds between tries to migrate


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 done, 1 failed, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings()
        if options.command == "serve":
            from tabular.api.serve import serve

            serve(settings, options.fd)
        elif options.command == "migrate":
            _migrate(settings, options.wait)
        else:
            _create_key(settings, options)
    except TabularError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tabular.api", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="serve the API")
    serving.add_argument(
        "--fd",
        type=int,
        action="append",
        default=[],
        help="serve on an inherited listening socket instead of TABULAR_HOST and TABULAR_PORT; "
        "may be given again",
    )
    migrating = commands.add_parser("migrate", help="bring the database's schema to this release")
    migrating.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how long to try again while the database does not answer, such as one that was "
        "just made",
    )
    create = commands.add_parser("create-key", help="issue an API key and print it once")
    create.add_argument("--name", required=True, help="shown in lists")
    create.add_argument("--scopes", default="admin", help="separated by commas")
    create.add_argument("--plan", default="default", help="quotas that hold for it")
    create.add_argument("--json", action="store_true", help="one line of JSON")
    create.add_argument(
        "--if-none", action="store_true", help="only when there is no key that can be used"
    )
    return parser


def _migrate(settings: Settings, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            _migrate_now(settings)
            return
        except UnavailableError as error:
            if time.monotonic() >= deadline:
                raise
            print(f"waiting: {error}", file=sys.stderr, flush=True)
            time.sleep(_PAUSE)


def _migrate_now(settings: Settings) -> None:
    from tabular.api.admin_key import bring_admin_key
    from tabular.infra.database import Database, migrate

    database = Database(settings.database_url)
    try:
        print(f"the schema is at revision {migrate(database)}")
        said = bring_admin_key(settings, database)
        if said is not None:
            print(said)
    finally:
        database.close()


def _create_key(settings: Settings, options: argparse.Namespace) -> None:
    from tabular.infra.auth.keys import ApiKeys
    from tabular.infra.database import Database, check_schema

    database = Database(settings.database_url)
    try:
        check_schema(database)
        plan = settings.plan_book().check(options.plan)
        keys = ApiKeys(database, settings.secret_key.get_secret_value())
        if options.if_none and keys.any_active():
            answer = {"id": None, "name": options.name, "key": None}
        else:
            issued = keys.issue(options.name, options.scopes.split(","), plan=plan)
            _record(database, settings, issued.id)
            answer = {"id": issued.id, "name": issued.name, "key": issued.key}
    finally:
        database.close()
    if options.json:
        print(json.dumps(answer))
    else:
        print(answer["key"] or "there is a key already; none was made")


def _record(database: Database, settings: Settings, key_id: str) -> None:
    """Keep that a key was made by who can run commands here, and so holds the secret key."""
    from tabular.infra.auth.audit import KEY_CREATED, Asked, AuditTrail

    asked = Asked("create-key", key_id, "console", secrets.token_hex(12))
    trail = AuditTrail(database, retention=settings.audit_retention())
    trail.record(KEY_CREATED, asked, resource=key_id)


if __name__ == "__main__":
    sys.exit(main())
