"""``python -m tabular.api.check_directory --user NAME``: try the TABULAR_LDAP_… settings.

Whether a directory is set up right is found out before the first person is refused, and by who
can mend it. No password but the service's own is needed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from tabular.errors import ConfigError, TabularError
from tabular.infra.auth.directory import Directory
from tabular.infra.config import load_settings
from tabular.infra.secrets import Rotating


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 the person would get a role, 1 not."""
    parser = argparse.ArgumentParser(prog="python -m tabular.api.check_directory")
    parser.add_argument("--user", required=True, help="who is looked up")
    options = parser.parse_args(arguments)
    try:
        found = look_up(options.user)
    except TabularError as error:
        reason = getattr(error, "reason", error.code)
        print(f"error: {error}\n  reason: {reason}", file=sys.stderr)
        return 1
    print(json.dumps(found, indent=2, ensure_ascii=False))
    return 0


def look_up(username: str) -> dict[str, object]:
    """What the directory says about a person.

    Raises:
        ConfigError: no directory is configured, or not rightly.
        AccessError: nobody of this name, disabled, or without a role.
        UnavailableError: no server answers, or it refuses the service.
    """
    settings = load_settings()
    configured = settings.directory()
    if configured is None:
        raise ConfigError("no directory is configured", hint="set TABULAR_LDAP_URL")
    secret = Rotating(settings.ldap_bind_password)
    directory = Directory(configured, lambda again: secret.value(again=again))
    try:
        person = directory.look_up(username)
    finally:
        directory.close()
    return {
        "id": person.id,
        "name": person.name,
        "roles": list(person.roles),
        "scopes": sorted(person.scopes),
        "groups": list(person.groups),
    }


if __name__ == "__main__":
    sys.exit(main())
