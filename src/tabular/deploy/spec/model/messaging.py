"""`spec.cache` and `spec.queue`: both optional, since one machine does without servers."""

from __future__ import annotations

from typing import Literal

from tabular.deploy.spec.model.amounts import Duration, Size
from tabular.deploy.spec.model.base import Block, Version, Word, key
from tabular.deploy.spec.secret import Secret


class Cache(Block):
    """A cache shared by all instances."""

    type: Literal["redis", "valkey", "memcached", "memory"] = key(
        "redis", "Which cache; the provider's managed one of this kind.", "redis"
    )
    version: Version | None = key(None, "Version, in quotes.", "7.2")
    size: Size | None = key(None, "Memory of the cache.", "2Gi")
    ha: bool = key(False, "Survive the loss of one cache server.", True)
    replicas: int = key(0, "Copies to read from.", 1, ge=0, le=5)
    instance_class: Word | None = key(None, "The vendor's name of the machine.", "cache.r6g.large")
    password: Secret | None = key(None, "Generated if unset.", {"secretRef": "env:CACHE_PASSWORD"})


class Queue(Block):
    """What carries the ids of jobs to the workers."""

    type: Literal["native", "sqs", "pubsub", "service-bus", "rabbitmq", "redis", "filesystem"] = (
        key("native", "`native` is the provider's own queue.", "sqs")
    )
    version: Version | None = key(None, "Version, in quotes, where it is a server.", "4.0")
    ha: bool = key(False, "Survive the loss of one queue server.", True)
    size: Size | None = key(None, "Disk, where it is a server.", "10Gi")
    visibility_timeout: Duration | None = key(None, "How long a taken message stays hidden.", "5m")
    retention: Duration | None = key(None, "How long an untaken message is kept.", "4d")
    max_attempts: int | None = key(
        None, "Deliveries before a message goes to the dead-letter queue.", 3, ge=1, le=1000
    )
    password: Secret | None = key(None, "Generated if unset.", {"secretRef": "env:QUEUE_PASSWORD"})
