"""What the container is told: the same on Fargate, on instances, in Lambda and in Batch.

Secrets are references that the service resolves itself with the role of its task, so no secret is
in a template, a task definition or a boot script, and one mechanism serves every kind of compute.
"""

from __future__ import annotations

from typing import Any

from tabular.deploy.aws.infrastructure.security.secrets import database_password
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import ref, sub
from tabular.deploy.aws.words.names import RELEASE
from tabular.errors import UnsupportedError
from tabular.infra.authorities import AWS_RDS, aws_rds_regions
from tabular.infra.config import variable

PORT = 8000
METRICS_PORT = 9000
USER = "10001:10001"
API_COMMAND = ("python", "-m", "tabular.api", "serve")
WORKER_COMMAND = ("python", "-m", "tabular.worker")
MIGRATE_COMMAND = ("python", "-m", "tabular.api", "migrate")


def environment(wanted: Wanted) -> dict[str, Any]:
    """Settings of the service by variable, sorted; values may refer to resources."""
    settings: dict[str, Any] = {
        "provider": "aws",
        "region": ref("AWS::Region"),
        "environment": wanted.target.environment,
        "release": ref(RELEASE),
        "storage_url": _storage(wanted),
        "secret_key": sub("aws-sm:${SecretKey}"),
        **_database(wanted),
        **_cache(wanted),
        **_queue(wanted),
    }
    if wanted.served:
        settings["admin_key"] = sub("aws-sm:${AdminKey}")
    if wanted.spec.monitoring.otlp_endpoint:
        settings["otlp_endpoint"] = f"http://{wanted.spec.monitoring.otlp_endpoint}"
    return {variable(name): value for name, value in sorted(settings.items())}


def _storage(wanted: Wanted) -> Any:
    options = "?region=${AWS::Region}"
    if wanted.spec.storage.bucket:
        return sub(f"s3://{wanted.spec.storage.bucket}/tabular{options}")
    return sub(f"s3://${{Bucket}}/tabular{options}")


def _database(wanted: Wanted) -> dict[str, Any]:
    database = wanted.spec.database
    if wanted.database_engine is None:
        return {"database_url": database.url.secret_ref} if database.url else {}
    scheme = {"postgres": "postgresql+psycopg", "mysql": "mysql+pymysql"}[wanted.database_engine]
    tls = _database_tls(wanted)
    user, name = database.username or "tabular", database.name or "tabular"
    host = "${Database.Endpoint.Address}:${Database.Endpoint.Port}"
    url = f"{scheme}://{user}:{{{database_password(wanted)}}}@{host}/{name}?{tls}"
    return {"database_url": sub(url)}


def _database_tls(wanted: Wanted) -> str:
    """Verified TLS; RDS's certificates are of an authority of the region, which systems lack.

    Raises:
        UnsupportedError: MySQL in a region whose authority is not shipped.
    """
    if wanted.region in aws_rds_regions():
        verified = {"postgres": "sslmode=verify-full&sslrootcert", "mysql": "ssl_ca"}
        return f"{verified[str(wanted.database_engine)]}={AWS_RDS}"
    if wanted.database_engine == "mysql":
        raise UnsupportedError(
            f"the authority of RDS in {wanted.region} is not known to this release, and a "
            "connection to MySQL is verified or has no TLS",
            where="spec.database.type",
            hint="use type: postgresql, or another region",
        )
    return "sslmode=require"


def _cache(wanted: Wanted) -> dict[str, Any]:
    if wanted.cache_engine is None:
        return {"cache_url": "memory://"}
    host = "${Cache.PrimaryEndPoint.Address}:${Cache.PrimaryEndPoint.Port}"
    return {"cache_url": sub(f"rediss://:{{aws-sm:${{CacheSecret}}}}@{host}/0")}


def _queue(wanted: Wanted) -> dict[str, Any]:
    if not wanted.served:
        return {}
    found: dict[str, Any] = {"queue_url": sub("sqs://${Queue.QueueName}?region=${AWS::Region}")}
    queue = wanted.spec.queue
    if queue and queue.max_attempts:
        found["job_max_attempts"] = str(queue.max_attempts)
    if queue and queue.visibility_timeout:
        found["job_lease"] = f"{queue.visibility_timeout.total_seconds():g}"
    return found
