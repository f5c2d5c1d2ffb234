"""Failover of the chart's PostgreSQL: real members, the real API server, and power cuts."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from ruamel.yaml import YAML

from tabular.deploy.onprem.failover.cluster import Access, Cluster, Record
from tabular.deploy.onprem.failover.members import Members as Watched
from tabular.deploy.onprem.failover.members import Refusal, View, read_members
from tabular.deploy.onprem.failover.watch import Watch
from tabular.deploy.onprem.rendered.rendering import render
from tabular.errors import ConfigError, UnavailableError
from tests.testbed.kube.api import MERGE
from tests.testbed.kube.cluster import Kube
from tests.testbed.members import Members, members_of

pytestmark = [pytest.mark.k8s, pytest.mark.slow]
NAME, PART, WATCHER = "demo", "demo-postgresql", "demo-postgresql-failover"
AFTER = 3.0
VALUES: dict[str, Any] = {
    "secrets": {"existingSecret": "demo-secrets"},
    "persistence": {"enabled": True},
    "postgresql": {
        "enabled": True,
        "replication": {"enabled": True, "readReplicas": 2},
        # A client can take them all.
        "settings": {
            "listen_addresses": "127.0.0.1",
            "max_connections": "40",
            "reserved_connections": "0",
        },
    },
}


class Place:
    """One cluster of members with its Service, and watchers with the chart's rights."""

    def __init__(self, kube: Kube, namespace: str, folder: Path, members: Members) -> None:
        self.kube, self.namespace, self.folder, self.members = kube, namespace, folder, members
        self._objects = render(VALUES, name=NAME, namespace=namespace, kube_version="1.20")
        self.mounts = True
        kube.apply(self.rendered("Service", PART), namespace)

    def rendered(self, kind: str, name: str) -> dict[str, Any]:
        """An object of the chart."""
        found = [one for one in self._objects if one["kind"] == kind]
        return next(one for one in found if one["metadata"]["name"] == name)

    def cluster(self, holder: str, *, service: str = PART) -> Cluster:
        """What a watcher with the rights of the chart's Role has in hands."""
        rules = self.rendered("Role", WATCHER)["rules"]
        file = self.kube.user(self.folder, self.namespace, rules)
        config = YAML(typ="safe").load(file.read_text())
        token = config["users"][0]["user"]["token"]
        authority = self.kube.plane.authority.certificate
        access = Access(self.kube.server, authority, lambda: token)
        names = {"namespace": self.namespace, "record": WATCHER, "service": service}
        return Cluster(access, instance=NAME, holder=holder, **names)

    def watch(self, holder: str = "one", *, after: float = AFTER) -> Watch:
        """A watcher."""
        password = self.members.folder / "secrets" / "database-replication-password"
        watched = Watched(read_members(self.members.file), password)
        return Watch(self.cluster(holder), watched, after=after)

    def object(self, kind: str) -> dict[str, Any]:
        """What the watchers made, such as the one of ``configmaps``."""
        group = "/api/v1" if kind == "configmaps" else "/apis/coordination.k8s.io/v1"
        path = f"{group}/namespaces/{self.namespace}/{kind}"
        made = f"app.kubernetes.io/instance={NAME}"
        found = self.kube.list(path, made)
        return next(iter(found), {})

    def record(self) -> dict[str, str]:
        """What a kubelet mounts of it."""
        return dict(self.object("configmaps").get("data", {})) if self.mounts else {}

    @property
    def primary(self) -> int | None:
        """The number of the member that the Service selects."""
        path = f"/api/v1/namespaces/{self.namespace}/services/{PART}"
        selector = self.kube.api("GET", path)["spec"].get("selector") or {}
        name = selector.get("statefulset.kubernetes.io/pod-name")
        return self.members.names.index(name) if name in self.members.names else None


@pytest.fixture
def quiet(kube: Kube, kube_namespace: str, tmp_path: Path) -> Iterator[Place]:
    """A place with no member running."""
    rendered = render(VALUES, name=NAME, namespace=kube_namespace, kube_version="1.20")
    with members_of(rendered) as members:
        yield Place(kube, kube_namespace, tmp_path, members)


