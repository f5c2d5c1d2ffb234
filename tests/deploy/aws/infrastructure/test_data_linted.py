"""AWS's own linter over what holds data, in its rarer forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.deploy.aws.linted import findings
from tests.deploy.aws.made import stack_of

KEY = "arn:aws:kms:eu-west-1:111122223333:key/0f1e2d3c-0000-4000-8000-000000000000"
SPECS: dict[str, dict[str, Any]] = {
    "rotated": {
        "security": {"kms_key": KEY, "permissions_boundary": "arn:aws:iam::111122223333:policy/b"},
        "database": {"type": "mysql", "password_rotation": "30d", "size": "100Gi"},
        "cache": {"type": "redis", "size": "2Gi", "replicas": 1},
        "queue": {"visibility_timeout": "5m", "retention": "14d", "max_attempts": 3},
        "storage": {
            "cross_region": True,
            "lifecycle": {
                "transition_to_ia": "30d",
                "transition_to_glacier": "90d",
                "expire": "365d",
            },
        },
        "overrides": {
            "aws": {
                "replica_bucket": "arn:aws:s3:::copy-of-it",
                "replica_key": KEY.replace("eu-west-1", "us-east-1"),
            }
        },
    },
    "copied": {
        "ha": True,
        "environment": "production",
        "monitoring": {"enabled": True, "tracing": True},
        "database": {
            "version": "14",
            "instance_class": "db.r5.xlarge",
            "read_replicas": 2,
            "password": {"secretRef": "aws-sm:db/owner#pw"},
        },
        "cache": {"type": "valkey", "version": "7.2"},
        "storage": {"class": "INTELLIGENT_TIERING", "versioning": True},
    },
    "external": {
        "database": {"type": "external", "url": {"secretRef": "aws-sm:db/url"}},
        "storage": {"bucket": "shared-data"},
    },
    "batch": {
        "compute": {"type": "batch", "instance_type": "m6i.xlarge"},
        "monitoring": {"enabled": True},
        "policy": {"monthly_budget": 100},
    },
    "function": {"compute": {"type": "lambda"}, "storage": {"class": "STANDARD_IA"}},
}


@pytest.mark.slow
def test_the_linter_of_aws_finds_nothing(tmp_path: Path) -> None:
    assert findings(tmp_path, {label: stack_of(spec) for label, spec in SPECS.items()}) == []
