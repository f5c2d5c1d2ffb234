"""One question for every credential: whose is this? The form of the text says who answers."""

from __future__ import annotations

from tabular.errors import UnauthenticatedError
from tabular.infra.auth import keys, sessions
from tabular.infra.auth.keys import ApiKeys
from tabular.infra.auth.oidc import OidcTokens
from tabular.infra.auth.principal import Principal
from tabular.infra.auth.sessions import Sessions


def is_ours(credential: str) -> bool:
    """Whether it has the form of a key or a session, and not of a provider's token."""
    return credential.partition(".")[0] == sessions.PREFIX or keys.is_key(credential)


class Authenticator:
    """Asks keys, sessions or the identity provider's tokens.

    Args:
        keys: API keys.
        sessions: tokens of sessions.
        tokens: of a provider, where there is one.
    """

    def __init__(self, keys: ApiKeys, sessions: Sessions, tokens: OidcTokens | None = None) -> None:
        self._keys = keys
        self._sessions = sessions
        self._tokens = tokens

    def authenticate(self, credential: str) -> Principal:
        """Who holds this.

        Raises:
            UnauthenticatedError: nobody does.
            UnavailableError: that cannot be known now.
        """
        if credential.partition(".")[0] == sessions.PREFIX:
            return self._sessions.authenticate(credential)
        if keys.is_key(credential):
            return self._keys.authenticate(credential)
        if self._tokens is not None:
            return self._tokens.authenticate(credential)
        raise UnauthenticatedError(
            "the API key is not valid",
            hint="send `Authorization: Bearer KEY`",
            reason="credential.malformed",
            challenge='error="invalid_token"',
        )
