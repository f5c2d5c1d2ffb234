"""Imported by the server that clients are forked from: boto3's models are read there, once."""

from __future__ import annotations

from tests.deploy.aws.harness import credentials
from tests.testbed.ministack import REGION

for _service in ("cloudformation", "s3", "sts", "ec2", "secretsmanager"):
    credentials("000000000000").client(
        _service, region_name=REGION, endpoint_url="http://127.0.0.1:9"
    )
