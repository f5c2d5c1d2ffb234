"""Which secrets rendered objects need, read from the objects themselves.

The engine makes what is missing and the exports say how to make it by hand. Both ask here, so a
key that a template begins to use is known to both without a list that somebody has to keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tabular.deploy.onprem.names import COMPONENT
from tabular.deploy.onprem.operators.minio import CONFIGURATION

Object = Mapping[str, Any]

# Characters of a generated value; S3 has access keys of 20.
LENGTH, LENGTHS = 48, {"storage-access-key": 20}

# Whose password a key is: generated where that server is among the objects, else the user's own.
_SERVERS: Mapping[str, frozenset[str]] = {
    "database-password": frozenset({"postgresql", "mysql"}),
    "database-replication-password": frozenset({"postgresql", "mysql"}),
    "storage-access-key": frozenset({"minio"}),
    "storage-secret-key": frozenset({"minio"}),
    "storage-password": frozenset({"minio"}),
    "cache-password": frozenset({"redis"}),
    "queue-password": frozenset({"rabbitmq", "redis"}),
    "grafana-password": frozenset({"grafana"}),
}
# By which cert-manager makes the certificate of an Ingress.
_ISSUERS = frozenset({"cert-manager.io/issuer", "cert-manager.io/cluster-issuer"})
# How the Zalando operator calls the secrets of its users.
_ZALANDO = ".credentials.postgresql.acid.zalan.do"
# Nobody's but ours: any value does, as long as it stays.
_OURS = frozenset({"secret-key", "admin-key", "backup-passphrase"})


@dataclass(frozen=True, slots=True)
class Needed:
    """One key of a secret.

    Attributes:
        key: its name.
        generated: any text does; else it is for the user to say.
        length: characters of a generated one.
    """

    key: str
    generated: bool
    length: int


def needed_secrets(objects: Iterable[Object], secret: str) -> tuple[Needed, ...]:
    """The keys of one secret that the objects cannot do without, sorted.

    Args:
        objects: as they are rendered; a secret among them is no reference to it.
        secret: its name, as `names.secret_name` says.
    """
    made = tuple(objects)
    there = {component_of(one) for one in made}
    keys = {key for one in made for name, key in _references(one) if name == secret and key}
    return tuple(Needed(key, _is_generated(key, there), length_of(key)) for key in sorted(keys))


def other_secrets(objects: Iterable[Object], secret: str) -> dict[str, tuple[str, ...]]:
    """Further secrets that must be there: their names, with the keys that are asked of each.

    No keys where the whole of it is used, such as by an ingress or to pull images. What an operator
    makes for one of the objects is not among them.
    """
    made = tuple(objects)
    own = {name for one in made for name in _makes(one)} | {secret}
    found: dict[str, set[str]] = {}
    for one in made:
        for name, key in _references(one):
            if name not in own and not name.endswith(_ZALANDO):
                found.setdefault(name, set()).update({key} if key else ())
    return {name: tuple(sorted(found[name])) for name in sorted(found)}


def typed(namespace: str, secret: str, keys: Iterable[str], *, there: bool) -> str:
    """What to type to put keys into a secret, each from a file: no value in a shell's history.

    Args:
        namespace: where.
        secret: its name.
        keys: what it lacks.
        there: it exists, and only these are missing.
    """
    if not there:
        files = "".join(f" --from-file={key}=FILE" for key in keys)
        return f"kubectl create secret generic {secret} -n {namespace}{files}"
    data = ",".join(f'\\"{key}\\":\\"$(base64 -w0 FILE)\\"' for key in keys)
    return f'kubectl patch secret {secret} -n {namespace} -p "{{\\"data\\":{{{data}}}}}"'


def operator_of(objects: Iterable[Object], secret: str) -> str:
    """The one of the objects by which an operator fills a secret from a store; "" for none."""
    for one in objects:
        if one["kind"] == "ExternalSecret" and secret in _makes(one):
            return f"ExternalSecret/{one['metadata']['name']}"
    return ""


def length_of(key: str) -> int:
    """How many characters a generated value has."""
    return LENGTHS.get(key, LENGTH)


def component_of(one: Object) -> str:
    """The component that an object belongs to, "" for none."""
    labels: Mapping[str, str] = one.get("metadata", {}).get("labels") or {}
    return labels.get(COMPONENT, "")


def _is_generated(key: str, there: set[str]) -> bool:
    return key in _OURS or bool(_SERVERS.get(key, frozenset()) & there)


def _makes(one: Object) -> Iterator[str]:
    """The secrets that an object is, or that an operator makes for it."""
    name, spec = one["metadata"]["name"], one.get("spec") or {}
    match f"{one.get('apiVersion', '').partition('/')[0]} {one.get('kind')}":
        case "v1 Secret" | "bitnami.com SealedSecret":
            yield name
        case "cert-manager.io Certificate":
            yield spec["secretName"]
        case "external-secrets.io ExternalSecret":
            yield (spec.get("target") or {}).get("name", name)
        case "postgresql.cnpg.io Cluster":
            yield f"{name}-app"
        case "networking.k8s.io Ingress" if _ISSUERS & set(
            one["metadata"].get("annotations") or ()
        ):
            yield from (tls["secretName"] for tls in spec.get("tls") or ())


def _references(value: Any, inside: str = "") -> Iterator[tuple[str, str]]:
    """Names of secrets and keys in them, wherever an object refers to any.

    Optional ones are left out: nothing waits for them.
    """
    if isinstance(value, list | tuple):
        for one in value:
            yield from _references(one, inside)
    elif isinstance(value, Mapping) and value.get("optional") is not True:
        yield from _named(value, inside)
        for key, one in value.items():
            yield from _references(one, key)


def _named(value: Mapping[str, Any], inside: str) -> Iterator[tuple[str, str]]:
    """What a mapping itself refers to; `inside` is the key that it stands under."""
    name = value.get("name")
    if isinstance(value.get("secretName"), str):  # a volume, the TLS of an ingress
        yield from _items(value["secretName"], value)
    elif not isinstance(name, str) or "apiVersion" in value:
        return
    elif inside in {"secret", "secretRef"} and "key" not in value:
        yield from _items(name, value)  # a projected volume, all of an environment
    elif inside in {"imagePullSecrets"}:
        yield name, ""
    elif inside == "configuration":  # of a MinIO Tenant
        yield name, CONFIGURATION
    elif isinstance(value.get("key"), str) and inside.lower().endswith(("secretkeyref", "secret")):
        yield name, value["key"]


def _items(name: str, value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    items = value.get("items") or ()
    yield from ((name, one["key"]) for one in items)
    if not items:
        yield name, ""
