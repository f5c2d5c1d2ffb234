"""The Secret of a deployment: made once, kept through upgrades, rollbacks and a destroy.

Which keys it has is read from the rendered objects. A key that is there is never changed, since a
server keeps the password that it began with; but what opens somebody else's server follows the
spec. Where a controller makes the Secret (Sealed Secrets, External Secrets) nothing is written into
it: the controller would take it out again, and with it the password of a database. Values are read
at the moment of an apply, and are in no plan, log or error.
"""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Iterable, Mapping
from typing import Any

from tabular.deploy.onprem.cluster import marks
from tabular.deploy.onprem.cluster.session import Cluster, Object
from tabular.deploy.onprem.names import secret_name
from tabular.deploy.onprem.operators.minio import CONFIGURATION, configuration
from tabular.deploy.plan import Action, Change, PropertyChange
from tabular.deploy.target import Target
from tabular.errors import PreflightError, UnsupportedError

from .given import Given, GivenSecret
from .owned import secret_of
from .secret_keys import Needed, needed_secrets, operator_of, typed

_LETTERS = string.ascii_letters + string.digits
_HIDDEN = "(secret)"
ADMIN_KEY = "admin-key"
_STORE_KEYS = ("storage-access-key", "storage-secret-key")


class Vault:
    """Makes and keeps the Secrets of deployments.

    Args:
        cluster: where.
        given: what specs gave.
    """

    def __init__(self, cluster: Cluster, given: Given) -> None:
        self._cluster = cluster
        self._given = given

    def read(self, target: Target) -> Object | None:
        """The Secret; None if there is none."""
        return self._cluster.get("v1", "Secret", secret_name(target.name), target.region)

    def preview(self, target: Target, objects: Iterable[Mapping[str, Any]]) -> Change:
        """What an apply would do to it.

        Raises:
            PreflightError: a key that only the user can give is nowhere, or a controller that
                makes the Secret leaves one out.
        """
        rendered = tuple(objects)
        found, needed = self.read(target), needed_secrets(rendered, secret_name(target.name))
        there, given = _keys(found), self._given.of(target)
        missing = [one for one in needed if one.key not in there]
        said = secret_of(rendered, secret_name(target.name))
        if maker := self._maker(target, rendered, found):
            self._require_made(target, maker, found, [one.key for one in missing])
            return Change(Action.NOOP, said.id, said.type, stateful=True)
        for one in missing:
            self._require_known(target, one, given, found)
        follows = [k for k, one in given.items() if one.replaces and one.known and k in there]
        added = [PropertyChange(f"data.{one.key}", None, _HIDDEN) for one in missing]
        changed = [
            PropertyChange(f"data.{key}", _HIDDEN, "(secret, another one)")
            for key in sorted(follows)
            if found is not None and _value(found, key) != given[key].read().get_secret_value()
        ]
        properties = tuple(added + changed)
        action = Action.UPDATE if properties else Action.NOOP
        if found is None:
            action = Action.CREATE
        return Change(action, said.id, said.type, properties, stateful=True)

    def ensure(self, target: Target, objects: Iterable[Mapping[str, Any]]) -> bool:
        """Make it, or add what is missing.

        Returns:
            Whether it is new.

        Raises:
            ConfigError: what the spec refers to cannot be read.
            PreflightError: a key that only the user can give is nowhere.
        """
        rendered = tuple(objects)
        found = self.read(target)
        if self._maker(target, rendered, found):
            self.preview(target, rendered)
            return False
        there, given = _keys(found), self._given.of(target)
        values: dict[str, str] = {}
        composed = False
        for one in needed_secrets(rendered, secret_name(target.name)):
            source = given.get(one.key)
            if one.key in there:
                if source is None or not (source.replaces and source.known):
                    continue
                values[one.key] = source.read().get_secret_value()
            elif source is not None:
                values[one.key] = source.read().get_secret_value()
            elif one.key == CONFIGURATION:
                composed = True
            else:
                self._require_known(target, one, given, found)
                values[one.key] = "".join(secrets.choice(_LETTERS) for _ in range(one.length))
        if composed:
            # Its two keys come after it: by now they are there, or are among the new ones.
            pair = (values.get(key) or _value(found or {}, key) for key in _STORE_KEYS)
            values[CONFIGURATION] = configuration(*pair)
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        name = secret_name(target.name)
        if found is None:
            meta = marks.own_metadata(target, name, marks.SECRETS)
            self._cluster.create(
                {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data}
            )
        elif data:
            self._cluster.merge("v1", "Secret", name, target.region, {"data": data})
        return found is None

    def drop(self, target: Target) -> bool:
        """Delete it, if it is the engine's own."""
        found = self.read(target)
        if found is None or not marks.is_own(found, target):
            return False
        return self._cluster.delete(
            "v1", "Secret", secret_name(target.name), target.region, uid=found["metadata"]["uid"]
        )

    def hand_out(self, target: Target, *, only_first: bool) -> str | None:
        """The administrator's key; None if it was handed out before, and only the first counts.

        Raises:
            UnsupportedError: a further key was asked for, or there is none.
        """
        found, name = self.read(target), secret_name(target.name)
        read = (
            f"kubectl -n {target.region} get secret {name} "
            f"-o jsonpath='{{.data.{ADMIN_KEY}}}' | base64 -d"
        )
        if not only_first:
            raise UnsupportedError(
                "further keys are made by the service itself",
                where=f"{target.region}/{name}",
                hint=f"POST /v1/keys with the administrator's key; to read that one: {read}",
            )
        if found is None or ADMIN_KEY not in _keys(found) or marks.maker(found):
            return None  # who gave it to a controller has it
        if marks.annotation(found, marks.HANDED_OUT):
            return None
        when = self._cluster.now().isoformat(timespec="seconds")
        patch = {"metadata": {"annotations": {marks.HANDED_OUT: when}}}
        self._cluster.merge("v1", "Secret", name, target.region, patch)
        return _value(found, ADMIN_KEY)

    def _maker(
        self, target: Target, objects: Iterable[Mapping[str, Any]], found: Object | None
    ) -> str:
        """What a controller makes the Secret from, "" if none does."""
        by_store = operator_of(objects, secret_name(target.name))
        return by_store or ("" if found is None else marks.maker(found))

    def _require_made(
        self, target: Target, maker: str, found: Object | None, missing: list[str]
    ) -> None:
        """Be sure that a controller's Secret has all, and what the spec gives besides.

        One that is not there yet is made when the objects are applied: pods wait for it.
        """
        if found is None:
            return
        name = secret_name(target.name)
        if missing:
            raise PreflightError(
                f"{maker} makes the Secret, and it has no {', '.join(missing)}",
                where=f"{target.region}/{name}",
                hint="add them there: what a deploy would put beside them, the controller takes "
                "out again",
                code="preflight.secret",
            )
        for key, one in self._given.of(target).items():
            if key not in _keys(found) or not (one.replaces and one.known):
                continue
            if _value(found, key) != one.read().get_secret_value():
                raise PreflightError(
                    f"the spec gives another {key} than {maker}, which makes the Secret",
                    where=one.path,
                    hint=f"change it there, and name it in the spec: k8s:{name}/{key}",
                    code="preflight.secret",
                )

    def _require_known(
        self,
        target: Target,
        needed: Needed,
        given: Mapping[str, GivenSecret],
        found: Object | None,
    ) -> None:
        if needed.generated or needed.key in given or needed.key == CONFIGURATION:
            return
        name = secret_name(target.name)
        say = typed(target.region or "", name, [needed.key], there=found is not None)
        raise PreflightError(
            f"the deployment needs the secret {needed.key!r}, and neither the spec nor the "
            "cluster has it",
            where=f"{target.region}/{name}",
            hint=f"give it in the spec, or add it: {say}",
            code="preflight.secret",
        )


def _keys(found: Object | None) -> frozenset[str]:
    return frozenset((found or {}).get("data") or {})


def _value(found: Object, key: str) -> str:
    return base64.b64decode(found["data"][key]).decode()
