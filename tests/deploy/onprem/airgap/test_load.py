"""A registry has, by digest, what the bundle has, and nothing is taken from elsewhere."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tabular.deploy.onprem.airgap import images
from tabular.deploy.onprem.airgap.contents import Release
from tabular.deploy.onprem.airgap.load import load
from tabular.deploy.onprem.airgap.opened import Opened
from tabular.deploy.onprem.airgap.registry.connection import Access
from tabular.deploy.onprem.rendered.rendering import render
from tabular.errors import (
    EngineError,
    ForbiddenError,
    IntegrityError,
    NotFoundError,
    PreflightError,
    TabularError,
    UnavailableError,
    UsageError,
)
from tests.deploy.onprem.airgap.bed import RELEASE, SHARED, make, picture
from tests.deploy.onprem.chart.cases import merged
from tests.testbed.disk import fill as fill_disk
from tests.testbed.disk import small_disk
from tests.testbed.faults import ALWAYS, Fault, faults_before
from tests.testbed.registry import Registry, digest, image, layer, registry
from tests.testbed.tls import make_certificate, tls_in_front_of

pytestmark = pytest.mark.debian
QUICK = Access(insecure=True, environ={}, pause=lambda seconds: None)


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path / "there") as server:
        yield server


def pulled(reference: str) -> dict[str, bytes]:
    """An image as another client gets it by its digest: manifest and blobs."""
    name, _, wanted = reference.partition("@")
    host, _, path = name.partition("/")
    base = f"http://{host}/v2/{path.rpartition(':')[0] if ':' in path else path}"
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    answer = httpx.get(f"{base}/manifests/{wanted}", headers=accept)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    found = {wanted: answer.content}
    for one in (said["config"], *said["layers"]):
        found[one["digest"]] = httpx.get(f"{base}/blobs/{one['digest']}").content
    return found


@pytest.mark.parametrize("name", ["bundle", "bundle.tar"])
def test_every_image_can_be_pulled_by_the_digest_that_the_values_name(
    there: Registry, tmp_path: Path, name: str
) -> None:
    bundle = make(tmp_path, name)
    loaded = load(bundle.path, f"{there.host}/platform", QUICK)
    values = merged(RELEASE.values, loaded.values, {"secrets": {"generate": True}})
    rendered = images.named(render(values, name="demo", namespace="demo-prod"))
    assert len(rendered) == len(images.of(RELEASE)) == bundle.images
    expected = {digest(picture(one).manifest) for one in images.of(RELEASE)}
    assert {one.partition("@")[2] for one in rendered} == expected
    for one in rendered:
        assert one.startswith(f"{there.host}/platform/")
        for said, content in pulled(one).items():
            assert digest(content) == said
    assert there.tags("platform/library/postgres") == ["18.6"]


def test_a_second_time_nothing_is_sent(there: Registry, tmp_path: Path) -> None:
    bundle = make(tmp_path)
    first = load(bundle.path, there.host, QUICK)
    with faults_before(there.url) as proxy:
        # The host is in the answer, so the same registry is loaded under the proxy's name.
        second = load(bundle.path, proxy.endpoint.removeprefix("http://"), QUICK)
    assert first.sent > 0
    assert second.sent == 0
    assert [line for line in proxy.seen if not line.startswith(("HEAD", "GET"))] == []
    # The layer that all images have is sent once.
    assert first.kept == bundle.images - 1


def test_a_tag_that_is_there_is_never_given_to_another_image(
    there: Registry, tmp_path: Path
) -> None:
    other = there.put("library/postgres", "18.6", image(layer("other", b"other")))
    bundle = make(tmp_path)
    loaded = load(bundle.path, there.host, QUICK)
    own = digest(picture("docker.io/library/postgres:18.6").manifest)
    short = own.removeprefix("sha256:")[:16]
    assert there.tags("library/postgres") == ["18.6", f"18.6-{short}"]
    reference = loaded.references["docker.io/library/postgres:18.6"]
    assert reference == f"{there.host}/library/postgres:18.6-{short}@{own}"
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    answer = httpx.head(f"{there.url}/v2/library/postgres/manifests/18.6", headers=accept)
    assert answer.headers["Docker-Content-Digest"] == other


def test_a_damaged_bundle_touches_no_registry(there: Registry, tmp_path: Path) -> None:
    bundle = make(tmp_path, "bundle.tar")
    content = bytearray(bundle.path.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.path.write_bytes(content)
    with faults_before(there.url) as proxy, pytest.raises(IntegrityError, match="is damaged"):
        load(bundle.path, proxy.endpoint.removeprefix("http://"), QUICK)
    assert proxy.seen == []


def test_what_the_registry_lacks_of_the_earlier_bundle_is_named(
    there: Registry, tmp_path: Path
) -> None:
    old = make(tmp_path, "old.tar")
    new = make(tmp_path, "new.tar", mark="2", since=old.path)
    shared = digest(SHARED).removeprefix("sha256:")
    with faults_before(there.url) as proxy:
        with pytest.raises(PreflightError, match="the registry lacks 1 files") as told:
            load(new.path, proxy.endpoint.removeprefix("http://"), QUICK)
        assert not any(line.startswith(("POST", "PATCH", "PUT")) for line in proxy.seen)
    assert old.digest[:16] in told.value.message
    assert told.value.code == "engine.no-base"
    load(old.path, there.host, QUICK)
    loaded = load(new.path, there.host, QUICK)
    for reference in loaded.references.values():
        assert f"sha256:{shared}" in pulled(reference)


def test_what_another_repository_has_is_taken_over(there: Registry, tmp_path: Path) -> None:
    """An image that is new in a differential bundle stands on layers that another one brought."""
    old = make(tmp_path, "old.tar")
    values = {**RELEASE.values, "redis": {"enabled": True}}
    release = Release(name="demo", namespace="x", kube_version="1.30", values=values)
    from tabular.deploy.onprem.airgap.sources import Sources
    from tests.deploy.onprem.airgap.bed import files

    sources = Sources(chosen=files(tmp_path / "more", release))
    new = make(tmp_path, "new.tar", since=old.path, release=release, sources=sources)
    assert not any(
        SHARED in Opened.open(new.path).read(name) for name in Opened.open(new.path).files
    )
    load(old.path, there.host, QUICK)
    loaded = load(new.path, there.host, QUICK)
    valkey = next(name for name in loaded.references if "valkey" in name)
    assert digest(SHARED) in pulled(loaded.references[valkey])


def test_a_load_that_was_cut_goes_on(there: Registry, tmp_path: Path) -> None:
    bundle = make(tmp_path)
    with faults_before(there.url) as proxy:
        server = proxy.endpoint.removeprefix("http://")
        proxy.fault = Fault("reset", method="PUT", path="manifests", after=1, times=ALWAYS)
        with pytest.raises(UnavailableError):
            load(bundle.path, server, QUICK)
        proxy.fault = None
        proxy.seen.clear()
        loaded = load(bundle.path, server, QUICK)
        # The first image and the blobs of the second are there.
        assert sum(line.startswith("PUT") and "manifests" in line for line in proxy.seen) == 2
    assert loaded.kept >= 4
    assert len(loaded.references) == bundle.images


@pytest.mark.parametrize(
    ("method", "status", "error", "words"),
    [
        ("PATCH", 413, EngineError, "client_max_body_size"),
        ("PATCH", 403, ForbiddenError, ""),
        ("PATCH", 507, EngineError, "disk is full"),
        ("POST", 405, EngineError, "read-only"),
        ("POST", 404, NotFoundError, "made before anything is pushed"),
    ],
)
def test_a_refusal_is_not_asked_for_again_and_says_what_to_do(
    there: Registry,
    tmp_path: Path,
    method: str,
    status: int,
    error: type[TabularError],
    words: str,
) -> None:
    bundle = make(tmp_path)
    waits: list[float] = []
    access = Access(insecure=True, environ={}, pause=waits.append)
    with faults_before(there.url) as proxy:
        proxy.fault = Fault("refuse", method=method, status=status, times=ALWAYS)
        with pytest.raises(error) as told:
            load(bundle.path, proxy.endpoint.removeprefix("http://"), access)
    assert words in (told.value.hint or "")
    assert waits == []


@pytest.mark.root
def test_a_registry_whose_disk_is_full_is_told_so_and_goes_on_with_room(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    said: list[str] = []
    with small_disk(tmp_path / "disk", "8m") as disk, registry(disk / "registry") as full:
        fill_disk(disk, 4096)
        with pytest.raises(UnavailableError) as told:
            load(bundle.path, full.host, QUICK, tell=said.append)
        assert told.value.hint is not None and "disk is full" in told.value.hint
        assert said[-1] == f"0 of {bundle.images} images are there, and stay"
        (disk / "filler").unlink()
        assert len(load(bundle.path, full.host, QUICK).references) == bundle.images


def test_a_registry_with_an_authority_of_its_own_behind_a_proxy_that_does_its_tls(
    there: Registry, tmp_path: Path
) -> None:
    """It takes itself for one of plain HTTP, and says so in each answer."""
    bundle = make(tmp_path)
    certificate, key = make_certificate(tmp_path)
    port = int(there.host.rpartition(":")[2])
    with tls_in_front_of(port, certificate, key) as secure:
        place = f"localhost:{secure}/platform"
        started = httpx.post(
            f"https://localhost:{secure}/v2/x/blobs/uploads/",
            verify=ssl.create_default_context(cafile=certificate),
        )
        assert started.headers["Location"].startswith("http://"), "the test needs it"
        with pytest.raises(UnavailableError) as told:
            load(bundle.path, place, Access(environ={}, pause=lambda seconds: None))
        assert told.value.hint == "its authority is not known here: --ca-file FILE"
        known = Access(environ={}, authorities=certificate, pause=lambda seconds: None)
        assert len(load(bundle.path, place, known).references) == bundle.images
    assert there.tags("platform/library/postgres") == ["18.6"]


def test_no_layer_is_sent_in_the_clear_to_another_server(there: Registry, tmp_path: Path) -> None:
    """Which is not there: whoever tries to reach it gets another error."""
    bundle = make(tmp_path)
    certificate, key = make_certificate(tmp_path)
    with faults_before(there.url) as proxy:
        headers = {"Location": "http://uploads.example/v2/x"}
        proxy.fault = Fault("refuse", method="POST", status=202, headers=headers, times=ALWAYS)
        port = int(proxy.endpoint.rpartition(":")[2])
        with tls_in_front_of(port, certificate, key) as secure:
            known = Access(environ={}, authorities=certificate, pause=lambda seconds: None)
            with pytest.raises(ForbiddenError, match="which is not encrypted"):
                load(bundle.path, f"localhost:{secure}", known)


def test_http_is_refused_to_other_machines(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    with pytest.raises(UsageError, match="--insecure is for registries of this machine"):
        load(bundle.path, "registry.example:5000/platform", QUICK)


def test_the_contents_are_plain_json(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    said = json.loads((bundle.path / "bundle.json").read_bytes())
    assert said["release"]["name"] == "demo"
    assert [one["name"] for one in said["images"]] == list(images.of(RELEASE))
