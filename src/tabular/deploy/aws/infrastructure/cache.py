"""The cache: ElastiCache over TLS with a token, for what all API processes count together.

It is not kept when the deployment goes: nothing is in it that cannot be made anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.infrastructure.security.generated import secret
from tabular.deploy.aws.infrastructure.unmade import nothing_of, said_in_vain
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, att, ref, resource, sub
from tabular.deploy.spec.model import Cache
from tabular.deploy.spec.quantities import format_size
from tabular.deploy.stack import Reduction
from tabular.errors import UnsupportedError, UsageError

PORT = 6379
TOKEN_LENGTH = 48  # ElastiCache takes 16 to 128 characters
_DEFAULTS = {"valkey": "8.0", "redis": "7.1"}
_STRICT = ("3.", "4.", "5.", "6.")
_NODE = re.compile(r"cache\.[a-z][0-9][a-z0-9]*\.[a-z0-9]+")
_VERSION = re.compile(r"([0-9])\.([0-9]{1,2})(\.[0-9]{1,2})?")
# GiB of memory, from small to large. Source: "Supported node types" in the user guide of
# ElastiCache, as of November 2026; a quarter of it is reserved for snapshots and failover.
NODES: Mapping[str, float] = {
    "cache.t4g.micro": 0.5,
    "cache.t4g.small": 1.37,
    "cache.t4g.medium": 3.09,
    "cache.m7g.large": 6.38,
    "cache.r7g.large": 13.07,
    "cache.r7g.xlarge": 26.32,
    "cache.r7g.2xlarge": 52.82,
    "cache.r7g.4xlarge": 105.81,
    "cache.r7g.8xlarge": 209.55,
    "cache.r7g.12xlarge": 317.77,
    "cache.r7g.16xlarge": 419.09,
}
_USUAL, _USUAL_IN_PRODUCTION = "cache.t4g.micro", "cache.t4g.small"


def resources(wanted: Wanted) -> Part:
    """The group of servers, its subnets and its token; nothing where there is no server.

    Raises:
        UsageError: a node type or version that is none, or two sizes.
        UnsupportedError: a version, or a size, that ElastiCache does not have.
    """
    if wanted.cache_engine is None:
        return {}
    return {
        "CacheSecret": secret(wanted, "Token of the cache.", TOKEN_LENGTH),
        "CacheSubnetGroup": resource(
            "AWS::ElastiCache::SubnetGroup",
            {"Description": "Private subnets.", "SubnetIds": wanted.private_subnets},
        ),
        "Cache": _cache(wanted, wanted.cache_engine),
    }


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """What is said of a cache that is not made, and what its copies are for."""
    cache = wanted.spec.cache
    if not wanted.served:
        yield from nothing_of("cache", cache, wanted.kind)
    elif cache is not None and cache.type == "memory":
        yield from _of_memory(cache, wanted.api.maximum)
    elif cache is not None and cache.replicas:
        yield Reduction(
            "spec.cache.replicas",
            str(cache.replicas),
            "copies that take over when the first server fails",
            "the service itself reads and writes at the first one",
        )


def _of_memory(cache: Cache, most: int) -> Iterator[Reduction]:
    if most > 1:
        yield Reduction(
            "spec.cache.type",
            "one rate limit for a key",
            f"each of {most} tasks counts alone, so up to that many times",
            "a cache in memory is not shared; set cache.type: valkey for one count",
        )
    yield from said_in_vain(
        "cache", cache, given="memory of each task", reason="there is no server", read=("type",)
    )


def outputs(wanted: Wanted) -> Mapping[str, tuple[Any, str]]:
    """Where the cache is."""
    if wanted.cache_engine is None:
        return {}
    return {"cache": (att("Cache", "PrimaryEndPoint.Address"), "Host of the cache.")}


def _cache(wanted: Wanted, engine: str) -> Document:
    asked = wanted.spec.cache or Cache()
    version = _version(asked.version, engine)
    servers = 1 + asked.replicas
    if asked.ha or wanted.ha:
        servers = max(2, servers)
    return resource(
        "AWS::ElastiCache::ReplicationGroup",
        {
            "ReplicationGroupDescription": "What the processes of the API count together.",
            "Engine": engine,
            "EngineVersion": version,
            "CacheNodeType": _node_type(asked, production=wanted.production),
            "NumCacheClusters": servers,
            "AutomaticFailoverEnabled": servers > 1,
            "MultiAZEnabled": servers > 1,
            # What it is anyway, and said only of more servers than one: a group of one cannot be
            # made such a group, since CloudFormation turns the failover on before there is a
            # second server. Saying this has the group made anew, and nothing in it is missed.
            "NetworkType": "ipv4" if servers > 1 else None,
            "TransitEncryptionEnabled": True,
            # Redis before 7 knows no other way than this one, and refuses to be told.
            "TransitEncryptionMode": None if version.startswith(_STRICT) else "required",
            "AtRestEncryptionEnabled": True,
            "KmsKeyId": wanted.key_arn,
            "AuthToken": sub("{{resolve:secretsmanager:${CacheSecret}}}"),
            "Port": PORT,
            "CacheSubnetGroupName": ref("CacheSubnetGroup"),
            "SecurityGroupIds": [att("CacheSecurityGroup", "GroupId")],
            "AutoMinorVersionUpgrade": True,
        },
    )


def _version(said: str | None, engine: str) -> str:
    if said is None:
        return _DEFAULTS[engine]
    found = _VERSION.fullmatch(said)
    if found is None:
        raise UsageError(
            f"{said!r} is no version of {engine}",
            where="spec.cache.version",
            hint=f'version: "{_DEFAULTS[engine]}"',
        )
    number = int(found[1]), int(found[2])
    # ElastiCache has Redis OSS up to 7.1; Valkey goes on from 7.2.
    if (engine == "redis" and number > (7, 1)) or (engine == "valkey" and number < (7, 2)):
        raise UnsupportedError(
            f"ElastiCache has no {engine} {said}",
            where="spec.cache.version",
            hint="type: redis is up to 7.1, type: valkey from 7.2",
        )
    return said


def _node_type(asked: Cache, *, production: bool) -> str:
    named, size = asked.instance_class, asked.size
    if named is not None and size is not None:
        raise UsageError(
            "instance_class and size say the same thing twice",
            where="spec.cache.instance_class",
            hint="keep one of them",
        )
    if named is not None:
        if not _NODE.fullmatch(named):
            raise UsageError(
                f"{named!r} is no node type of ElastiCache",
                where="spec.cache.instance_class",
                hint="such as cache.t4g.small",
            )
        return named
    if size is None:
        return _USUAL_IN_PRODUCTION if production else _USUAL
    for name, gib in NODES.items():
        if gib * 2**30 >= size:
            return name
    raise UnsupportedError(
        f"no node has {format_size(size)} of memory",
        where="spec.cache.size",
        hint=f"at most {list(NODES.values())[-1]:g}Gi",
    )
