"""A kubeconfig read as kubectl and Helm read it: all three mean the same cluster and person.

Credentials are the client library's to get. What it does not say is said here: of several files the
first that names a current context has the word, whoever is acted for is acted for, and credentials
that could not be had are an error, not an anonymous question. Source: Kubernetes, "Organizing
Cluster Access Using kubeconfig Files".
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tabular.errors import PreflightError, TabularError, UsageError, nearest
from tabular.infra.optional import require

NEEDS = "deployments on Kubernetes"
_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# What tells the server who asks; the library knows more than one way to each.
_WAYS = (
    "exec", "auth-provider", "token", "tokenFile", "username",
    "client-certificate", "client-certificate-data",
)  # fmt: skip
_PATHS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


@dataclass(frozen=True, slots=True)
class Access:
    """How a cluster is reached.

    Attributes:
        configuration: of the client library.
        namespace: that the context names.
        acting: headers that say for whom is acted; empty if for oneself.
        merged: what several files say together, as JSON; None where one is named or none.
    """

    configuration: Any
    namespace: str
    acting: tuple[tuple[str, str], ...] = ()
    merged: str | None = None


def read(kubeconfig: str | None, context: str | None) -> Access:
    """Read the credentials; the cluster is not asked yet.

    Args:
        kubeconfig: file; those of ``KUBECONFIG``, ``~/.kube/config`` or the pod's account if None.
        context: within it; the current one if None.

    Raises:
        UsageError: no such file or context.
        PreflightError: there is no kubeconfig, it cannot be used, or credentials cannot be had.
    """
    client = require("kubernetes.client", extra="onprem", needed_by=NEEDS)
    paths = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    files = [Path(one).expanduser() for one in paths.split(os.pathsep) if one]
    configuration = client.Configuration()
    if any(one.exists() for one in files):
        return _of_files(configuration, paths, [one for one in files if one.exists()], context)
    if kubeconfig is None and context is None and (_POD / "token").exists():
        config = require("kubernetes.config", extra="onprem", needed_by=NEEDS)
        config.load_incluster_config(client_configuration=configuration)
        return Access(configuration, (_POD / "namespace").read_text().strip())
    raise _none(paths, named=kubeconfig is not None)


def _of_files(configuration: Any, paths: str, files: list[Path], context: str | None) -> Access:
    library = require("kubernetes.config.kube_config", extra="onprem", needed_by=NEEDS)
    yaml = require("yaml", extra="onprem", needed_by=NEEDS)
    try:
        merged = library.KubeConfigMerger(os.pathsep.join(map(str, files)))
        known = {one["name"]: one["context"] for one in merged.config["contexts"].value}
        users = {one["name"]: one.value.get("user") for one in merged.config["users"].value}
        said = (merged.config_files[str(one)].get("current-context") for one in files)
        current = next(filter(None, said), None)
        named = context or current
        if named is None or named not in known:
            raise _no_context(paths, named, known, given=context is not None)
        chosen = known[named].value
        if chosen.get("user") and chosen["user"] not in users:
            raise _unusable(
                paths, f"context {named} names a user {chosen['user']} that is not there"
            )
        loader = library.KubeConfigLoader(
            config_dict=merged.config, active_context=named, config_base_path=None
        )
        with _heard() as said_of_it:
            loader.load_and_set(configuration)
    # The library takes nearly everything for granted that a file may say otherwise.
    except library.ConfigException as error:
        # It may name an entry by all that is in it, secrets and all.
        raise _unusable(paths, str(error).partition("/{")[0]) from None
    except (yaml.YAMLError, OSError, ValueError) as error:
        raise _unusable(paths, str(error)) from error
    except (AttributeError, KeyError, TypeError) as error:
        raise _unusable(paths, "it is not in the form of a kubeconfig") from error
    except TabularError:
        raise
    except Exception as error:  # of an auth-provider, whose own library it calls
        raise _no_credentials("the auth-provider", f": {error}", paths) from error
    if not configuration.host:
        raise _unusable(paths, f"the cluster of context {named} has no server")
    user = users.get(chosen.get("user")) or {}
    _require_credentials(configuration, user, paths, said_of_it)
    text = _text(merged.config, named) if os.pathsep in paths else None
    return Access(configuration, chosen.get("namespace") or "default", _acting(user), text)


def _text(merged: Any, current: str) -> str:
    """Several files as one, which says its paths from the root."""
    lists = {
        name: [_whole(one.value, Path(one.path).parent.resolve()) for one in merged[name].value]
        for name in ("clusters", "contexts", "users")
    }
    return json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": current, **lists})


def _whole(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    found = dict[str, Any]()
    for name, value in entry.items():
        path = name in _PATHS or (name == "command" and os.sep in str(value))
        if isinstance(value, Mapping):
            found[name] = _whole(value, folder)
        else:
            found[name] = str(folder / value) if path else value
    return found


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What the library logs within the block; errors of plugins it tells no other way."""
    said = list[str]()
    listener = logging.Handler(logging.ERROR)
    listener.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(listener)
    try:
        yield said
    finally:
        logging.getLogger().removeHandler(listener)


