"""`backup`: make, list, verify, restore and prune backups of a running platform."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from tabular.cli.backup_flags import (
    BackupArgument,
    FromFlag,
    SaidKeys,
    SecretKeyFlag,
    ToFlag,
    reading_keys,
    secret_of,
    writing_keys,
)
from tabular.cli.backup_inside import run_inside
from tabular.cli.bars import bar
from tabular.cli.confirm import confirm
from tabular.cli.output import JsonFlag, new_table, print_json, print_table, stdout
from tabular.cli.place import Place, YesFlag, place_flags
from tabular.errors import UsageError

if TYPE_CHECKING:  # databases and stores are imported by the command that needs them
    from tabular.transfer.place import Known
    from tabular.transfer.place import Place as Backups

backup = typer.Typer(help="Backups of a running platform.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.add_typer(backup, name="backup")


@backup.command("create")
@place_flags
@writing_keys
def create(*, to: ToFlag, place: Place, keys: SaidKeys, as_json: JsonFlag = False) -> None:
    """Back up a deployment while it runs: its rows of one moment and the objects they refer to.

    Says how to encrypt: --passphrase, --recipient or --identity, or --unencrypted. A backup to a
    place that has some stores only what is new. A run that was killed is started again.
    """
    from tabular.infra.storage import open_store
    from tabular.transfer.backup import Backup
    from tabular.transfer.place import create_place

    orchestrator, target = place.orchestrator, place.find().target
    if orchestrator.runs_inside:
        arguments = ["create", "--to", to]
        made = run_inside(orchestrator, target, "backup", arguments, keys)
    else:
        with orchestrator.recorded("backup", target), bar("copying objects") as progress:
            settings = orchestrator.service_settings(target)
            secret = settings.secret_key.get_secret_value()
            there = create_place(open_store(to), keys.read(), secret)
            made = Backup(settings, there, progress=progress).run().model_dump(mode="json")
    if as_json:
        print_json(made)
        return
    stdout.print(f"Backup {made['id']} is whole: {made['rows']} rows, {made['objects']} objects.")
    stdout.print(f"{_size(made['size'])} in all, {_size(made['added'])} of it new.")


@backup.command("list")
def list_backups(*, source: FromFlag, as_json: JsonFlag = False) -> None:
    """List the backups of a place that are whole. Takes no key."""
    from tabular.infra.storage import open_store
    from tabular.transfer.place import look

    found = look(open_store(source)).known()
    if as_json:
        print_json([_listed(known) for known in found])
        return
    shown = new_table("id", "finished", "size", "new", "rows", "objects", "encryption", "checked")
    for known in found:
        made = known.summary
        if made is None:
            shown.add_row(known.id, *[""] * 6, "damaged")
            continue
        shown.add_row(
            made.id, f"{made.finished:%Y-%m-%d %H:%M:%S}", _size(made.size), _size(made.added),
            str(made.rows), str(made.objects), made.encryption, escape(_checked(known)),
        )  # fmt: skip
    print_table(shown)


@backup.command("verify")
@place_flags
@reading_keys
def verify(
    backup_id: BackupArgument = None,
    *,
    source: FromFlag,
    place: Place,
    keys: SaidKeys,
    secret_key: SecretKeyFlag = None,
    restore: Annotated[
        bool, typer.Option("--restore", help="Restore it into a scratch place, and compare.")
    ] = False,
    scratch: Annotated[
        Path | None, typer.Option("--scratch", help="Folder with room for the scratch place.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Read every file of a backup and tell what is wrong. Exit code 1 if anything is.

    The result is kept beside the backup, and `backup list` shows it. With a --provider whose data
    only the service reaches, it is done there.
    """
    from tabular.infra.storage import open_store
    from tabular.transfer.drill import check_at

    if place.orchestrator.runs_inside:
        for flag, said in (("--secret-key", secret_key), ("--scratch", scratch)):
            if said is not None:
                raise UsageError(
                    "that is of this machine, and the backup is read where the service is",
                    where=flag,
                    hint=f"leave out {flag}, or --provider to read it from here",
                )
        arguments = ["verify", "--from", source, *(["--restore"] if restore else [])]
        arguments += [] if backup_id is None else [backup_id]
        found = run_inside(place.orchestrator, place.find().target, "verify", arguments, keys)
    else:
        with bar("reading") as progress:
            found = check_at(
                open_store(source),
                keys.read(),
                backup_id,
                restore=restore,
                secret=secret_of(secret_key),
                scratch=scratch,
                progress=progress,
            )
    if as_json:
        print_json(found)
    else:
        _tell(found)
    if not found["ok"]:
        raise typer.Exit(1)


