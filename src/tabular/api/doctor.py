"""``python -m tabular.api.doctor``: what a running service reaches, asked from where it runs.

Only there do the network's rules, the mounted secrets and the authorities count that count for the
service. It changes nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from tabular.api.directory_checks import directory_checks, worded
from tabular.deploy.provider import Check
from tabular.errors import TabularError
from tabular.infra.config import Settings, load_settings
from tabular.infra.secrets import Rotating

_SECONDS = 10.0  # its parts have three each, at the same time


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 all is well, 1 something is not."""
    parser = argparse.ArgumentParser(prog="python -m tabular.api.doctor", description=__doc__)
    parser.add_argument("--user", help="somebody to look up in the directory, without a password")
    parser.add_argument("--json", action="store_true", help="one JSON array")
    options = parser.parse_args(arguments)
    found = list(checks(options.user))
    if options.json:
        print(json.dumps([asdict(check) for check in found], ensure_ascii=False))
    for check in () if options.json else found:
        print(f"{'ok' if check.ok else 'NOT OK':>6}  {check.name}: {check.detail}")
        if check.hint and not check.ok:
            print(f"        hint: {check.hint}")
    return 0 if all(check.ok for check in found) else 1


def checks(user: str | None = None) -> Iterator[Check]:
    """All that is asked.

    Args:
        user: somebody to look up in the directory.
    """
    try:
        settings = load_settings()
        directory, oidc = settings.directory(), settings.oidc()
    except TabularError as error:
        yield Check("settings", False, worded(error), error.hint or "")
        return
    yield from _parts(settings)
    if oidc is not None:
        from tabular.infra.auth.provider_keys import ProviderKeys

        yield _provider(ProviderKeys(oidc.issuer, ca_file=oidc.ca_file))
    if directory is not None:
        secret = Rotating(settings.ldap_bind_password)
        yield from directory_checks(directory, lambda again: secret.value(again=again), user)
    elif user is not None:
        yield Check(
            f"user {user}",
            False,
            "no directory is configured",
            "set TABULAR_LDAP_URL; on Kubernetes ldap.urls",
        )


def _parts(settings: Settings) -> Iterator[Check]:
    """The service's own answer about each part that it stands on."""
    address = f"http://127.0.0.1:{settings.port}/ready"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=_SECONDS) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:  # 503: a part is not well
        body = error.read()
    except OSError as error:
        yield Check("service", False, f"nothing answers at {address}: {error}", "look at its log")
        return
    try:
        told: dict[str, dict[str, Any]] = json.loads(body)["checks"]
    except (ValueError, KeyError, TypeError):
        yield Check("service", False, f"what answers at {address} is not it", "look at its log")
        return
    for name, part in told.items():
        said = f"{part['status']} after {part['milliseconds']:g} ms"
        code = part.get("code")
        yield Check(
            name,
            part["status"] == "ok",
            said if code is None else f"{said}: {code}",
            "the API's log has the words",
        )


def _provider(keys: Any) -> Check:
    name = "identity provider"
    try:
        known = keys.known()
    except TabularError as error:
        hint = "TABULAR_OIDC_ISSUER and _CA_FILE; is it reachable from where the service runs?"
        return Check(name, False, worded(error), hint)
    return Check(name, bool(known), f"{keys.issuer} publishes {len(known)} keys", "it needs one")


if __name__ == "__main__":
    sys.exit(main())
