"""Any spec comes to objects that Kubernetes takes, or to a refusal with a place and a way out."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.deploy.capability import FieldsError
from tabular.deploy.onprem.compile import compile_stack, given_secrets
from tabular.deploy.policy import check
from tabular.deploy.spec import Deployment, canonical
from tabular.deploy.stack import Stack
from tabular.errors import InputError, RefusedError
from tests.deploy.onprem.made import deployment_of, objects_of, stack_of
from tests.testbed.kube.schemas import VERSIONS, invalid

LITERAL = "a-literal-that-must-not-be-seen"
Spec = dict[str, Any]
Strategy = st.SearchStrategy[Any]
_sizes = st.sampled_from(["8Gi", "100Gi", "1Ti", "2500M", "1e11"])
_secrets = st.sampled_from([LITERAL, {"secretRef": "env:X"}, {"secretRef": "k8s:some/key"}])


def _some(**fields: Strategy) -> Strategy:
    """A block with any of these keys."""
    return st.fixed_dictionaries({}, optional=fields)


_compute = _some(
    type=st.sampled_from(["kubernetes", "lambda"]),
    instances=st.integers(3, 4),
    min_instances=st.integers(1, 3),
    max_instances=st.integers(4, 9),
    workers=st.integers(0, 4),
    cpu=st.sampled_from([1, "500m", "0.25"]),
    memory=st.sampled_from(["512Mi", "16Gi"]),
    cpu_limit=st.just(8),
    memory_limit=st.just("32Gi"),
    disk=_sizes,
    gpu=st.sampled_from(["none", "optional", "required"]),
    availability_zones=st.integers(1, 3),
    autoscaling=_some(cpu_target=st.integers(10, 90), memory_target=st.integers(10, 90)),
)
_minio = _some(
    mode=st.sampled_from(["standalone", "distributed"]),
    replicas=st.integers(1, 20),
    size=_sizes,
    storage_class=st.just("fast"),
    root_user=st.just("admin"),
    root_password=st.sampled_from([LITERAL, {"secretRef": "k8s:root"}]),
)
_storage = _some(
    type=st.sampled_from(["object", "minio", "s3", "ceph", "nfs", "local", "file"]),
    size=_sizes,
    replication=st.integers(1, 5),
    bucket=st.sampled_from(["tables", "Not-a-bucket"]),
    minio=_minio,
)
_database = st.one_of(
    _some(
        type=st.sampled_from(["postgresql", "mysql", "mongodb"]),
        version=st.sampled_from(["14", "16", "18.1", "8.4"]),
        size=_sizes,
        ha=st.booleans(),
        read_replicas=st.integers(0, 3),
        name=st.sampled_from(["synthdata", "my-data"]),
        username=st.just("owner"),
        password=_secrets,
        storage_class=st.just("fast"),
    ),
    st.fixed_dictionaries({"type": st.just("external"), "url": _secrets}),
)
_onprem = _some(
    method=st.sampled_from(["helm", "manifests"]),
    namespace=st.just("data"),
    storage_class=st.just("disks"),
    distribution=st.sampled_from(["kubernetes", "openshift", "rancher", "swarm"]),
    kubernetes_version=st.sampled_from(["1.19", "1.25", "1.37"]),
    operators=st.lists(
        st.sampled_from(["cloudnative-pg", "minio", "prometheus", "cert-manager", "velero"]),
        unique=True,
    ),
    ingress_class=st.just("nginx"),
    object_store=st.fixed_dictionaries(
        {"access_key": _secrets, "secret_key": _secrets},
        optional={"endpoint": st.just("https://rgw.example.com")},
    ),
    persistence=_some(
        enabled=st.booleans(),
        size=_sizes,
        storage_class=st.just("files"),
        access_mode=st.sampled_from(["ReadWriteOnce", "ReadWriteMany"]),
    ),
)
_specs = _some(
    environment=st.sampled_from(["development", "production"]),
    ha=st.booleans(),
    compute=_compute,
    storage=_storage,
    database=_database,
    cache=_some(type=st.sampled_from(["redis", "valkey", "memory"]), size=_sizes, ha=st.booleans()),
    queue=_some(
        type=st.sampled_from(["native", "rabbitmq", "redis", "sqs"]),
        password=_secrets,
        max_attempts=st.integers(1, 9),
        visibility_timeout=st.just("5m"),
    ),
    monitoring=st.fixed_dictionaries(
        {"enabled": st.just(True)},
        optional={
            "retention": st.just("14d"),
            "size": _sizes,
            "grafana": _some(enabled=st.booleans(), admin_password=_secrets, size=_sizes),
            "otlp_endpoint": st.just("otel:4318"),
        },
    ),
    networking=_some(
        domain=st.just("data.example.com"),
        certificate=st.just("corp-tls"),
        allowed_cidrs=st.just(["10.0.0.0/8", "192.0.2.0/24"]),
    ),
    backup=_some(enabled=st.booleans(), retention=st.just("14d"), schedule=st.just("0 3 * * *")),
    onprem=_onprem,
)
# Custom resources have no schema among Kubernetes' own; theirs are checked elsewhere.
CUSTOM = [
    "acid.zalan.do/v1 postgresql",
    "cert-manager.io/v1 Certificate",
    "cert-manager.io/v1 Issuer",
    "minio.min.io/v2 Tenant",
    "monitoring.coreos.com/v1 PrometheusRule",
    "monitoring.coreos.com/v1 ServiceMonitor",
    "postgresql.cnpg.io/v1 Cluster",
    "route.openshift.io/v1 Route",
    "velero.io/v1 BackupStorageLocation",
    "velero.io/v1 Schedule",
]


def compiled(spec: Spec) -> Stack | None:
    """The stack; None for a spec that is refused as it should be."""
    try:
        stack = stack_of(spec)
        given_secrets(deployment_of(spec))
    except (InputError, RefusedError) as error:
        assert error.hint, error
        if not isinstance(error, FieldsError):
            assert str(error.where).startswith(("spec.", "metadata.")), error
        assert LITERAL not in str(error)
        return None
    return stack


def legal(spec: Spec) -> bool:
    """Whether the spec itself is one; what contradicts itself is refused before any provider."""
    try:
        deployment_of(spec)
    except InputError:
        return False
    return True


@given(_specs.filter(legal), st.sampled_from(VERSIONS))
@settings(max_examples=25, deadline=None)
def test_any_spec_comes_to_valid_objects_or_to_a_refusal(spec: Spec, version: str) -> None:
    stack = compiled(spec)
    if stack is not None:
        assert invalid(objects_of(stack, version), version, unknown=CUSTOM) == []
        assert LITERAL not in json.dumps(stack.as_dict())
        rules = {one.rule for one in check(deployment_of(spec), stack)}
        assert rules.isdisjoint({"secret-in-template", "privileged-container", "open-ingress"})


@given(_specs.filter(legal))
@settings(max_examples=12, deadline=None)
def test_the_same_spec_gives_the_same_bytes_from_wherever_it_is_read(spec: Spec) -> None:
    stack = compiled(spec)
    if stack is not None:
        assert stack_of(spec).to_bytes() == stack.to_bytes()
        again = Deployment.from_canonical(json.loads(json.dumps(canonical(deployment_of(spec)))))
        assert compile_stack(again).to_bytes() == stack.to_bytes()