def _require_credentials(
    configuration: Any, user: Mapping[str, Any], paths: str, said: list[str]
) -> None:
    """Refuse to ask anonymously when the kubeconfig says who asks.

    Raises:
        PreflightError: what it says gave no credentials.
    """
    way = next((one for one in _WAYS if user.get(one)), None)
    if way is None or configuration.api_key or configuration.cert_file:
        return
    why = "".join(f": {one.strip()}" for one in said[:1])
    what = f"the program {user['exec'].get('command')}" if way == "exec" else f"the {way}"
    raise _no_credentials(what, why, paths)


def _no_credentials(what: str, why: str, paths: str) -> PreflightError:
    return PreflightError(
        f"{what} of the kubeconfig gave no credentials{why}",
        where=paths,
        hint="sign in again as your cluster has it (`kubectl get --raw /readyz` has to work), then "
        "run the command again; it goes on",
        code="preflight.credentials",
    )


def _acting(user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Headers of Kubernetes' "User impersonation"."""
    extra = (user.get("as-user-extra") or {}).items()
    found = [
        ("Impersonate-User", user.get("as")),
        ("Impersonate-Uid", user.get("as-uid")),
        *(("Impersonate-Group", one) for one in user.get("as-groups") or ()),
        *((f"Impersonate-Extra-{quote(key)}", one) for key, values in extra for one in values),
    ]
    return tuple((header, str(value)) for header, value in found if value)


def _no_context(
    paths: str, named: str | None, known: Mapping[str, Any], *, given: bool
) -> TabularError:
    listed = f"known: {', '.join(sorted(known)) or 'none'}"
    if given and named is not None:
        return UsageError(
            f"the kubeconfig has no context {named!r}",
            where=paths,
            hint=nearest(named, known) + listed,
            code="usage.context",
        )
    said = f"its current context {named!r} is not there" if named else "it has no current context"
    return _unusable(paths, said, f"--context NAME; {listed}")


def _unusable(paths: str, why: str, hint: str | None = None) -> PreflightError:
    return PreflightError(
        f"the kubeconfig cannot be used: {why}",
        where=paths,
        hint=hint or "`kubectl config view --minify` with the same file shows what it says",
        code="preflight.kubeconfig",
    )


def _none(paths: str, *, named: bool) -> TabularError:
    hint = "--kubeconfig FILE, or KUBECONFIG; whoever runs the cluster gives you one"
    if named:
        said, code = "there is no such kubeconfig", "usage.kubeconfig"
        return UsageError(said, where=paths, hint=hint, code=code)
    said, code = "there is no kubeconfig", "preflight.kubeconfig"
    return PreflightError(said, where=paths, hint=hint, code=code)
