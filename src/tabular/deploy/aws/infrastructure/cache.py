"""The cache: ElastiCache over TLS with a token, for what all API processes count together.

It is not kept when the deployment goes: nothing is in it that cannot be made anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.document import Document, Part, att, ref, resource, sub
from tabular.deploy.aws.infrastructure.security.generated import secret
from tabular.deploy.aws.wanted import Wanted
from tabular.deploy.stack import Reduction

PORT = 6379
TOKEN_LENGTH = 48
_VERSIONS = {"valkey": "8.0", "redis": "7.1"}


def resources(wanted: Wanted) -> Part:
    """The group of servers, its subnets and its token; nothing where there is no server."""
    if wanted.cache_engine is None:
        return {}
    return {
        "CacheSecret": secret(wanted, "Token of the cache.", TOKEN_LENGTH),
        "CacheSubnetGroup": resource(
            "AWS::ElastiCache::SubnetGroup",
            {"Description": "Private subnets.", "SubnetIds": wanted.private_subnets},
        ),
        "Cache": _cache(wanted),
    }


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """Nothing is given only in part."""
    yield from ()


def outputs(wanted: Wanted) -> Mapping[str, tuple[Any, str]]:
    """Where the cache is."""
    if wanted.cache_engine is None:
        return {}
    return {"CacheAddress": (att("Cache", "PrimaryEndPoint.Address"), "Host of the cache.")}


def _cache(wanted: Wanted) -> Document:
    engine = str(wanted.cache_engine)
    return resource(
        "AWS::ElastiCache::ReplicationGroup",
        {
            "ReplicationGroupDescription": "Rate limits and progress.",
            "Engine": engine,
            "EngineVersion": _VERSIONS[engine],
            "CacheNodeType": "cache.t4g.micro",
            "NumCacheClusters": 1,
            "AutomaticFailoverEnabled": False,
            "TransitEncryptionEnabled": True,
            "AtRestEncryptionEnabled": True,
            "KmsKeyId": wanted.key_arn,
            "AuthToken": sub("{{resolve:secretsmanager:${CacheSecret}}}"),
            "Port": PORT,
            "CacheSubnetGroupName": ref("CacheSubnetGroup"),
            "SecurityGroupIds": [att("CacheSecurityGroup", "GroupId")],
            "AutoMinorVersionUpgrade": True,
        },
    )
