"""Specs that together ask for everything that AWS can give, each by a name that a test can show.

What a random spec reaches only by luck is here on purpose: every kind of compute, every store in
its rarer forms, every way of being reached, and each pair of options that changes what the other
means.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from tabular.deploy.stack import Stack
from tests.deploy.aws.made import stack_of

ACCOUNT = "111122223333"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/0f1e2d3c-0000-4000-8000-000000000000"
REPLICA_KEY = KEY.replace("eu-west-1", "us-east-1")
CERTIFICATE = f"arn:aws:acm:eu-west-1:{ACCOUNT}:certificate/0f1e2d3c-0000-4000-8000-00000000000a"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
ECR_IMAGE = {"repository": f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/tabular", "tag": "1.0.0"}
NETWORK = {
    "network": "vpc-0a1b2c3d4e5f67890",
    "subnets": ["subnet-0a1b2c3d4e5f67891", "subnet-0a1b2c3d4e5f67892"],
}
PUBLIC = {"public_subnets": ["subnet-0a1b2c3d4e5f67893", "subnet-0a1b2c3d4e5f67894"]}
OFF_HOURS = [
    {"name": "evening", "cron": "0 20 * * 1-5", "timezone": "Europe/Berlin", "instances": 1},
    {
        "name": "morning",
        "cron": "30 6 * * MON-FRI",
        "timezone": "Europe/Berlin",
        "min_instances": 2,
        "max_instances": 8,
    },
]
SCALING = {"cpu_target": 60, "memory_target": 75, "concurrency": 40, "cooldown": "5m"}
LIFECYCLE = {"transition_to_ia": 30, "transition_to_glacier": 90, "expire": "365d"}
WATCHED = {
    "enabled": True,
    "detailed": True,
    "log_retention": 90,
    "notify": ["ops@example.com", "https://alerts.example.com/hook"],
    "tracing": True,
}

SPECS: Mapping[str, Mapping[str, Any]] = {
    "nothing": {},
    "fargate": {
        "environment": "production",
        "ha": True,
        "compute": {
            "type": "ecs-fargate",
            "instances": 3,
            "min_instances": 2,
            "max_instances": 10,
            "workers": 2,
            "cpu": 4,
            "memory": "16Gi",
            "disk": "100Gi",
            "gpu": "optional",
            "availability_zones": 3,
            "autoscaling": SCALING,
            "spot": {"share": 60, "on_demand_base": 2},
            "schedules": OFF_HOURS,
        },
        "storage": {
            "type": "s3",
            "size": "1Ti",
            "replication": 3,
            "versioning": True,
            "lifecycle": LIFECYCLE,
        },
        "database": {
            "type": "postgresql",
            "version": "16",
            "size": "200Gi",
            "ha": True,
            "instance_class": "db.m7g.large",
            "backup_retention": 30,
            "read_replicas": 2,
            "name": "synthdata",
            "username": "synth",
        },
        "cache": {"type": "valkey", "version": "8.0", "size": "2Gi", "ha": True, "replicas": 2},
        "queue": {
            "type": "sqs",
            "ha": True,
            "visibility_timeout": "10m",
            "retention": "7d",
            "max_attempts": 3,
        },
        "monitoring": WATCHED,
        "networking": {
            "domain": "data.example.com",
            "certificate": CERTIFICATE,
            "dns": {"provider": "route53", "zone": "example.com", "health_checks": True},
            "waf": True,
            "cidr": "10.50.0.0/16",
        },
        "backup": {"enabled": True, "schedule": "0 2 * * *", "retention": "90d"},
        "security": {"deletion_protection": True},
        "policy": {"monthly_budget": 2000},
    },
    "fargate without a way out": {
        "compute": {"cpu": "250m", "memory": "512Mi", "max_instances": 4},
        "networking": {"nat": "none", "flow_logs": False},
        "monitoring": {"enabled": True, "tracing": True, "otlp_endpoint": "otel.internal:4318"},
        "cache": {"type": "redis", "version": "7.1"},
    },
    "fargate without workers": {
        "compute": {"workers": 0, "instances": 2},
        "monitoring": {"enabled": True, "alarms": ["high_cpu", "low_memory", "api_errors"]},
        "cache": {"type": "memory"},
    },
    "fargate on spot alone": {"compute": {"spot": {}, "workers": 3, "max_instances": 6}},
    "named, with a certificate that is made": {
        "networking": {
            "domain": "data.example.com",
            "nat": "per-zone",
            "allowed_cidrs": ["192.0.2.0/24", "198.51.100.0/24"],
        },
        "overrides": {"aws": {"hosted_zone_id": "Z0123456789ABCDEFGHIJ"}},
    },
    "named elsewhere": {
        "networking": {
            "domain": "data.example.com",
            "certificate": CERTIFICATE,
            "dns": {"provider": "cloudflare", "ttl": 300},
        }
    },
    "in a network that exists": {
        "networking": {**NETWORK, "allowed_cidrs": ["10.0.0.0/8"]},
        "compute": {"max_instances": 3},
    },
    "published in a network that exists": {
        "networking": {**NETWORK, **PUBLIC, "certificate": CERTIFICATE, "waf": True},
        "compute": {"type": "ec2"},
    },
    "on what exists": {
        "database": {"type": "external", "url": {"secretRef": "aws-sm:db/url"}},
        "storage": {"bucket": "shared-data"},
        "cache": {"type": "memory"},
        "security": {"kms_key": KEY, "permissions_boundary": BOUNDARY},
        "backup": {"enabled": True},
        "image": ECR_IMAGE,
    },
    "mysql, replicated": {
        "ha": True,
        "database": {"type": "mysql", "password_rotation": "30d", "size": "100Gi"},
        "cache": {"type": "redis", "instance_class": "cache.r6g.large"},
        "storage": {"cross_region": True, "lifecycle": LIFECYCLE},
        "security": {"kms_key": KEY, "deletion_protection": False},
        "overrides": {
            "aws": {"replica_bucket": "arn:aws:s3:::copy-of-it", "replica_key": REPLICA_KEY}
        },
    },
    "postgres with a password that exists": {
        "database": {
            "version": "14",
            "instance_class": "db.r5.xlarge",
            "password": {"secretRef": "aws-sm:db/owner#pw"},
        },
        "storage": {"class": "INTELLIGENT_TIERING"},
        "backup": {"enabled": True, "schedule": "30 3 * * 7", "timezone": "Europe/Berlin"},
    },
    "ec2": {
        "environment": "production",
        "compute": {
            "type": "ec2",
            "instance_type": "m5.2xlarge",
            "instances": 3,
            "min_instances": 2,
            "max_instances": 10,
            "workers": 2,
            "disk": "200Gi",
            "availability_zones": 3,
            "autoscaling": SCALING,
            "spot": {"share": 80, "on_demand_base": 1, "max_price": "0.20"},
            "schedules": OFF_HOURS,
        },
        "monitoring": WATCHED,
        "networking": {"certificate": CERTIFICATE},
        "backup": {"enabled": True},
        "policy": {"monthly_budget": 500},
    },
    "ec2 with graphics processors": {
        "compute": {"type": "ec2", "gpu": "required", "cpu": 8, "workers": 2}
    },
    "ec2 without a way out": {
        "compute": {"type": "ec2", "cpu": 4, "memory": "16Gi", "workers": 0},
        "networking": {"nat": "none"},
        "monitoring": {"enabled": True},
        "database": {"type": "mysql", "version": "8.0", "read_replicas": 1},
    },
    "lambda": {"compute": {"type": "lambda"}},
    "lambda, watched": {
        "compute": {
            "type": "lambda", "memory": "8Gi", "disk": "5Gi", "max_instances": 20
        },
        "monitoring": {"enabled": True, "notify": ["ops@example.com"]},
        "storage": {"class": "STANDARD_IA", "versioning": True},
        "backup": {"enabled": True},
        "policy": {"monthly_budget": 50},
        "image": ECR_IMAGE,
    },
    "lambda over a bucket that exists": {
        "compute": {"type": "lambda"},
        "storage": {"bucket": "shared-data"},
        "security": {"kms_key": KEY},
    },
    "batch": {"compute": {"type": "batch", "cpu": 2, "memory": "8Gi", "max_instances": 50}},
    "batch on spot": {
        "compute": {"type": "batch", "spot": {}, "disk": "100Gi", "workers": 4},
        "monitoring": {"enabled": True, "notify": ["ops@example.com"]},
        "networking": {"nat": "none"},
    },
    "batch on instances": {
        "compute": {"type": "batch", "instance_type": "m6i.xlarge", "cpu": 2, "memory": "4Gi"},
        "networking": {"nat": "none"},
    },
    "batch on spot instances": {
        "compute": {"type": "batch", "instance_type": "c6i.4xlarge", "spot": {"share": 100}},
        "backup": {"enabled": True},
        "security": {"permissions_boundary": BOUNDARY},
    },
}  # fmt: skip


@functools.cache
def stack(name: str) -> Stack:
    """What one of the specs comes to; made once, since many tests look at it."""
    return stack_of(SPECS[name])


def templates() -> dict[str, Mapping[str, Any]]:
    """Every template, by the name of its spec."""
    return {name: stack(name).template for name in SPECS}