@pytest.fixture
def place(quiet: Place) -> Iterator[Place]:
    """A place with three members, and a kubelet for each."""
    members = quiet.members
    for number in range(3):
        members.start(number)
    try:
        for number in range(3):
            members.wait_ready(number)
        with members.tended(quiet.record):
            yield quiet
    finally:
        for number in range(3):
            print(f"--- member {number}\n{members.log(number)[-3000:]}")


@contextlib.contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """A watcher's rounds for the time of the block."""
    over = threading.Event()

    def rounds() -> None:
        while not over.wait(0.3):
            with contextlib.suppress(UnavailableError):
                watch.round()

    thread = threading.Thread(target=rounds)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Writer:
    """A client that writes numbers by way of the Service, and knows which it was told of."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.told: list[int] = []
        self.longest = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _write(self) -> None:
        last = time.monotonic()
        numbers = itertools.count()
        while not self._over.is_set():
            primary = self._place.primary
            try:
                with psycopg.connect(
                    self._place.members.url(primary or 0), autocommit=True
                ) as connection:
                    while not self._over.is_set():
                        number = next(numbers)
                        connection.execute("INSERT INTO written VALUES (%s)", (number,))
                        self.told.append(number)
                        self.longest = max(self.longest, time.monotonic() - last)
                        last = time.monotonic()
                        time.sleep(0.005)
            except psycopg.Error:
                time.sleep(0.1)


def eventually(question: Any, timeout: float = 60) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + timeout
    while not question():
        assert time.monotonic() < deadline, "it never was so"
        time.sleep(0.1)


def numbers(members: Members, number: int) -> set[int]:
    """What a member has."""
    return {int(line) for line in members.here(number, "SELECT n FROM written").split()}


def begin(place: Place) -> None:
    """Wait for the first primary, and make the table."""
    eventually(lambda: place.primary == 0)
    with psycopg.connect(place.members.url(0), autocommit=True) as connection:
        connection.execute("CREATE TABLE written (n bigint PRIMARY KEY)")


def test_a_primary_that_is_gone_is_replaced_and_no_told_commit_is_lost(place: Place) -> None:
    members = place.members
    with watching(place.watch()):
        begin(place)
        with Writer(place) as writer:
            eventually(lambda: len(writer.told) > 100)
            members.kill(0)
            eventually(lambda: place.primary in (1, 2))
            before = len(writer.told)
            eventually(lambda: len(writer.told) > before + 100)
            assert writer.longest < AFTER + 15
            print(f"no writes for {writer.longest:.1f} s")
            # Its node is there again: it becomes a replica, and what it alone had is gone.
            members.start(0)
            members.wait_ready(0)
            assert members.here(0, "SELECT pg_is_in_recovery()") == "t"
            eventually(lambda: len(writer.told) > before + 200)
        told = set(writer.told)
        for number in range(3):
            eventually(lambda number=number: told <= numbers(members, number), timeout=10)
        # And once more, back again: the cluster is as whole as it was.
        leader = place.primary
        assert leader is not None
        members.kill(leader)
        eventually(lambda: place.primary not in (None, leader))
        assert told <= numbers(members, place.primary)


def test_a_primary_behind_a_torn_network_tells_of_no_commit(place: Place) -> None:
    members = place.members
    answers: list[str] = []

    def insert(connection: psycopg.Connection[Any]) -> None:
        try:
            connection.execute("INSERT INTO written VALUES (-1)")
            answers.append("told")
        except psycopg.Error:
            answers.append("not told")

    with watching(place.watch()):
        begin(place)
        client = psycopg.connect(members.url(0), autocommit=True)
        with members.frozen(0):
            waiting = threading.Thread(target=insert, args=(client,))
            waiting.start()
            eventually(lambda: place.primary in (1, 2))
        # It writes, and finds nobody to confirm it, until its kubelet ends it.
        waiting.join(30)
        assert answers == ["not told"]
        members.wait_ready(0)
        assert members.here(0, "SELECT pg_is_in_recovery()") == "t"
        assert numbers(members, 0) == numbers(members, place.primary or 0) == set()


def test_nobody_is_promoted_by_a_minority(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    members = place.members
    with watching(place.watch()):
        begin(place)
        with Writer(place) as writer:
            eventually(lambda: len(writer.told) > 50)
            members.kill(1)
            # The other replica is enough to write on.
            before = len(writer.told)
            eventually(lambda: len(writer.told) > before + 50)
        members.kill(0)
        eventually(lambda: "nobody is promoted: 1 of the voting replicas" in caplog.text)
        time.sleep(AFTER)
        assert place.primary == 0
        assert members.here(2, "SELECT pg_is_in_recovery()") == "t"
        # With the one that missed some of it, the one that has it all is known.
        members.start(1)
        eventually(lambda: place.primary == 2)
        assert set(writer.told) <= numbers(members, 2)


def test_people_promote_the_last_member_that_had_followed(place: Place) -> None:
    members = place.members
    with watching(place.watch()):
        begin(place)
        members.kill(0)
        eventually(lambda: place.primary in (1, 2))
        second = place.primary or 0
        (third,) = {1, 2} - {second}
        with psycopg.connect(members.url(second), autocommit=True) as connection:
            connection.execute("INSERT INTO written VALUES (1)")
        # The second one goes for good, and the first comes back as the primary that it was.
        members.kill(second)
        members.start(0)
        members.wait_ready(0)
        time.sleep(AFTER + 2)
        assert place.primary == second
        # What the documentation says to do.
        members.here(third, "SELECT pg_promote()")
        eventually(lambda: place.primary == third)
        eventually(lambda: "becomes a replica" in members.log(0))
        members.wait_ready(0)
        assert numbers(members, third) == numbers(members, 0) == {1}


def test_a_primary_that_comes_back_in_time_stays(place: Place) -> None:
    members = place.members
    with watching(place.watch(after=60)):
        begin(place)
        members.kill(0)
        members.start(0)
        members.wait_ready(0)
        for number in (1, 2):
            members.wait_ready(number)
        assert place.primary == 0
        assert members.here(0, "SELECT pg_is_in_recovery()") == "f"


def test_a_wanted_member_leads_and_loses_nothing(place: Place) -> None:
    members = place.members
    path = f"/apis/coordination.k8s.io/v1/namespaces/{place.namespace}/leases/{WATCHER}"

    def notes() -> dict[str, str]:
        return dict(place.object("leases")["metadata"]["annotations"])

    with watching(place.watch(after=60)):
        begin(place)
        with Writer(place) as writer:
            eventually(lambda: len(writer.told) > 50)
            wish = {"metadata": {"annotations": {"inferloop.io/switch-to": members.names[2]}}}
            place.kube.api("PATCH", path, wish, form=MERGE)
            eventually(lambda: place.primary == 2)
            # Its kubelet ends the primary that is none any more.
            eventually(lambda: "becomes a replica" in members.log(0))
            members.wait_ready(0)
            before = len(writer.told)
            eventually(lambda: len(writer.told) > before + 50)
        eventually(lambda: "inferloop.io/switch-to" not in notes())
        told = set(writer.told)
        for number in range(3):
            eventually(lambda number=number: told <= numbers(members, number), timeout=10)
        wish["metadata"]["annotations"]["inferloop.io/switch-to"] = "demo-postgresql-7"
        place.kube.api("PATCH", path, wish, form=MERGE)
        time.sleep(2)
        assert place.primary == 2


def test_a_primary_that_is_busy_or_recovers_is_not_replaced(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    members = place.members
    with watching(place.watch()), contextlib.ExitStack() as clients:
        begin(place)
        with pytest.raises(psycopg.OperationalError):
            while True:
                clients.enter_context(psycopg.connect(members.url(0)))
        eventually(lambda: "takes no more connections" in caplog.text)
        time.sleep(AFTER + 1)
        # It stops when its clients have left, and refuses others meanwhile.
        psutil.Process(members.processes[0].pid).terminate()
        eventually(lambda: "no primary; it was demo-postgresql-0" in caplog.text)
        time.sleep(AFTER + 1)
        assert place.primary == 0
        assert "is promoted" not in caplog.text


def test_who_was_promised_a_timeline_gets_it_and_nobody_else(place: Place) -> None:
    members = place.members
    with watching(place.watch(after=60)):
        begin(place)
    password = members.folder / "secrets" / "database-replication-password"
    watched = Watched(read_members(members.file), password)
    # One was promised the next timeline when it was the furthest, and its promotion takes its time.
    watched.seal(watched.all[1])
    cluster = place.cluster("one")
    assert cluster.hold()
    assert cluster.write(Record(members.names[1], 2, cluster.record.system))
    # The other looks further meanwhile, by what no client was told of.
    members.here(0, "SET synchronous_commit = local; INSERT INTO written VALUES (1)")
    eventually(lambda: numbers(members, 2) == {1})
    members.kill(0)
    with watching(place.watch()):
        eventually(lambda: place.primary is not None and place.primary != 0)
        assert place.primary == 1
        assert members.here(1, "SELECT pg_is_in_recovery()") == "f"
        # What it alone had goes, and it follows: it is laid anew, and answers nobody meanwhile.

        def is_as_the_primary() -> bool:
            try:
                return numbers(members, 2) == set()
            except subprocess.CalledProcessError:
                return False

        eventually(is_as_the_primary, timeout=90)
        members.wait_ready(2)
        assert members.here(2, "SELECT pg_is_in_recovery()") == "t"


def test_who_only_heard_of_a_timeline_has_nothing_of_it(quiet: Place) -> None:
    members = quiet.members
    for number in range(3):
        members.start(number)
    for number in range(3):
        members.wait_ready(number)
    password = members.folder / "secrets" / "database-replication-password"
    watched = Watched(read_members(members.file), password)
    with watching(quiet.watch()):
        begin(quiet)
    # Somebody promotes one by hand that is behind another.
    behind = watched.seal(watched.all[1])
    many = "INSERT INTO written SELECT generate_series(1000, 9000)"
    members.here(0, f"SET synchronous_commit = local; {many}")
    eventually(lambda: len(numbers(members, 2)) == 8001)
    members.kill(0)
    watched.promote(behind)
    members.start(0)
    members.wait_ready(0)
    with watching(quiet.watch()):
        eventually(lambda: quiet.primary == 1)
        eventually((members.data(2) / "pg_wal" / "00000002.history").is_file)
    # That one tells of a commit, and goes.
    with psycopg.connect(members.url(1), autocommit=True) as connection:
        connection.execute("INSERT INTO written VALUES (1)")
    members.kill(1)
    with watching(quiet.watch()):
        eventually(lambda: quiet.primary not in (None, 1))
    assert quiet.primary == 0
    assert numbers(members, 0) == {1}


def test_a_watcher_that_stood_still_lets_nobody_receive_again(place: Place) -> None:
    members = place.members
    with watching(place.watch(after=60)):
        begin(place)
    password = members.folder / "secrets" / "database-replication-password"

    class Slow(Watched):
        """Its watcher stands still after it looked, and another takes the Lease."""

        def look(self) -> tuple[View | Refusal, ...]:
            found = super().look()
            path = f"/apis/coordination.k8s.io/v1/namespaces/{place.namespace}/leases/{WATCHER}"
            taken = place.kube.api("GET", path)
            taken["spec"]["holderIdentity"] = "other"
            place.kube.api("PUT", path, taken)
            return found

    watched = Slow(read_members(members.file), password)
    watched.seal(watched.all[2])
    Watch(place.cluster("one"), watched, after=60).round()
    assert members.here(2, "SELECT current_setting('primary_conninfo')") == ""


def test_where_there_was_a_database_no_empty_one_takes_its_place(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    members = place.members
    with watching(place.watch()):
        begin(place)
        with psycopg.connect(members.url(0), autocommit=True) as connection:
            connection.execute("INSERT INTO written VALUES (1)")
        eventually(lambda: numbers(members, 2) == numbers(members, 1) == {1})
        eventually((members.folder / "record" / "system").is_file)
        for number in range(3):
            members.kill(number)
        # The first one lost its volume, and nobody answers it.
        members.lose(0)
        members.start(0)
        eventually(lambda: "kubectl delete configmap,lease demo-postgresql-fail" in members.log(0))
        # Even where it does not know: what it then makes is not what was there.
        place.mounts = False
        eventually(lambda: "has another database" in caplog.text)
        assert place.primary is None
        assert members.log(0).count("makes a new database") == 2
        members.start(1)
        members.start(2)
        eventually(lambda: place.primary in (1, 2))
        assert numbers(members, place.primary or 0) == {1}


def test_the_first_watchers_make_one_record(quiet: Place) -> None:
    both = threading.Barrier(2)
    held: list[bool] = []

    def hold(cluster: Cluster) -> None:
        both.wait()
        held.append(cluster.hold())

    watchers = [
        threading.Thread(target=hold, args=(quiet.cluster(name),)) for name in ("one", "other")
    ]
    for watcher in watchers:
        watcher.start()
    for watcher in watchers:
        watcher.join()
    assert sorted(held) == [False, True]
    made = quiet.object("leases")["metadata"]
    assert made["name"] == WATCHER
    assert made["annotations"]["argocd.argoproj.io/compare-options"] == "IgnoreExtraneous"


def test_a_record_that_somebody_deleted_still_knows_the_database(quiet: Place) -> None:
    before = quiet.cluster("one")
    assert before.hold()
    assert before.write(Record("demo-postgresql-0", 1, "7"))
    before.remember()
    assert quiet.record() == {"system": "7"}
    path = f"/apis/coordination.k8s.io/v1/namespaces/{quiet.namespace}/leases/{WATCHER}"
    quiet.kube.api("DELETE", path)
    cluster = quiet.cluster("other")
    assert cluster.hold()
    assert cluster.record == Record(system="7")


def test_one_watcher_acts_and_a_stale_one_writes_nothing(quiet: Place) -> None:
    one, other = quiet.cluster("one"), quiet.cluster("other")
    assert one.hold()
    assert one.write(Record("demo-postgresql-1", 4))
    assert not other.hold()
    assert other.record == Record("demo-postgresql-1", 4)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{quiet.namespace}/leases/{WATCHER}"
    taken = quiet.kube.api("GET", path)
    taken["spec"]["holderIdentity"] = "third"
    quiet.kube.api("PUT", path, taken)
    assert not one.write(Record("demo-postgresql-2", 5))
    assert quiet.kube.api("GET", path)["metadata"]["annotations"]["inferloop.io/timeline"] == "4"


def test_a_watcher_that_is_silent_is_replaced(place: Place) -> None:
    with watching(place.watch("one")):
        eventually(lambda: place.primary == 0)
    place.members.kill(0)
    began = time.monotonic()
    with watching(place.watch("other")):
        eventually(lambda: place.primary in (1, 2))
    assert 15 <= time.monotonic() - began < 45


def test_the_selector_is_left_alone_by_who_applies_the_chart_again(quiet: Place) -> None:
    assert quiet.cluster("one").select("demo-postgresql-0")
    quiet.kube.apply(quiet.rendered("Service", PART), quiet.namespace)
    assert quiet.primary == 0


def test_what_the_role_does_not_name_is_refused(quiet: Place) -> None:
    cluster = quiet.cluster("one", service="another")
    assert cluster.hold()
    with pytest.raises(UnavailableError, match="403"):
        cluster.select("demo-postgresql-1")


def test_two_members_are_refused(tmp_path: Path) -> None:
    (tmp_path / "members").write_text("a h 1\nb h 2\n")
    with pytest.raises(ConfigError, match="majority"):
        read_members(tmp_path / "members")
