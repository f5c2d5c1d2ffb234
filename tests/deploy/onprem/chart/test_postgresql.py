"""The chart's PostgreSQL: what is rendered, and its scripts with the real server."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tabular.errors import EngineError
from tabular.infra.database.engine import POOL_OVERFLOW, POOL_SIZE
from tests.deploy.onprem.chart.cases import BUILT_IN, merged, objects, one, seed
from tests.deploy.onprem.chart.paths import pod, reaches
from tests.deploy.onprem.crds import invalid_resource
from tests.testbed.disk import small_disk
from tests.testbed.members import PASSWORD, REPLICATION, Members, debian_binaries, members_of

PART = "demo-postgresql"


def replicated(copies: int, **more: Any) -> dict[str, Any]:
    """Values with so many replicas."""
    replication = {"enabled": True, "readReplicas": copies}
    return merged(BUILT_IN, {"postgresql": {"replication": replication, **more}})


def configuration(values: dict[str, Any]) -> str:
    """The postgresql.conf that values come to."""
    return str(one(objects(values), "ConfigMap", PART)["data"]["postgresql.conf"])


def test_the_seeds_values_are_three_members_of_100_gi() -> None:
    found = objects(merged(seed(), {"monitoring": {"grafana": {"adminPassword": ""}}}))
    spec = one(found, "StatefulSet", PART)["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    assert spec["replicas"] == 3
    assert claim["spec"]["resources"]["requests"]["storage"] == "100Gi"
    environment = {
        e["name"]: e.get("value") for e in spec["template"]["spec"]["containers"][0]["env"]
    }
    assert environment["TABULAR_DATABASE"] == environment["TABULAR_USER"] == "synthdata"
    api = one(found, "Deployment", "demo-api")["spec"]["template"]["spec"]["containers"][0]["env"]
    url = next(e["value"] for e in api if e["name"] == "TABULAR_DATABASE_URL")
    assert url.startswith("postgresql+psycopg://synthdata:{file:/run/secrets/tabular/")
    assert "@demo-postgresql:5432/synthdata" in url


@pytest.mark.parametrize("copies", [0, 1, 2, 4])
def test_commits_wait_for_a_majority_where_there_is_one(copies: int) -> None:
    found = objects(replicated(copies))
    watched = [o for o in found if o["metadata"]["name"] == "demo-postgresql-failover"]
    text = configuration(replicated(copies))
    service = one(found, "Service", PART)["spec"]
    if copies < 2:
        assert watched == []
        assert "synchronous_standby_names" not in text
        assert service["selector"]["statefulset.kubernetes.io/pod-name"] == "demo-postgresql-0"
    else:
        voters = '"demo-postgresql-0", "demo-postgresql-1", "demo-postgresql-2"'
        assert f"synchronous_standby_names = 'ANY 1 ({voters})'" in text
        assert "selector" not in service
        kinds = {o["kind"] for o in watched}
        assert kinds >= {"Deployment", "Role", "RoleBinding", "ServiceAccount"}


def test_failover_can_be_left_to_people() -> None:
    values = replicated(2)
    values["postgresql"]["replication"]["failover"] = {"enabled": False}
    found = objects(values)
    assert not [o for o in found if o["metadata"]["name"] == "demo-postgresql-failover"]
    assert "synchronous_standby_names" not in configuration(values)
    assert "selector" in one(found, "Service", PART)["spec"]


def test_one_more_replica_starts_no_member_again() -> None:
    two, three = (one(objects(replicated(n)), "StatefulSet", PART) for n in (2, 3))
    assert two["spec"]["template"] == three["spec"]["template"]
    changed = objects(replicated(2, settings={"work_mem": "32MB"}))
    assert one(changed, "StatefulSet", PART)["spec"]["template"] != two["spec"]["template"]


def test_parameters_are_quoted_as_postgresql_does() -> None:
    settings = {"log_line_prefix": "it's %m ", "max_connections": 300, "jit": False}
    text = configuration(replicated(0, settings=settings))
    assert "log_line_prefix = 'it''s %m '" in text
    assert "max_connections = '300'" in text
    assert "jit = 'false'" in text


def test_only_its_clients_reach_it() -> None:
    found = objects(merged(replicated(2), {"redis": {"enabled": True}}))
    server = pod(found, "postgresql")
    for name in ("api", "worker", "postgresql", "postgresql-failover"):
        assert reaches(found, pod(found, name), server, 5432), name
    assert not reaches(found, pod(found, "redis"), server, 5432)
    assert not reaches(found, pod(found, "api"), server, 22)


@pytest.mark.parametrize("copies", [0, 1, 2])
@pytest.mark.parametrize("operator", ["cloudnative-pg", "zalando"])
def test_resources_of_operators_are_as_their_definitions_say(operator: str, copies: int) -> None:
    more = {
        "operator": operator,
        "primary": {"persistence": {"size": "7Gi", "storageClass": "fast"}},
        "settings": {"max_connections": 300},
    }
    wanted = {"key": "zone", "operator": "In", "values": ["a"]}
    required = {"nodeSelectorTerms": [{"matchExpressions": [wanted]}]}
    node = {"requiredDuringSchedulingIgnoredDuringExecution": required}
    placed = {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": node},
        "priorityClassName": "urgent",
    }
    found = objects(merged(replicated(copies, **more), {"tls": {"enabled": True}}, placed))
    (made,) = [o for o in found if o["metadata"]["name"] == PART and o["kind"] != "NetworkPolicy"]
    assert invalid_resource(made) == []
    spec = made["spec"]
    volume = spec.get("storage") or spec["volume"]
    assert (volume["size"], volume["storageClass"]) == ("7Gi", "fast")
    assert (spec.get("instances") or spec["numberOfInstances"]) == copies + 1
    assert spec["postgresql"]["parameters"] == {"max_connections": "300"}
    text = str(spec)
    assert text.count("zone") == text.count("disk") == text.count("'Exists'") == 1
    assert text.count("urgent") == 1


@pytest.mark.parametrize("operator", ["", "cloudnative-pg", "zalando"])
def test_ten_pods_have_their_connections(operator: str) -> None:
    found = objects(replicated(0, operator=operator))
    if operator:
        (made,) = [one for one in found if one["kind"] in ("Cluster", "postgresql")]
        taken = int(made["spec"]["postgresql"]["parameters"]["max_connections"])
    else:
        (line,) = re.findall("max_connections = '([0-9]+)'", configuration(replicated(0)))
        taken = int(line)
    assert taken > 10 * (POOL_SIZE + POOL_OVERFLOW)


def test_cloudnative_pg_before_1_28_is_asked_for_nothing_that_it_does_not_know() -> None:
    def synchronous(more: dict[str, Any]) -> dict[str, Any]:
        found = objects(merged(replicated(2, operator="cloudnative-pg"), more))
        (made,) = [o for o in found if o["kind"] == "Cluster"]
        assert invalid_resource(made) == []
        return dict(made["spec"]["postgresql"]["synchronous"])

    usual = synchronous({})
    older = synchronous({"postgresql": {"replication": {"failoverQuorum": False}}})
    assert usual == {**older, "failoverQuorum": True}
    assert older == {"method": "any", "number": 1, "dataDurability": "required"}


def test_a_field_that_an_operator_does_not_know_is_found_out() -> None:
    (made,) = [
        o for o in objects(replicated(2, operator="cloudnative-pg")) if o["kind"] == "Cluster"
    ]
    made["spec"]["storage"]["sise"] = "1Gi"
    made["spec"]["instances"] = "three"
    assert len(invalid_resource(made)) == 2


@pytest.mark.parametrize(
    ("operator", "secret"),
    [
        ("cloudnative-pg", "demo-postgresql-app"),
        ("zalando", "data-user.demo-postgresql.credentials.postgresql.acid.zalan.do"),
    ],
)
def test_the_service_reads_the_password_that_the_operator_made(operator: str, secret: str) -> None:
    auth = {"username": "data_user"}
    found = objects(merged(replicated(0, operator=operator, auth=auth)))
    volumes = one(found, "Deployment", "demo-api")["spec"]["template"]["spec"]["volumes"]
    sources = next(v for v in volumes if v["name"] == "secrets")["projected"]["sources"]
    named = {s["secret"]["name"]: s["secret"]["items"] for s in sources}
    assert named[secret] == [{"key": "password", "path": "database-password"}]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"operator": "zalando", "auth": {"existingSecret": "mine"}}, "makes the password itself"),
        (
            {
                "operator": "cloudnative-pg",
                "auth": {"existingSecret": "mine", "existingSecretKey": "other"},
            },
            "basic-auth",
        ),
        ({"operator": "crunchy"}, "operator"),
        ({"auth": {"username": "postgres"}}, "username"),
    ],
)
def test_what_cannot_be_is_refused(more: dict[str, Any], why: str) -> None:
    with pytest.raises(EngineError, match=why):
        objects(replicated(0, **more))


@pytest.fixture
def single(request: pytest.FixtureRequest) -> Iterator[Members]:
    """A primary and one copy, which is asynchronous and promotes nobody."""
    values = replicated(request.param, settings={"listen_addresses": "127.0.0.1"})
    with members_of(objects(values)) as members:
        for number in range(request.param + 1):
            members.start(number)
        for number in range(request.param + 1):
            members.wait_ready(number)
        yield members


@pytest.mark.slow
@pytest.mark.parametrize("single", [1], indirect=True)
def test_a_copy_follows_and_a_killed_primary_has_lost_nothing(single: Members) -> None:
    with psycopg.connect(single.url(0), autocommit=True) as client:
        client.execute("CREATE TABLE t (n int)")
        for number in range(200):
            client.execute("INSERT INTO t VALUES (%s)", (number,))
    single.kill(0)
    single.start(0)
    single.wait_ready(0)
    single.wait_ready(1)
    for number in range(2):
        assert single.here(number, "SELECT count(*) FROM t") == "200"
    with psycopg.connect(single.url(1)) as reader, pytest.raises(psycopg.errors.Error):
        reader.execute("INSERT INTO t VALUES (1)")


@pytest.mark.slow
@pytest.mark.parametrize("single", [1], indirect=True)
def test_a_first_member_without_its_volume_makes_no_empty_database(single: Members) -> None:
    with psycopg.connect(single.url(0), autocommit=True) as client:
        client.execute("CREATE TABLE t AS SELECT 1 AS n")
    deadline = time.monotonic() + 20
    while single.here(1, "SELECT to_regclass('t') IS NOT NULL") != "t":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    single.kill(0)
    single.lose(0)
    single.start(0)
    while "waits until one is promoted" not in single.log(0):
        assert time.monotonic() < deadline + 20
        time.sleep(0.2)
    assert not single.probe("ready.sh", 0)
    # What the README says to do: the copy becomes the primary, and the first one its copy.
    single.here(1, "SELECT pg_promote()")
    single.wait_ready(0)
    assert single.here(0, "SELECT pg_is_in_recovery() FROM t") == "t"


@pytest.mark.slow
@pytest.mark.parametrize("single", [1], indirect=True)
@pytest.mark.parametrize("gone", [False, True])
def test_what_is_half_wound_back_is_copied_anew(single: Members, gone: bool) -> None:
    single.kill(0)
    single.here(1, "SELECT pg_promote()")
    with psycopg.connect(single.url(1), autocommit=True) as client:
        client.execute("CREATE TABLE later AS SELECT 1 AS n")
    data = single.data(0)
    system = single.here(1, "SELECT system_identifier FROM pg_control_system()")
    (data.parent / "data.unfinished").write_text(f"00000002 {system}\n")
    if gone:
        # It went to make room for the copy, and whom it is copied from is away now.
        shutil.rmtree(data)
        single.kill(1)
        single.start(0)
        time.sleep(5)
        assert "makes a new database" not in single.log(0).partition("ready to accept")[2]
        single.start(1)
    else:
        (data / "global" / "pg_control").write_bytes(b"broken")
        single.start(0)
    single.wait_ready(0)
    assert single.here(0, "SELECT pg_is_in_recovery() FROM later") == "t"


@pytest.mark.root
@pytest.mark.slow
def test_a_copy_that_fell_behind_is_laid_anew_though_its_disk_takes_no_two() -> None:
    small = {"primary": {"persistence": {"size": "320Mi"}}}
    forgetful = {"listen_addresses": "127.0.0.1", "wal_keep_size": "0"}
    with members_of(objects(replicated(1, settings=forgetful, **small))) as members:
        disk = members.folder / "data1"
        disk.rmdir()
        with small_disk(disk, "320m"):
            disk.chmod(0o777)
            for number in range(2):
                members.start(number)
            for number in range(2):
                members.wait_ready(number)
            members.here(
                0, "CREATE TABLE large AS SELECT repeat('x', 900) FROM generate_series(1, 130000)"
            )
            in_step = "SELECT count(*) FROM large"
            wait_until(lambda: members.here(1, "SELECT to_regclass('large') IS NOT NULL") == "t")
            wait_until(lambda: members.here(1, in_step) == "130000")
            members.kill(1)
            members.here(
                0, "CREATE TABLE later AS SELECT repeat('x', 900) FROM generate_series(1, 130000)"
            )
            members.here(0, "SELECT pg_drop_replication_slot('demo_postgresql_1')")
            members.here(0, "DROP TABLE later")
            for _ in range(2):
                members.here(0, "SELECT pg_switch_wal()")
                members.here(0, "CHECKPOINT")
            members.start(1)
            with members.tended():
                wait_until(lambda: "its old data go first" in members.log(1), 120)
                members.wait_ready(1)
            assert members.here(1, in_step) == "130000"
            members.stop(1)


def wait_until(question: Callable[[], object], timeout: float = 30) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + timeout
    while not question():
        assert time.monotonic() < deadline, "it never was so"
        time.sleep(0.3)


@pytest.mark.slow
@pytest.mark.parametrize("single", [0], indirect=True)
def test_who_may_log_in(single: Members) -> None:
    assert psycopg.connect(single.url(0)).execute("SELECT 1").fetchone() == (1,)
    refused = {"postgres": PASSWORD, "replicator": REPLICATION, "tabular": "wrong"}
    for user, password in refused.items():
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(single.url(0, user, password))
    url = single.url(0, "replicator", REPLICATION).replace("=tabular ", "=postgres ")
    inside = psycopg.connect(url, autocommit=True)
    row = inside.execute("SELECT rolsuper FROM pg_roles WHERE rolname = user").fetchone()
    assert row == (False,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        inside.execute("ALTER SYSTEM SET archive_command = 'true'")
    text = single.log(0)
    assert PASSWORD not in text
    assert REPLICATION not in text


@pytest.mark.debian
@pytest.mark.slow
def test_with_tls_nothing_goes_over_the_network_without() -> None:
    plain = {"settings": {"listen_addresses": "127.0.0.1"}, "image": {"tag": "15.19"}}
    tls = {"tls": {"enabled": True, "existingSecret": "demo-tls"}}
    found = objects(merged(replicated(1, **plain), tls))
    with members_of(found, binaries=debian_binaries(), tls=True) as members:
        for number in range(2):
            members.start(number)
        for number in range(2):
            members.wait_ready(number)
        over = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)"
        assert members.here(0, over) == "t"
        url = members.url(0)
        assert psycopg.connect(f"{url} sslmode=require").execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match="no encryption"):
            psycopg.connect(f"{url} sslmode=disable")
        renewed, client = members.renew(), psycopg.connect(f"{url} sslmode=require")
        with members.tended():
            for port in members.ports:
                wait_until(lambda port=port: served(port) == renewed)
        client.execute("SELECT 1")  # and nobody was cut off
        members.wait_ready(1)


def served(port: int) -> bytes:
    """The certificate of a server that speaks TLS when it is asked to, as PostgreSQL's does."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        plain.sendall(struct.pack("!ii", 8, 80877103))  # SSLRequest, as in the protocol's manual
        assert plain.recv(1) == b"S"
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(plain) as secure:
            return secure.getpeercert(binary_form=True) or b""


@pytest.mark.slow
@pytest.mark.parametrize("single", [0], indirect=True)
def test_another_major_version_is_told_and_the_data_stay(single: Members) -> None:
    single.stop(0)
    version = single.data(0) / "PG_VERSION"
    own = version.read_text()
    version.write_text("12\n")
    single.start(0)
    assert single.processes[0].wait(20) == 1
    assert "the data are of PostgreSQL 12" in single.log(0)
    version.write_text(own)
    single.start(0)
    single.wait_ready(0)


@pytest.mark.slow
@pytest.mark.parametrize("single", [1], indirect=True)
def test_the_data_of_another_database_are_never_overwritten(single: Members) -> None:
    single.here(0, "CREATE TABLE kept AS SELECT 1 AS n")
    single.kill(1)
    single.kill(0)
    # The first one lost its volume, and began anew when nobody answered; it leads by its timeline.
    single.lose(0)
    single.start(0)
    single.wait_ready(0)
    single.here(0, "SELECT pg_switch_wal()")
    (single.data(1).parent / "data.made-anew").touch()
    single.start(1)
    assert single.processes[1].wait(60) != 0
    assert "has another database than this volume" in single.log(1)
    assert (single.data(1) / "PG_VERSION").exists()
