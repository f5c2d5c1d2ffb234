"""What the `backup` commands share: where backups lie, and what opens them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from tabular.cli.joined import Command, join
from tabular.infra.secrets import resolve
from tabular.transfer.sealing import Keys

PLACES = "file:///folder, s3://bucket/prefix, gs:// or az://; credentials as for the service."
ToFlag = Annotated[str, typer.Option("--to", metavar="URL", help=f"Where to: {PLACES}")]
FromFlag = Annotated[str, typer.Option("--from", metavar="URL", help=f"Where it is: {PLACES}")]
BackupArgument = Annotated[
    str | None, typer.Argument(metavar="ID", help="Which backup; the newest if not given.")
]
SecretKeyFlag = Annotated[
    str | None,
    typer.Option(
        "--secret-key",
        metavar="REF",
        help="Secret key of the platform that was backed up, where the backup is unencrypted.",
    ),
]
_Passphrase = Annotated[
    str | None,
    typer.Option(
        "--passphrase",
        metavar="REF",
        help="Passphrase of the backups, by reference: env:NAME, file:/path, aws-sm:NAME …",
    ),
]
_Recipient = Annotated[
    list[str] | None,
    typer.Option("--recipient", metavar="KEY", help="Public key of age (age1…); may be repeated."),
]
_Identity = Annotated[
    str | None,
    typer.Option(
        "--identity", metavar="REF", help="Secret key of age, by reference: file:/path/key.txt …"
    ),
]
_Unencrypted = Annotated[
    bool,
    typer.Option(
        "--unencrypted", help="Write rows and objects as they are. The secret key stays behind."
    ),
]


@dataclass(frozen=True)
class SaidKeys:
    """What was said of the keys of backups, as references.

    Attributes:
        passphrase, identity: references.
        recipients: public keys.
        unencrypted: write things as they are.
    """

    passphrase: str | None = None
    identity: str | None = None
    recipients: tuple[str, ...] = ()
    unencrypted: bool = False

    def read(self) -> Keys:
        """The keys themselves, read here."""
        return Keys(
            passphrase=secret_of(self.passphrase),
            identity=secret_of(self.identity),
            recipients=self.recipients,
            unencrypted=self.unencrypted,
        )

    def arguments(self) -> list[str]:
        """For ``python -m tabular.transfer``, which reads them where it runs."""
        said = [("--passphrase", self.passphrase), ("--identity", self.identity)]
        said += [("--recipient", one) for one in self.recipients]
        flags = [word for flag, value in said if value is not None for word in (flag, value)]
        return [*flags, *(["--unencrypted"] if self.unencrypted else [])]


def secret_of(reference: str | None) -> str | None:
    """The value that a reference names, if one was given."""
    return None if reference is None else resolve(reference)


def reading_keys(command: Command) -> Command:
    """Give a command that takes ``keys: SaidKeys`` the options that open backups."""
    return join(command, "keys", {"passphrase": _Passphrase, "identity": _Identity}, _keys)


def writing_keys(command: Command) -> Command:
    """Give a command that takes ``keys: SaidKeys`` the options that encrypt backups."""
    flags = {
        "passphrase": _Passphrase,
        "recipient": _Recipient,
        "identity": _Identity,
        "unencrypted": (_Unencrypted, False),
    }
    return join(command, "keys", flags, _keys)


def _keys(said: dict[str, Any]) -> SaidKeys:
    return SaidKeys(
        passphrase=said["passphrase"],
        identity=said["identity"],
        recipients=tuple(said.get("recipient") or ()),
        unencrypted=said.get("unencrypted", False),
    )
