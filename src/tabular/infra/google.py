"""Signing in at Google's services, for every driver that speaks their REST interfaces."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tabular.errors import ConfigError, UnavailableError
from tabular.infra.optional import require


class GoogleTokens:
    """Access tokens found the way Google's own libraries find them, renewed before they end."""

    def __init__(
        self,
        find: Callable[[], tuple[object, object]],
        where: str,
        failures: type[Exception],
    ) -> None:
        """
        Args:
            find: gives credentials of google-auth and the transport to renew them with; called
                at the first request.
            where: what is signed in to, for messages.
            failures: the base class of google-auth's errors.
        """
        self._find = find
        self._where = where
        self._failures = failures
        self._lock = threading.Lock()
        self._found: tuple[object, object] | None = None

    def __call__(self) -> str | None:
        """A valid token.

        Raises:
            UnavailableError: Google refuses the account, or does not answer.
        """
        with self._lock:
            if self._found is None:
                self._found = self._find()
            credentials, transport = self._found
            if not credentials.valid:  # type: ignore[attr-defined]
                try:
                    credentials.refresh(transport)  # type: ignore[attr-defined]
                except self._failures as error:
                    raise UnavailableError(
                        f"Google does not let the account sign in: {error.args[0]}",
                        where=self._where,
                        hint="check the service account, its key and this machine's clock",
                    ) from error
            token: str = credentials.token  # type: ignore[attr-defined]
            return token


def google_tokens(
    scope: str, where: str, *, needed_by: str, file: str | None = None
) -> GoogleTokens:
    """Tokens of a service account's file, or of the environment; found at the first request.

    Args:
        scope: what they are to allow.
        where: what is signed in to, for messages.
        needed_by: which URLs need google-auth.
        file: of a service account.

    Raises:
        ConfigError: google-auth is not installed.
    """
    auth = require("google.auth", extra="gcp", needed_by=needed_by)
    failures = require("google.auth.exceptions", extra="gcp", needed_by=needed_by)

    def find() -> tuple[Any, Any]:
        transport = require("google.auth.transport.requests", extra="gcp", needed_by=needed_by)
        try:
            if file is None:
                found, _ = auth.default(scopes=[scope])
            else:
                found, _ = auth.load_credentials_from_file(file, scopes=[scope])
        except failures.DefaultCredentialsError as error:
            raise ConfigError(
                "no Google credentials are found",
                where=where,
                hint="set GOOGLE_APPLICATION_CREDENTIALS, run on a machine with a role, "
                "or add ?anonymous=true for a public bucket or an emulator",
            ) from error
        return found, transport.Request()

    return GoogleTokens(find, where, failures.GoogleAuthError)
