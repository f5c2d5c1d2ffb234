"""Random specs for AWS, as the plain data that a file would have.

Each keeps the rules of the spec itself, so reading it never fails; whether AWS gives what it asks
for is what the tests are about. Words are those that AWS knows, with some that it does not.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.deploy.aws import matrix

Spec = dict[str, Any]
Strategy = st.SearchStrategy[Any]

_days = st.integers(1, 800).map(lambda days: f"{days}d")
_disks = st.sampled_from(["8Gi", "20Gi", "21Gi", "100Gi", "200Gi", "1Ti", "70Ti"])
_cron = st.sampled_from(
    ["0 2 * * *", "30 6 * * MON-FRI", "15 3 1 * *", "0 0 1 1,7 *", "*/10 * * * *", "0 2 1 * 1"]
)
_zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"])
_label = st.from_regex(r"[a-z]([-a-z0-9]{0,15}[a-z0-9])?", fullmatch=True)
_texts = st.text(max_size=30) | st.from_regex(r"[A-Za-z0-9 ._:/=+@-]{0,40}", fullmatch=True)


def _some(**fields: Strategy) -> Strategy:
    """A block with any of these keys."""
    return st.fixed_dictionaries({}, optional=fields)


def _joined(*blocks: Strategy) -> Strategy:
    """A block of all the keys of others."""
    return st.tuples(*blocks).map(lambda found: {k: v for one in found for k, v in one.items()})


@st.composite
def _bounds(draw: st.DrawFn) -> Spec:
    """Sizes in their order, any of them left out."""
    low, wished, high = sorted(draw(st.lists(st.integers(1, 40), min_size=3, max_size=3)))
    said = {"min_instances": low, "instances": wished, "max_instances": high}
    kept = draw(st.sets(st.sampled_from(sorted(said))))
    return {name: value for name, value in said.items() if name in kept}


_fit = st.sampled_from([("250m", "512Mi"), ("500m", "2Gi"), (1, "8Gi"), (2, "5Gi"), (4, "30Gi")])
_misfit = st.sampled_from([(8, "20Gi"), (16, "120Gi"), (3, "4Gi"), (1, "64Gi"), (200, "1Gi")])
_size = st.one_of(
    st.just({}),
    _fit.map(lambda pair: {"cpu": pair[0], "memory": pair[1]}),
    _fit.map(lambda pair: {"memory": pair[1]}),
    _fit.map(lambda pair: {"cpu": pair[0]}),
    _misfit.map(lambda pair: {"cpu": pair[0], "memory": pair[1]}),
)
_schedule = _joined(
    st.fixed_dictionaries({"name": _label, "cron": _cron, "timezone": _zones}),
    _bounds().filter(bool),
)
_usual = _joined(_bounds(), _size, _some(workers=st.integers(0, 12), disk=_disks))
_scaling = _some(
    cpu_target=st.integers(10, 95),
    memory_target=st.integers(10, 95),
    concurrency=st.integers(1, 1000),
    cooldown=st.sampled_from(["30s", "5m", "2h"]),
)
_spot = _some(share=st.integers(0, 100), on_demand_base=st.integers(0, 5))
_served = _some(
    autoscaling=_scaling,
    spot=_spot,
    schedules=st.lists(_schedule, max_size=2),
    availability_zones=st.integers(2, 4),
)
_instances = _some(instance_type=st.sampled_from(["m5.2xlarge", "c6i.xlarge", "t3.large"]))
_compute = st.one_of(
    _joined(_some(type=st.just("ecs-fargate")), _usual, _served),
    _joined(
        st.just({"type": "ec2"}),
        _usual,
        _served,
        _instances,
        _some(
            gpu=st.sampled_from(["none", "optional", "required"]),
            spot=_joined(_spot, _some(max_price=st.sampled_from(["0.05", "1.20"]))),
        ),
    ),
    _joined(st.just({"type": "lambda"}), _usual),
    _joined(st.just({"type": "batch"}), _usual, _instances, _some(spot=_spot)),
    # Whatever comes together.
    _joined(
        _usual,
        _served,
        _some(
            type=st.sampled_from(["ecs-fargate", "ec2", "lambda", "batch"]),
            availability_zones=st.integers(1, 10),
            gpu=st.just("required"),
            instance_type=st.sampled_from(["m5.2xlarge", "m7g.large", "m5large"]),
        ),
    ),
)


@st.composite
def _lifecycle(draw: st.DrawFn) -> Spec:
    ages = sorted(draw(st.sets(st.integers(1, 1000), min_size=3, max_size=3)))
    names = ["transition_to_ia", "transition_to_glacier", "expire"]
    kept = draw(st.sets(st.sampled_from(names)))
    return {name: f"{age}d" for name, age in zip(names, ages, strict=True) if name in kept}


_storage = _some(
    type=st.sampled_from(["object", "s3"]),
    size=_disks,
    replication=st.integers(1, 6),
    cross_region=st.sampled_from([False, False, False, True]),
    versioning=st.booleans(),
    lifecycle=_lifecycle(),
    bucket=st.sampled_from(["shared-data", "shared-data", "Shared_Data"]),
    **{
        "class": st.sampled_from(
            ["STANDARD", "INTELLIGENT_TIERING", "STANDARD_IA", "GLACIER_IR", "ONEZONE_IA", "COLD"]
        )
    },
)
_external = st.just({"type": "external", "url": {"secretRef": "aws-sm:db/url"}})
_database = st.one_of(
    _external,
    _some(password_rotation=_days, type=st.sampled_from(["mysql", "postgresql"])),
    *[
        _some(
            type=st.just(engine),
            version=st.sampled_from(versions),
            size=_disks,
            ha=st.booleans(),
            instance_class=st.sampled_from(["db.r5.xlarge", "db.m7g.large", "db.t4g.medium"]),
            backup_retention=st.integers(1, 40),
            read_replicas=st.integers(0, 3),
            name=st.sampled_from(["synthdata", "tables", "my_tables", "select"]),
            username=st.sampled_from(["synth", "owner", "a_rather_long_name"]),
        )
        for engine, versions in (
            ("postgresql", ["14", "16", "17", "16.4", "16.4", "x"]),
            ("mysql", ["8.0", "8.4", "8.4", "8"]),
        )
    ],
)
_cache = _some(
    type=st.sampled_from(["redis", "valkey", "memory"]),
    version=st.sampled_from(["7.0", "7.1", "7.2", "8.0"]),
    ha=st.booleans(),
    replicas=st.integers(0, 5),
    size=st.sampled_from(["512Mi", "2Gi", "100Gi", "900Gi"]),
)
_queue = _some(
    type=st.sampled_from(["native", "sqs"]),
    ha=st.booleans(),
    visibility_timeout=st.sampled_from(["30s", "10m", "1h", "13h"]),
    retention=st.sampled_from(["1m", "4d", "14d", "30d"]),
    max_attempts=st.integers(1, 120),
)
_alarms = st.sets(
    st.sampled_from(
        ["high_cpu", "low_memory", "api_errors", "high_latency", "unhealthy_instances",
         "queue_backlog", "job_failures", "database_storage"]
    )
).map(sorted)  # fmt: skip
_watching = {
    "log_retention": st.integers(1, 4000),
    "retention": _days,
    "detailed": st.booleans(),
    "notify": st.lists(st.sampled_from(matrix.WATCHED["notify"]), max_size=2, unique=True),
    "tracing": st.booleans(),
    "otlp_endpoint": st.sampled_from(["otel.internal:4318", "otel.internal"]),
}
_monitoring = _some(**_watching) | _joined(
    st.just({"enabled": True}), _some(alarms=_alarms, **_watching)
)
_at_the_edge = _some(
    domain=st.just("data.example.com"),
    certificate=st.just(matrix.CERTIFICATE),
    allowed_cidrs=st.lists(
        st.sampled_from(["192.0.2.0/24", "10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32"]),
        max_size=3,
        unique=True,
    ),
    waf=st.booleans(),
    flow_logs=st.booleans(),
    dns=st.sampled_from(
        [
            {"provider": "route53"},
            {"provider": "route53", "zone": "example.com", "health_checks": True},
            {"provider": "cloudflare", "ttl": 300},
        ]
    ),
)
_published = st.fixed_dictionaries(
    {"certificate": st.just(matrix.CERTIFICATE)},
    optional={"waf": st.booleans(), "domain": st.just("data.example.com")},
)
_own = _some(
    cidr=st.sampled_from(["10.50.0.0/16", "10.50.0.0/24", "172.16.8.0/22", "10.0.0.0/8"]),
    nat=st.sampled_from(["single", "per-zone", "none"]),
)
_networking = st.one_of(
    _own,
    _joined(_own, _published),
    st.just({**matrix.NETWORK, "allowed_cidrs": ["10.0.0.0/8"]}),
    _joined(st.just({**matrix.NETWORK, **matrix.PUBLIC}), _published),
    _joined(_own, _at_the_edge),
    _joined(st.just(matrix.NETWORK), _at_the_edge),
)
_backup = _some(enabled=st.booleans(), schedule=_cron, timezone=_zones, retention=_days)
_security = _some(
    kms_key=st.sampled_from([matrix.KEY, matrix.KEY, "alias/tabular", matrix.REPLICA_KEY]),
    deletion_protection=st.booleans(),
    permissions_boundary=st.just(matrix.BOUNDARY),
)
_overrides = _some(
    hosted_zone_id=st.just("Z0123456789ABCDEFGHIJ"),
    replica_bucket=st.just("arn:aws:s3:::copy-of-it"),
    replica_key=st.just(matrix.REPLICA_KEY),
)
# As large as the rest together, so each is left out more often than not.
_rarely = {
    "storage": _storage,
    "cache": _cache,
    "queue": _queue,
    "networking": _networking,
    "backup": _backup,
    "security": _security,
    "image": st.just(matrix.ECR_IMAGE) | st.just({"tag": "1.0.0"}),
    "policy": _some(monthly_budget=st.integers(1, 10**6)),
}


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """The ``spec`` part of a deployment."""
    found: Spec = draw(
        _some(
            environment=st.sampled_from(["production", "development", "staging"]),
            ha=st.booleans(),
            database=_database,
            monitoring=_monitoring,
        )
    )
    found["compute"] = draw(_compute)
    for name in sorted(draw(st.sets(st.sampled_from(sorted(_rarely)), max_size=4))):
        found[name] = draw(_rarely[name])
    options = draw(st.one_of(*[st.just({})] * 4, _overrides))
    if options:
        found["overrides"] = {"aws": options}
    return found


names = st.from_regex(r"[a-z]([-a-z0-9]{0,51}[a-z0-9])?", fullmatch=True)
labels = st.dictionaries(_label, _texts, max_size=4)
