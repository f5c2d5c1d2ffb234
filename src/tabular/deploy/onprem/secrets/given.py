"""Secrets that a spec gives: kept in memory from compile to apply, and in no stack, plan or log.

A compiled stack says only which key of the deployment's Secret is read. What a spec has for that
key is remembered here by target, and read at the moment of an apply.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from tabular.deploy.spec.secret import Secret
from tabular.deploy.target import Target
from tabular.errors import ConfigError, TabularError
from tabular.infra.secrets import resolve

# What this machine can read; the others are read where the service runs, or not at all.
HERE = ("env", "file", "aws-sm", "gcp-sm", "az-kv")


@dataclass(frozen=True, slots=True)
class GivenSecret:
    """One secret of the spec.

    Attributes:
        key: in the deployment's Secret.
        path: in the spec.
        secret: as it is said there.
        replaces: it follows the spec at each apply, as of a server that is not ours; else it is
            taken the first time only, since our servers keep the password they began with.
    """

    key: str
    path: str
    secret: Secret
    replaces: bool = False

    @property
    def known(self) -> bool:
        """Whether it can be read at all: a copy of a spec from a cluster is without literals."""
        return not self.secret.withheld

    def read(self) -> SecretStr:
        """The value.

        Raises:
            ConfigError: it leads to nothing, or was withheld; ``where`` is its key of the spec.
            UnavailableError: the store that has it does not answer.
        """
        if self.secret.literal is not None:
            return self.secret.literal
        if self.secret.secret_ref is None:
            raise ConfigError(
                "the secret was written out in the file, and this copy of the spec is without it",
                where=self.path,
                hint="deploy with the file itself, or name a place: secretRef: env:NAME",
            )
        try:
            return SecretStr(resolve(self.secret.secret_ref))
        except TabularError as error:
            error.where = self.path
            raise


class Given:
    """What the specs that were compiled give, by target."""

    def __init__(self) -> None:
        self._known: dict[Target, dict[str, GivenSecret]] = {}

    def put(self, target: Target, secrets: Iterable[GivenSecret]) -> None:
        """Remember the secrets of a spec that was compiled; the last one counts."""
        self._known[target] = {one.key: one for one in secrets}

    def of(self, target: Target) -> Mapping[str, GivenSecret]:
        """Secrets by their key in the deployment's Secret; none where no spec was compiled."""
        return self._known.get(target, {})
