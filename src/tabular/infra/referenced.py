"""Settings that name a secret instead of holding it: as a whole, or in braces within a URL.

A deployment's template may say where a password is and never what it is. Where a store keeps the
password alone, the rest of the URL stands around a reference in braces:
``postgresql+psycopg://tabular:{aws-sm:NAME#password}@host/tabular``. What was read is read again
when it is refused, so a password may change while the service runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote

from tabular.errors import ConfigError, UnavailableError, nearest
from tabular.infra.secrets import RESOLVERS, is_reference, read_secret_file, resolve

FILE = "_FILE"
_BRACES = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Read:
    """What a variable came to.

    Attributes:
        text: the setting's value.
        written: the same with its references in braces as they were written.
        secrets: what was filled in, as it is and as it stands in the text.
    """

    text: str
    written: str
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A variable that may be read more than once.

    Attributes:
        variable: as it is set, with its ``_FILE``.
        environ: has it, and what ``env:`` references name.
        url: it is a URL, in which references may stand in braces.
    """

    variable: str
    environ: Mapping[str, str]
    url: bool

    @property
    def changes(self) -> bool:
        """Whether reading it again may give something else: it is kept elsewhere, or a part is."""
        text = self.environ[self.variable]
        return self.variable.endswith(FILE) or is_reference(text) or (self.url and "{" in text)

    def read(self) -> Read:
        """The value, with every reference followed.

        Raises:
            ConfigError: a reference that is none or leads to nothing, or a brace that is not
                closed; the message names the variable and never a value.
            UnavailableError: a store of secrets does not answer.
        """
        text = self.environ[self.variable]
        if self.variable.endswith(FILE):
            text = read_secret_file(text, where=self.variable)
        if is_reference(text):
            text = self._resolved(text)
        elif self.url:
            return self._filled(text)
        return Read(text, written=text)

    def _filled(self, text: str) -> Read:
        secrets: list[str] = []

        def fill(found: re.Match[str]) -> str:
            if not is_reference(found[1]):
                self._refuse(found[1])
            value = self._resolved(found[1])
            encoded = quote(value, safe="")
            secrets.extend((value, encoded))
            return encoded

        if re.search(r"[{}]", _BRACES.sub("", text)):
            raise ConfigError(
                f"{self.variable} has a brace without its other half",
                hint="write {env:NAME} for a reference, and a brace that is meant as %7B or %7D",
            )
        filled = _BRACES.sub(fill, text)
        return Read(filled, written=text, secrets=tuple(dict.fromkeys(secrets)))

    def _resolved(self, reference: str) -> str:
        try:
            return resolve(reference, environ=self.environ)
        except (ConfigError, UnavailableError) as error:
            raise type(error)(
                f"{self.variable}: {error.message}",
                where=error.where if error.where == self.variable else reference,
                hint=error.hint,
                code=error.code,
            ) from error

    def _refuse(self, text: str) -> NoReturn:
        # What stands there may be a password with braces, so it is not repeated.
        close = nearest(text.partition(":")[0], RESOLVERS)
        known = ", ".join(f"{name}:" for name in RESOLVERS)
        raise ConfigError(
            f"{self.variable} has something in braces that is no reference to a secret",
            hint=f"{close}references begin with {known}; write a brace that is meant as %7B",
        )
