"""`keys`: make, list and end API keys of a running platform."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.markup import escape

from tabular.cli.confirm import confirm
from tabular.cli.output import (
    JsonFlag,
    OutputError,
    new_table,
    print_json,
    print_table,
    print_text,
    stdout,
    tell,
)
from tabular.cli.place import Place, YesFlag, place_flags

keys = typer.Typer(help="API keys of a running platform.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.add_typer(keys, name="keys")


@keys.command("create")
@place_flags
def create(
    *,
    place: Place,
    label: Annotated[str, typer.Argument(help="Name of the key, as lists show it.")] = "admin",
    as_json: JsonFlag = False,
) -> None:
    """Create an administrator's key. It is printed once and kept nowhere."""
    key = place.orchestrator.issue_api_key(place.find().target, label)
    try:
        if as_json:
            print_json({"name": label, "api_key": key})
        else:
            print_text(str(key))
    except OutputError as failed:
        lost = f"A key named {label} was made and is lost: it is kept nowhere"
        mend = "make another, and end this one with `keys list` and `keys revoke`"
        raise failed.but(lost, mend) from failed
    if not as_json:
        tell("Keep it now: it is not shown again.", style="dim")


@keys.command("list")
@place_flags
def list_keys(*, place: Place, as_json: JsonFlag = False) -> None:
    """List every key ever issued, without its secret.

    Asks the service with the administrator's key in INFERLOOP_TABULAR_API_KEY.
    """
    from tabular.cli.service import ask

    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next": ""}
    while page["next"] is not None:
        page = ask(place, "GET", "/v1/keys", **({"cursor": page["next"]} if page["next"] else {}))
        found += page["items"]
    if as_json:
        print_json(found)
        return
    shown = new_table("id", "name", "scopes", "created", "last used", "revoked")
    for key in found:
        times = (str(key[when] or "")[:19] for when in ("created_at", "last_used_at", "revoked_at"))
        shown.add_row(key["id"], escape(key["name"]), ", ".join(key["scopes"]), *times)
    print_table(shown)


@keys.command("revoke")
@place_flags
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the key, from `keys list`.")],
    *,
    place: Place,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """End a key at once. A key cannot end itself.

    Asks the service with the administrator's key in INFERLOOP_TABULAR_API_KEY.
    """
    from tabular.cli.service import ask

    confirm(f"Revoke the key {key_id}? Who uses it is refused from then on.", yes=yes)
    ask(place, "DELETE", f"/v1/keys/{quote(key_id, safe='')}")
    if as_json:
        print_json({"revoked": key_id})
    else:
        stdout.print(f"Revoked {escape(key_id)}.")
