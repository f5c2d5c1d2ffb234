"""What is assumed of a deployment's use, since no spec says how much it will be used.

A price that depends on use is shown with its assumption in the basis of the line item, so whoever
reads the plan can see what to multiply.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Usage:
    """Use in one month. Free allowances of an account are never subtracted: others share them.

    Attributes:
        transfer_gb: sent to the internet by all load balancers together.
        balancer_units: load balancer capacity units (LCU) in use on average, for each balancer.
        nat_gb: through each NAT gateway.
        endpoint_gb: through each interface endpoint, all zones together.
        storage_gb: in the bucket, where ``spec.storage.size`` says nothing.
        other_bucket_gb: in each bucket besides the one for data.
        object_days: age at which objects are gone, where nothing expires them; they are taken to
            be spread evenly over all ages, which says how much lifecycle rules move.
        storage_writes: requests that write to a bucket.
        storage_reads: requests that read from a bucket.
        replicated_share: part of a replicated bucket that is new or changed, 0 to 1.
        log_gb: written to each log group of an application.
        flow_log_gb: written by each flow log.
        backup_gb: kept in a vault, where neither the stack nor its spec tells a size.
        database_backup_gb: automatic backups of a database beyond its free allowance, which is
            the size of its disk.
        image_gb: in each registry of images.
        key_requests: to each key.
        secret_requests: to each secret.
        queue_millions: millions of requests to each queue; a waiting worker asks too.
        notifications: e-mails of each topic.
        firewall_millions: millions of requests that each firewall looks at.
        dns_millions: millions of queries to each hosted zone.
        function_millions: millions of calls of each function.
        function_seconds: that a call of a function takes.
        batch_vcpu_hours: that jobs of each compute environment of Batch take.
        traces_millions: millions of traces to X-Ray, of each service with a collector.
    """

    transfer_gb: Decimal = Decimal(100)
    balancer_units: Decimal = Decimal(1)
    nat_gb: Decimal = Decimal(50)
    endpoint_gb: Decimal = Decimal(10)
    storage_gb: Decimal = Decimal(100)
    other_bucket_gb: Decimal = Decimal(10)
    object_days: int = 365
    storage_writes: int = 100_000
    storage_reads: int = 1_000_000
    replicated_share: Decimal = Decimal("0.2")
    log_gb: Decimal = Decimal(5)
    flow_log_gb: Decimal = Decimal(10)
    backup_gb: Decimal = Decimal(100)
    database_backup_gb: Decimal = Decimal(0)
    image_gb: Decimal = Decimal(5)
    key_requests: int = 100_000
    secret_requests: int = 10_000
    queue_millions: Decimal = Decimal(1)
    notifications: int = 100
    firewall_millions: Decimal = Decimal(1)
    dns_millions: Decimal = Decimal(1)
    function_millions: Decimal = Decimal(1)
    function_seconds: Decimal = Decimal("0.5")
    batch_vcpu_hours: Decimal = Decimal(100)
    traces_millions: Decimal = Decimal("0.1")
