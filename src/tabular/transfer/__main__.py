"""``python -m tabular.transfer``: backups from within, where only the service reaches its data.

A container of the platform has the settings of the service in its environment (TABULAR_…); what
the command line asks a provider for is read from there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tabular.errors import TabularError, UsageError
from tabular.infra.config import load_settings
from tabular.infra.database import Database
from tabular.infra.secrets import resolve
from tabular.infra.storage import ObjectStore, open_store
from tabular.transfer import place as places
from tabular.transfer import sealing
from tabular.transfer.backup import Backup
from tabular.transfer.drill import check_at
from tabular.transfer.hold import PRUNE, held, holding
from tabular.transfer.restore import restore_into
from tabular.transfer.verify import newer, prune

Answer = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code; one line of JSON on stdout when all is well."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], Answer] = options.run
    try:
        answer = command(options)
    except TabularError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(answer))
    return 0 if answer.get("ok", True) else 1


def _create(options: argparse.Namespace) -> Answer:
    settings = load_settings()
    secret = settings.secret_key.get_secret_value()
    place = places.create_place(_store(options.to, options), _keys(options), secret)
    made = Backup(settings, place).run().model_dump(mode="json")
    if options.keep_days is None:
        return made
    return {**made, **_forget(place, settings.database_url, options.keep_days)}


def _forget(place: places.Place, database_url: str, days: int) -> Answer:
    """What became of old backups; they stay for another day where somebody else makes one."""
    database = Database(database_url)
    try:
        # First the hold, then the look at others: of two at once one at least sees the other.
        with holding(database, PRUNE):
            if held(database) > 1:
                print("old backups stay: another one is being made", file=sys.stderr)
                return {"forgotten": [], "files": 0}
            gone, files = prune(place, newer(place, datetime.now(UTC) - timedelta(days=days)))
    finally:
        database.close()
    return {"forgotten": gone, "files": files}


def _verify(options: argparse.Namespace) -> Answer:
    store = _store(options.source, options)
    return check_at(store, _keys(options), options.backup, restore=options.restore)


def _restore(options: argparse.Namespace) -> Answer:
    settings = load_settings()
    secret = settings.secret_key.get_secret_value()
    place = places.open_place(_store(options.source, options), _keys(options))
    # Whoever restores here cannot change the service's secret key, so it must be right already.
    manifest, _ = place.read(place.latest(options.backup), secret=secret)
    store = open_store(settings.storage_url)
    done = restore_into(place, manifest, settings.database_url, store, replace=options.replace)
    return done.as_dict()


def _keygen(_options: argparse.Namespace) -> Answer:
    text, public = sealing.keygen()
    return {"identity": text, "recipient": public}


def _store(url: str, options: argparse.Namespace) -> ObjectStore:
    """The store of backups, with keys of its own where they are named: not those of the service."""
    if (options.access_key is None) != (options.secret_access_key is None):
        raise UsageError("--access-key and --secret-access-key go together")
    if options.access_key is None:
        return open_store(url)
    keys = {
        "access_key_id": resolve(options.access_key),
        "secret_access_key": resolve(options.secret_access_key),
    }
    return open_store(url, credentials=keys)


def _keys(options: argparse.Namespace) -> sealing.Keys:
    for name in ("passphrase", "identity"):
        if getattr(options, name) == "":
            raise UsageError(f"--{name} is empty", hint=f"--{name} env:NAME")
    return sealing.Keys(
        passphrase=resolve(options.passphrase) if options.passphrase else None,
        recipients=tuple(options.recipient),
        identity=resolve(options.identity) if options.identity else None,
        unencrypted=options.unencrypted,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tabular.transfer", description=__doc__)
    commands = parser.add_subparsers(required=True)
    create = commands.add_parser("create", help="back up the platform of these settings")
    create.add_argument("--to", required=True, metavar="URL")
    create.add_argument(
        "--keep-days",
        type=_days,
        metavar="N",
        help="then forget backups that are older; never the last one",
    )
    verify = commands.add_parser("verify", help="read a backup from end to end")
    verify.add_argument("--restore", action="store_true", help="restore it to a scratch place")
    restore = commands.add_parser("restore", help="restore into the platform of these settings")
    restore.add_argument("--replace", action="store_true", help="give up what it has")
    for command, run in ((create, _create), (verify, _verify), (restore, _restore)):
        command.set_defaults(run=run)
        command.add_argument("--passphrase", metavar="REF")
        command.add_argument("--recipient", metavar="KEY", action="append", default=[])
        command.add_argument("--identity", metavar="REF")
        command.add_argument("--unencrypted", action="store_true")
        command.add_argument("--access-key", metavar="REF", help="of the store of backups")
        command.add_argument("--secret-access-key", metavar="REF", help="of the store of backups")
    for command in (verify, restore):
        command.add_argument("--from", dest="source", required=True, metavar="URL")
        command.add_argument("backup", nargs="?", metavar="ID")
    keygen = commands.add_parser("keygen", help="print a new key pair of age")
    keygen.set_defaults(run=_keygen)
    return parser


def _days(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
