"""The client of registries, against a real one, and against lines that break."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tabular.deploy.onprem.airgap.contents import Blob
from tabular.deploy.onprem.airgap.registry import pulling, pushing
from tabular.deploy.onprem.airgap.registry.connection import Access, Shelf
from tabular.errors import (
    ForbiddenError,
    IntegrityError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from tests.deploy.onprem.airgap.tokens import token_server
from tests.testbed.faults import ALWAYS, Fault, faults_before
from tests.testbed.registry import (
    PASSWORD,
    USER,
    Image,
    Registry,
    digest,
    image,
    layer,
    registry,
    several,
)

pytestmark = pytest.mark.debian
LARGE = layer("large", bytes(range(256)) * 80_000 + b"end")
BIG = bytes(17 * 1024 * 1024 + 5)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as server:
        yield server


def quick(waits: list[float] | None = None) -> Access:
    """Access that notes its pauses instead of waiting."""
    return Access(insecure=True, environ={}, pause=(waits if waits is not None else []).append)


def blob(content: bytes) -> Blob:
    return Blob(digest=digest(content), size=len(content))


def host(endpoint: str) -> str:
    return endpoint.removeprefix("http://")


ONE, OTHER = image(LARGE), image(layer("arm", b"arm"), architecture="arm64")


@pytest.mark.parametrize("wanted", ["1", "digest"])
def test_the_image_of_one_platform_is_found_in_a_list(there: Registry, wanted: str) -> None:
    both = several({"linux/arm64/v8": OTHER, "linux/amd64": ONE})
    listed = there.put("team/app", "1", both)
    asked = wanted if wanted == "1" else listed
    with Shelf(there.host, "team/app", quick()) as shelf:
        found = pulling.manifest(shelf, asked, "linux/amd64")
        assert found.digest == digest(ONE.manifest)
        assert [one.digest for one in found.blobs("")] == [digest(one) for one in ONE.blobs]
        assert pulling.manifest(shelf, asked, "linux/arm64").digest == digest(OTHER.manifest)
        with pytest.raises(UnsupportedError, match="only for linux/amd64, linux/arm64/v8"):
            pulling.manifest(shelf, asked, "linux/s390x")


def test_docker_s_own_kind_keeps_its_digest(there: Registry) -> None:
    old = image(layer("old", b"old"), docker=True)
    there.put("team/old", "1", old)
    with Shelf(there.host, "team/old", quick()) as shelf:
        found = pulling.manifest(shelf, "1", "linux/amd64")
    assert (found.digest, found.media_type) == (digest(old.manifest), old.media_type)


def test_what_is_not_there_is_a_sentence(there: Registry) -> None:
    with Shelf(there.host, "team/none", quick()) as shelf:
        with pytest.raises(NotFoundError, match="no such image") as told:
            pulling.manifest(shelf, "1", "linux/amd64")
        assert told.value.where == f"{there.host}/team/none:1"
        with pytest.raises(NotFoundError):
            pulling.fetch(shelf, blob(b"none"), Path("none"))


def test_a_line_that_breaks_is_gone_on_with(there: Registry, tmp_path: Path) -> None:
    there.put("team/app", "1", ONE)
    part = tmp_path / "part"
    waits: list[float] = []
    with (
        faults_before(there.url) as proxy,
        Shelf(host(proxy.endpoint), "team/app", quick(waits)) as shelf,
    ):
        proxy.fault = Fault("cut-down", path="blobs", least=10_000, times=3)
        pulling.fetch(shelf, blob(LARGE), part)
    assert part.read_bytes() == LARGE
    assert proxy.fault is not None and proxy.fault.fired == 3
    # What got on is not waited for.
    assert waits == []


def test_a_part_of_an_earlier_run_is_not_asked_for_again(there: Registry, tmp_path: Path) -> None:
    there.put("team/app", "1", ONE)
    part = tmp_path / "part"
    part.write_bytes(LARGE[:-10])
    with (
        faults_before(there.url) as proxy,
        Shelf(host(proxy.endpoint), "team/app", quick()) as shelf,
    ):
        # Answers longer than what is missing would be flipped.
        proxy.fault = Fault("flip-down", path="blobs", least=11, times=ALWAYS)
        pulling.fetch(shelf, blob(LARGE), part)
    assert part.read_bytes() == LARGE


@pytest.mark.parametrize("kind", ["refuse", "reset"])
def test_a_registry_that_stays_away_is_given_up(there: Registry, tmp_path: Path, kind: str) -> None:
    waits: list[float] = []
    with (
        faults_before(there.url) as proxy,
        Shelf(host(proxy.endpoint), "team/app", quick(waits)) as shelf,
    ):
        proxy.fault = Fault(kind, times=ALWAYS, headers={"Retry-After": "3"})
        with pytest.raises(UnavailableError) as told:
            pulling.manifest(shelf, "1", "linux/amd64")
    assert told.value.where == f"{host(proxy.endpoint)}/team/app"
    assert waits == ([3.0, 3.0, 3.0, 3.0, 4.0] if kind == "refuse" else [0.2, 0.5, 1.0, 2.0, 4.0])


def test_a_pause_that_a_registry_asks_for_is_kept_for_blobs_too(
    there: Registry, tmp_path: Path
) -> None:
    there.put("team/app", "1", ONE)
    waits: list[float] = []
    with (
        faults_before(there.url) as proxy,
        Shelf(host(proxy.endpoint), "team/app", quick(waits)) as shelf,
    ):
        headers = {"Retry-After": "7"}
        proxy.fault = Fault("refuse", path="blobs", status=429, headers=headers, times=2)
        pulling.fetch(shelf, blob(LARGE), tmp_path / "part")
        proxy.fault = Fault("refuse", path="blobs", status=429, headers=headers, times=ALWAYS)
        with pytest.raises(UnavailableError) as told:
            pulling.fetch(shelf, blob(LARGE), tmp_path / "other")
    assert waits == [7.0] * 7
    assert "podman login" in str(told.value.hint)


def test_a_manifest_that_changed_on_its_way_is_found(there: Registry) -> None:
    there.put("team/app", "1", ONE)
    with (
        faults_before(there.url) as proxy,
        Shelf(host(proxy.endpoint), "team/app", quick()) as shelf,
    ):
        proxy.fault = Fault("flip-down", path="manifests")
        with pytest.raises(IntegrityError, match="gives a manifest with the digest"):
            pulling.manifest(shelf, "1", "linux/amd64")


def push(shelf: Shelf, content: bytes) -> None:
    def read(start: int) -> Iterator[bytes]:
        yield from (
            content[at : at + 1024 * 1024] for at in range(start, len(content), 1024 * 1024)
        )

    pushing.put(shelf, blob(content), read)


def test_a_blob_goes_in_pieces_and_arrives(there: Registry) -> None:
    with Shelf(there.host, "team/big", quick(), push=True) as shelf:
        assert not pushing.has(shelf, blob(BIG))
        push(shelf, BIG)
        assert pushing.has(shelf, blob(BIG))
        push(shelf, b"")
        assert pushing.has(shelf, blob(b""))
    assert there.blob_file(blob(BIG).sha256).read_bytes() == BIG


@pytest.mark.parametrize("kind", ["cut-up", "lose", "reset-after", "refuse"])
@pytest.mark.parametrize(("method", "after"), [("PATCH", 0), ("PATCH", 2), ("PUT", 0), ("POST", 0)])
def test_an_upload_that_breaks_goes_on(there: Registry, kind: str, method: str, after: int) -> None:
    content = BIG + f"{kind} {method} {after}".encode()
    with (
        faults_before(there.url) as proxy,
        Shelf(host(proxy.endpoint), "team/broken", quick(), push=True) as shelf,
    ):
        proxy.fault = Fault(kind, method=method, path="uploads", after=after, times=2)
        push(shelf, content)
        assert proxy.fault.fired == 2
    assert there.blob_file(blob(content).sha256).read_bytes() == content


def test_what_changed_on_its_way_is_not_taken(there: Registry) -> None:
    content = BIG + b"flipped"
    with (
        faults_before(there.url) as proxy,
        Shelf(host(proxy.endpoint), "team/flipped", quick(), push=True) as shelf,
    ):
        proxy.fault = Fault("flip-up", method="PATCH")
        with pytest.raises(IntegrityError, match="does not take the blob"):
            push(shelf, content)
    assert not there.blob_file(blob(content).sha256).exists()


def test_a_blob_of_another_repository_is_taken_over(there: Registry) -> None:
    content = b"shared by two"
    with Shelf(there.host, "team/first", quick(), push=True) as first:
        push(first, content)
    with Shelf(there.host, "team/second", quick(), push=True, beside=("team/first",)) as second:
        assert not pushing.has(second, blob(content))
        assert not pushing.take_over(second, blob(b"nobody has it"), "team/first")
        assert pushing.take_over(second, blob(content), "team/first")
        assert pushing.has(second, blob(content))


def login(folder: Path, server: str, user: str, password: str) -> dict[str, str]:
    """What `docker login` leaves behind."""
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    said = {"auths": {server: {"auth": pair}}}
    (folder / "config.json").write_text(json.dumps(said), encoding="utf-8")
    return {"HOME": str(folder), "DOCKER_CONFIG": str(folder)}


@pytest.fixture
def small() -> Image:
    return image(layer("small", b"small"))


def test_a_password_opens_a_registry_that_is_shut(tmp_path: Path, small: Image) -> None:
    with registry(tmp_path, shut=True) as shut:
        shut.put("team/app", "1", small, auth=(USER, PASSWORD))
        with Shelf(shut.host, "team/app", quick()) as nobody:
            with pytest.raises(UnauthenticatedError) as told:
                pulling.manifest(nobody, "1", "linux/amd64")
            assert str(told.value.hint).startswith(f"podman login {shut.host}; ")
        for password, opens in ((PASSWORD, True), ("wrong", False)):
            access = Access(insecure=True, environ=login(tmp_path, shut.host, USER, password))
            with Shelf(shut.host, "team/app", access) as shelf:
                if opens:
                    found = pulling.manifest(shelf, "1", "linux/amd64")
                    assert found.digest == digest(small.manifest)
                else:
                    with pytest.raises(UnauthenticatedError) as told:
                        pulling.manifest(shelf, "1", "linux/amd64")
                    assert "wrong" not in str(told.value)


def test_tokens_are_asked_for_as_hubs_want_it(tmp_path: Path, small: Image) -> None:
    with token_server(tmp_path) as tokens, registry(tmp_path / "shut", lines=tokens.lines) as shut:
        access = Access(insecure=True, environ=login(tmp_path, shut.host, USER, PASSWORD))
        with Shelf(shut.host, "team/app", access, push=True, beside=("team/other",)) as shelf:
            for content in small.blobs:
                push(shelf, content)
            pushing.put_manifest(
                shelf, "1", digest(small.manifest), small.media_type, small.manifest
            )
            assert pulling.manifest(shelf, "1", "linux/amd64").digest == digest(small.manifest)
        # One token serves all of it, and the password goes to nobody else.
        assert tokens.asked == [["repository:team/app:pull,push", "repository:team/other:pull"]]
        tokens.busy, waits = 2, []
        access = Access(insecure=True, environ=access.environ, pause=waits.append)
        with Shelf(shut.host, "team/app", access) as shelf:
            assert pulling.manifest(shelf, "1", "linux/amd64").digest == digest(small.manifest)
            tokens.busy = 100
        assert waits == [0.2, 0.5]
        with (
            Shelf(shut.host, "team/app", access) as shelf,
            pytest.raises(UnavailableError, match=r"at http://127\.0\.0\.1:\d+/token answers 503"),
        ):
            pulling.manifest(shelf, "1", "linux/amd64")
        tokens.busy = 0
        with (
            Shelf(shut.host, "team/app", quick()) as nobody,
            pytest.raises(UnauthenticatedError, match="no such image, or wants a sign-in"),
        ):
            pulling.manifest(nobody, "1", "linux/amd64")
        wrong = Access(insecure=True, environ=login(tmp_path, shut.host, USER, "wrong"))
        with (
            Shelf(shut.host, "team/app", wrong) as shelf,
            pytest.raises(ForbiddenError, match="the name or the password is wrong"),
        ):
            pulling.manifest(shelf, "1", "linux/amd64")


def test_a_password_is_not_sent_where_anybody_could_read_it(
    there: Registry, tmp_path: Path
) -> None:
    """A registry, or who plays one, names a place for sign-ins that is not encrypted."""
    with faults_before(there.url) as proxy:
        server = host(proxy.endpoint)
        access = Access(insecure=True, environ=login(tmp_path, server, USER, PASSWORD))
        challenge = {"WWW-Authenticate": 'Bearer realm="http://tokens.example/t",service="x"'}
        proxy.fault = Fault("refuse", status=401, headers=challenge, times=ALWAYS)
        with (
            Shelf(server, "team/app", access) as shelf,
            pytest.raises(
                ForbiddenError, match=re.escape("http://tokens.example, which is not encrypted")
            ),
        ):
            pulling.manifest(shelf, "1", "linux/amd64")


def test_a_password_does_not_follow_to_another_server(there: Registry, tmp_path: Path) -> None:
    """Blobs often lie with a cloud's store, to which registries lead."""
    there.put("team/app", "1", ONE)
    with faults_before(there.url) as near, faults_before(there.url) as far:
        server = host(near.endpoint)
        access = Access(insecure=True, environ=login(tmp_path, server, USER, PASSWORD))
        target = f"{far.endpoint}/v2/team/app/blobs/{digest(LARGE)}"
        with Shelf(server, "team/app", access) as shelf:
            near.fault = Fault(
                "refuse", status=401, headers={"WWW-Authenticate": 'Basic realm="x"'}
            )
            pulling.manifest(shelf, "1", "linux/amd64")
            near.fault = Fault("refuse", status=307, headers={"Location": target}, path="blobs")
            pulling.fetch(shelf, blob(LARGE), tmp_path / "part")
    assert near.authorizations[-1] is not None
    assert far.seen == [f"GET /v2/team/app/blobs/{digest(LARGE)}"]
    assert far.authorizations == [None]


def test_plain_http_is_for_this_machine_alone() -> None:
    with pytest.raises(UsageError, match="and registry"):
        Shelf("registry.example", "app", Access(insecure=True, environ={}))


def test_a_registry_without_encryption_says_what_to_do(there: Registry) -> None:
    access = Access(environ={}, pause=lambda seconds: None)
    with Shelf(there.host, "team/app", access) as shelf, pytest.raises(UnavailableError) as told:
        pulling.manifest(shelf, "1", "linux/amd64")
    assert told.value.hint is not None and "--insecure" in told.value.hint