@backup.command("restore")
@place_flags
@reading_keys
def restore(
    backup_id: BackupArgument = None,
    *,
    source: FromFlag,
    place: Place,
    keys: SaidKeys,
    secret_key: SecretKeyFlag = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Give up what the deployment has. Not to be undone.")
    ] = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Restore a backup into a new deployment, compare, and let it go by its keys.

    The deployment takes over the secret key of the platform that was backed up: that one's API
    keys are right from then on, and those of the new deployment are not. One that has datasets,
    models or jobs is refused. A run that was killed is started again.
    """
    from tabular.infra.storage import open_store
    from tabular.transfer.restore import restore_into

    orchestrator, target = place.orchestrator, place.find().target
    fate = ", which gives up what it has" if replace else ""
    if orchestrator.runs_inside:
        if secret_key is not None:
            raise UsageError(
                "the service there goes by its own secret key, which no restore changes",
                where="--secret-key",
                hint="give the deployment the secret key of the platform that was backed up",
            )
        confirm(f"Restore {backup_id or 'the newest backup'} into {target.id}{fate}?", yes=yes)
        arguments = ["restore", "--from", source, *(["--replace"] if replace else [])]
        arguments += [] if backup_id is None else [backup_id]
        _restored(run_inside(orchestrator, target, "restore", arguments, keys), as_json=as_json)
        return
    there = _opened(source, keys)
    chosen = there.latest(backup_id)
    settings = orchestrator.service_settings(target)
    manifest, _ = there.read(chosen, secret=secret_of(secret_key))
    secret = manifest.known_secret(secret_of(secret_key))
    if secret is None:
        raise _no_secret_key("--secret-key env:NAME, that of the platform that was backed up")
    confirm(f"Restore {chosen} into {target.id}{fate}?", yes=yes)
    store = open_store(settings.storage_url)
    with orchestrator.recorded("restore", target, backup=chosen), bar("copying") as progress:
        done = restore_into(
            there, manifest, settings.database_url, store, replace=replace, progress=progress
        )
    orchestrator.adopt_secret_key(target, secret)
    _restored(done.as_dict(), as_json=as_json)


@backup.command("secret-key")
@reading_keys
def secret_key(
    backup_id: BackupArgument = None,
    *,
    source: FromFlag,
    keys: SaidKeys,
    file: Annotated[
        Path, typer.Option("--to-file", help="File it is written to, which must not be there yet.")
    ],
) -> None:
    """Take the secret key of the platform that was backed up out of an encrypted backup.

    A new deployment is made with it where all that is left of the old one are its backups, and
    `restore` cannot change it.
    """
    there = _opened(source, keys)
    manifest, _ = there.read(there.latest(backup_id))
    secret = manifest.known_secret()
    if secret is None:
        raise _no_secret_key("look for a copy of it elsewhere")
    try:
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise UsageError(
            f"the file cannot be made: {error.strerror}",
            where=str(file),
            hint="--to-file names one that is not there yet",
        ) from None
    with os.fdopen(opened, "w", encoding="utf-8") as stream:
        stream.write(secret)
    stdout.print(f"The secret key of {manifest.summary.id} is in {file}; remove it afterwards.")


@backup.command("prune")
@reading_keys
def prune(
    *,
    source: FromFlag,
    keys: SaidKeys,
    keep: Annotated[int, typer.Option("--keep", min=1, help="How many of the newest stay.")],
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Forget all backups but the newest, and remove what only they needed.

    Not while a backup is being made there.
    """
    from tabular.transfer.verify import prune as forget_old

    there = _opened(source, keys)
    confirm(f"Forget all backups at {there.where} but {keep}?", yes=yes)
    gone, files = forget_old(there, keep)
    if as_json:
        print_json({"forgotten": gone, "files": files})
    else:
        stdout.print(f"Forgot {len(gone)} backups and removed {files} files.")


def _no_secret_key(hint: str) -> UsageError:
    return UsageError(
        "an unencrypted backup does not hold the secret key, without which no API key is right",
        hint=hint,
        code="usage.no-secret-key",
    )


def _restored(done: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    _tell({"restored": done, "ok": True})
    stdout.print("The API keys of the platform that was backed up are right there now.")


def _opened(source: str, keys: SaidKeys) -> Backups:
    from tabular.infra.storage import open_store
    from tabular.transfer.place import open_place

    return open_place(open_store(source), keys.read())


def _listed(known: Known) -> dict[str, Any]:
    last = known.checks[-1] if known.checks else None
    made = known.summary.model_dump(mode="json") if known.summary else {"id": known.id}
    return {**made, "damaged": known.summary is None, "checked": last}


def _checked(known: Known) -> str:
    if not known.checks:
        return "never"
    last = known.checks[-1]
    how = {"verify": "read", "drill": "restored"}[last["kind"]]
    return f"{how if last['ok'] else 'damaged'} {last['at'][:19].replace('T', ' ')}"


def _tell(found: dict[str, Any]) -> None:
    for wrong in (*found.get("damaged", ()), *found.get("extra", ())):
        stdout.print(f"[red]wrong[/] {escape(wrong)}")
    if "files" in found:
        stdout.print(f"Read {found['files']} files, {_size(found['bytes'])} in them.")
    if found.get("sealed") is False:
        stdout.print("The seal was not checked: that takes --secret-key.")
    if found.get("unreferenced"):
        stdout.print(f"{found['unreferenced']} files belong to no whole backup: see `prune`.")
    restored = found.get("restored")
    if restored:
        rows = sum(restored["rows"].values())
        stdout.print(
            f"Restored and compared: {rows} rows of {len(restored['rows'])} tables, "
            f"{restored['objects']} objects of {_size(restored['size'])}."
        )
        if restored["requeued"]:
            stdout.print(f"{restored['requeued']} jobs that ran then wait again.")
    if not found["ok"]:
        stdout.print("[red]The backup is not whole.[/]")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
