"""The least rights of who deploys: read from what is rendered, printed as a Role, and asked for.

A Role that the chart makes may hold no right that its maker lacks, so its rules are among ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.rendered.rendering import Object
from tabular.errors import ForbiddenError, NotFoundError

ALL = ("create", "delete", "get", "list", "patch", "update", "watch")
_LOOK = ("get", "list", "watch")
# What an engine needs beside what is rendered: history and secrets, the lock, what became of pods.
_ENGINE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("", "secrets", ALL),
    ("", "configmaps", ALL),
    ("coordination.k8s.io", "leases", ALL),
    ("", "persistentvolumeclaims", ("delete", "patch", *_LOOK)),
    ("", "pods", _LOOK),
    ("", "pods/log", ("get",)),
    ("", "events", _LOOK),
    ("", "resourcequotas", _LOOK),
    ("", "limitranges", _LOOK),
    ("apps", "replicasets", _LOOK),
    ("batch", "cronjobs", _LOOK),
    ("batch", "jobs", ALL),
)
# For `doctor` to ask a deployment from within. A deploy does without, so nobody is refused for it.
# Servers ask for `get`, the method of a websocket, and from 1.35 on for `create` too.
INSIDE = ("", "pods/exec", ("create", "get"))
# What a kind needs beside itself: a Route says its host, and whose certificate it shows.
_BESIDE: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "Route": ("route.openshift.io", "routes/custom-host", ("create", "update")),
}
# Plurals of kinds that no server need be asked for; what is not here is an `s` more.
_PLURALS = {
    "Ingress": "ingresses",
    "NetworkPolicy": "networkpolicies",
    "HTTPRoute": "httproutes",
    "Prometheus": "prometheuses",
    "postgresql": "postgresqls",
}
# What the cluster as a whole is asked, where it lets us: none of it is needed.
CLUSTER_WIDE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("", "namespaces", ("get",)),
    ("", "nodes", ("list",)),
    ("", "persistentvolumes", ("list",)),
    ("networking.k8s.io", "ingressclasses", ("list",)),
    ("storage.k8s.io", "storageclasses", ("list",)),
    ("storage.k8s.io", "csistoragecapacities", ("list",)),
)
Rule = dict[str, Any]
_RBAC = "rbac.authorization.k8s.io"


def rules(objects: Iterable[Object], *, home: bool = True) -> list[Rule]:
    """The rules of a Role that lets somebody deploy these objects, look at them and destroy them.

    Args:
        objects: as rendered, of one namespace.
        home: it is the deployment's own namespace, in which the engine works.
    """
    made = tuple(objects)
    found: dict[tuple[str, str], set[str]] = {}
    engine = _ENGINE if home else ()
    beside = [_BESIDE[one["kind"]] for one in made if one["kind"] in _BESIDE]
    for group, plural, verbs in (*engine, *beside, *((*one, ALL) for one in _kinds(made))):
        found.setdefault((group, plural), set()).update(verbs)
    by_verbs: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, plural), several in sorted(found.items()):
        by_verbs.setdefault((group, tuple(sorted(several))), []).append(plural)
    own = [_rule(group, plurals, verbs) for (group, verbs), plurals in by_verbs.items()]
    granted = [
        dict(rule) for one in made if one["kind"] == "Role" for rule in one.get("rules") or ()
    ]
    return [*own, *(rule for rule in granted if not _covered(rule, own))]


def roles(objects: Iterable[Object], name: str, namespace: str, subject: Rule) -> list[Object]:
    """Roles and their bindings, and what may be looked at in the cluster as a whole.

    Args:
        objects: as rendered.
        name: of the deployment.
        namespace: of the deployment.
        subject: who deploys, as a binding names it.
    """
    made, found = tuple(objects), list[Object]()
    title = f"{name}-deployer"
    for space in sorted({namespace, *(one["metadata"]["namespace"] for one in made)}):
        within = [one for one in made if one["metadata"]["namespace"] == space]
        meta = {"name": title, "namespace": space}
        home = space == namespace
        group, plural, verbs = INSIDE
        more = [_rule(group, [plural], verbs)] if home else []
        found.append(_object("Role", meta, rules=[*rules(within, home=home), *more]))
        found.append(_binding("Role", meta, subject))
    wide = {"name": f"{namespace}-{title}"}
    found.append(_object("ClusterRole", wide, rules=cluster_rules()))
    found.append(_binding("ClusterRole", wide, subject))
    return found


def _object(kind: str, meta: Rule, **rest: Any) -> Object:
    return {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": meta, **rest}


def _binding(kind: str, meta: Rule, subject: Rule) -> Object:
    role = {"apiGroup": _RBAC, "kind": kind, "name": meta["name"]}
    return _object(f"{kind}Binding", meta, roleRef=role, subjects=[subject])


def cluster_rules() -> list[Rule]:
    """The rules of a ClusterRole with which a deploy finds out more before it begins."""
    return [_rule(group, [plural], verbs) for group, plural, verbs in CLUSTER_WIDE]


def lacking(
    cluster: Cluster, namespace: str, objects: Iterable[Object], *, home: bool = True
) -> tuple[str, ...]:
    """Rights that these credentials lack, such as ``create apps/deployments``; empty if none.

    One question for all of them; each that the answer has not is asked for by itself, since some
    clusters decide without rules.
    """
    wanted = list(_single(rules(objects, home=home)))
    had = _rules_of(cluster, namespace)
    missing = []
    for group, plural, verb in wanted:
        if any(_grants(rule, group, plural, verb) for rule in had):
            continue
        name, _, sub = plural.partition("/")
        if not cluster.may(verb, f"{group}/v1" if group else "v1", name, namespace, sub):
            missing.append(f"{verb} {group}/{plural}".replace(" /", " "))
    return tuple(missing)


def _rules_of(cluster: Cluster, namespace: str) -> list[Mapping[str, Any]]:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "metadata": {"name": ""},
        "spec": {"namespace": namespace},
    }
    try:
        told = cluster.create(review)
    except (ForbiddenError, NotFoundError):
        return []
    return list((told.get("status") or {}).get("resourceRules") or ())


def _kinds(objects: Iterable[Object]) -> Iterator[tuple[str, str]]:
    for one in objects:
        yield address(one)


def address(one: Object) -> tuple[str, str]:
    """Group and plural of an object's kind, as rights and quotas name it."""
    kind = one["kind"]
    return one["apiVersion"].rpartition("/")[0], _PLURALS.get(kind, f"{kind.lower()}s")


def _rule(group: str, plurals: Iterable[str], verbs: Iterable[str]) -> Rule:
    return {"apiGroups": [group], "resources": sorted(plurals), "verbs": list(verbs)}


def _single(listed: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for rule in listed:
        for group in rule["apiGroups"]:
            for plural in rule["resources"]:
                for verb in rule["verbs"]:
                    yield group, plural, verb


def _grants(rule: Mapping[str, Any], group: str, plural: str, verb: str) -> bool:
    if rule.get("resourceNames"):
        return False
    return all(
        value in rule.get(key, ()) or "*" in rule.get(key, ())
        for key, value in (("apiGroups", group), ("resources", plural), ("verbs", verb))
    )


def _covered(rule: Mapping[str, Any], by: Iterable[Mapping[str, Any]]) -> bool:
    """Whether other rules give all that a rule gives."""
    others = tuple(by)
    return all(any(_grants(one, *right) for one in others) for right in _single([rule]))
