"""``gcp-sm:``: Google Secret Manager (v1 REST), with application default credentials."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

from tabular.infra.optional import require
from tabular.infra.secrets.parts import malformed, silent, split_key, value_at
from tabular.infra.secrets.rest import get_json

FORM = "gcp-sm:projects/PROJECT/secrets/NAME[/versions/VERSION][#KEY]"
ENDPOINT = "https://secretmanager.googleapis.com"
OVERRIDE = "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER"  # gcloud's own name for it
_NAME = re.compile(r"projects/[\w:.-]+/secrets/[\w-]+(/versions/(\d+|latest|[\w-]+))?\Z")
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def resolve(reference: str, environ: Mapping[str, str]) -> str:
    """The secret's version, the latest when none is named, or one key of it.

    Raises:
        ConfigError: no such secret or key, no right to it, or google-auth is not installed.
        UnavailableError: the service or the source of credentials does not answer.
    """
    name, key = split_key(reference)
    where = f"gcp-sm:{name}"
    form = _NAME.match(name)
    if form is None:
        raise malformed(where, FORM)
    auth = require("google.auth", extra="gcp", needed_by="gcp-sm: references")
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import Request

    try:
        credentials, _ = auth.default(scopes=[_SCOPE])
        credentials.refresh(Request())
    except GoogleAuthError as error:
        raise silent(where, type(error).__name__) from error
    base = environ.get(OVERRIDE, ENDPOINT).rstrip("/")
    version = name if form[1] else f"{name}/versions/latest"
    url = f"{base}/v1/{version}:access"
    found = get_json(url, credentials.token, where, "these Google credentials")
    try:
        text = base64.b64decode(found["payload"]["data"], validate=True).decode()
    except (KeyError, TypeError, binascii.Error, UnicodeDecodeError) as error:
        raise silent(where, "its answer has no text") from error
    return value_at(text, key, where)
