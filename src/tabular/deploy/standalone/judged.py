"""Settings of the service in a spec, judged by the service's own model before anything runs.

The processes refuse a wrong setting too, but in the middle of a deploy. Files that a setting
names are not looked at: a spec is checked on any machine, and they are on the one it goes to.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from tabular.errors import UsageError
from tabular.infra.config import Settings

# Never used for anything; the model has no default for it, and rightly so.
_ANY_KEY = "0123456789abcdefghijklmnopqrstuvwxyz"


def require_right(given: Mapping[str, str], where: str) -> None:
    """Refuse settings with which the service would not start.

    Args:
        given: texts by name of the setting, lower case, as in ``job_timeout``.
        where: key of the block they stand in.

    Raises:
        UsageError: names the setting and what it takes.
    """
    if not given.get("plans", "{").lstrip().startswith("{"):
        # The path of a file: neither it nor what refers to it can be judged.
        given = {name: text for name, text in given.items() if name not in ("plans", "plan_map")}
    try:
        Settings(secret_key=_ANY_KEY, **given)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            said = str((item.get("ctx") or {}).get("variable") or "").removeprefix("TABULAR_")
            name = str(item["loc"][0]) if item["loc"] else said.lower()
            at = f"{where}.{name}" if name in given else where
            raise UsageError(item["msg"], where=at, hint="see docs/settings.md") from None
