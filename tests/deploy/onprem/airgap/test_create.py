"""A bundle has what an installation takes, the same each time, whatever happened on the way."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tabular.deploy.onprem.airgap import chart, images
from tabular.deploy.onprem.airgap.contents import Release
from tabular.deploy.onprem.airgap.create import Order, create
from tabular.deploy.onprem.airgap.difference import difference
from tabular.deploy.onprem.airgap.opened import Opened
from tabular.deploy.onprem.airgap.reference import Reference
from tabular.deploy.onprem.airgap.sources import Sources
from tabular.deploy.onprem.airgap.verify import verify
from tabular.deploy.onprem.rendered.rendering import render
from tabular.errors import (
    BusyError,
    ConflictError,
    InputError,
    IntegrityError,
    NotFoundError,
    PreflightError,
    RefusedError,
)
from tests.deploy.onprem.airgap.bed import (
    RELEASE,
    SHARED,
    described,
    files,
    fill,
    hub,
    make,
    picture,
)
from tests.deploy.onprem.chart.cases import CASES
from tests.testbed.disk import fill as fill_disk
from tests.testbed.disk import small_disk
from tests.testbed.faults import ALWAYS, Fault, faults_before
from tests.testbed.parts import binary, module
from tests.testbed.registry import Registry, archive, digest, image, layer, registry

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize("case", sorted(CASES))
def test_each_image_of_the_chart_is_found_and_can_be_moved(case: str) -> None:
    """Whatever the values: an image that no value moves would be pulled from the internet."""
    release = Release(name="demo", namespace="data", kube_version="1.30", values=CASES[case])
    named = images.of(release)
    assert named
    digests = {name: f"sha256:{number:064x}" for number, name in enumerate(named)}
    values = images.values_for(release, digests, "registry.corp:5000/platform")
    moved = render({**CASES[case], **_laid(CASES[case], values)}, name="demo", namespace="data")
    found = images.named(moved)
    assert len(found) == len(set(digests.values()))
    assert all(one.startswith("registry.corp:5000/platform/") for one in found)
    assert {Reference.parse(one).digest for one in found} == set(digests.values())


def _laid(under: object, over: object) -> dict[str, object]:
    from tests.deploy.onprem.chart.cases import merged

    return merged(under, over)  # type: ignore[arg-type]


def test_helm_takes_the_packed_chart(tmp_path: Path) -> None:
    helm = module("helm_python", package="helm-python-sdk")
    content = chart.packed()
    assert content == chart.packed()
    assert gzip.decompress(content)
    # Each zlib deflates to other bytes.
    assert _is_stored(content)
    path = tmp_path / chart.FILE
    path.write_bytes(content)
    loaded = helm.Chart.load(path)
    values = {**RELEASE.values, "secrets": {"generate": True}}
    rendered = loaded.render(values, name="demo", namespace="demo-prod")
    assert any("kind: Deployment" in text for text in rendered.values())


def _is_stored(content: bytes) -> bool:
    """Whether a file of gzip has blocks alone that are copied as they are (RFC 1951)."""
    at, last = 10, 0
    while not last:
        last, kind = content[at] & 1, content[at] >> 1
        if kind:
            return False
        at += 5 + int.from_bytes(content[at + 1 : at + 3], "little")
    return at == len(content) - 8


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    for turn, mask in (("first", 0o022), ("second", 0o077)):
        before = os.umask(mask)
        try:
            make(tmp_path / turn, "bundle.tar")
            make(tmp_path / turn, "bundle")
        finally:
            os.umask(before)
        time.sleep(1.1)  # so that a time that got in would show
    first, second = tmp_path / "first", tmp_path / "second"
    assert (first / "bundle.tar").read_bytes() == (second / "bundle.tar").read_bytes()
    assert Opened.open(first / "bundle").digest == Opened.open(second / "bundle.tar").digest
    stats = [path.stat() for path in sorted((second / "bundle").rglob("*")) if path.is_file()]
    assert {(one.st_mtime, one.st_mode & 0o777) for one in stats} == {(315_532_800, 0o644)}


def test_a_bundle_has_an_image_layout_that_others_read(tmp_path: Path) -> None:
    made = make(tmp_path)
    index = json.loads((made.path / "images/index.json").read_bytes())
    names = {
        one["annotations"]["org.opencontainers.image.ref.name"]: one for one in index["manifests"]
    }
    assert sorted(names) == list(images.of(RELEASE))
    for name, entry in names.items():
        one = picture(name)
        assert entry["digest"] == digest(one.manifest)
        for content in (one.manifest, *one.blobs):
            path = made.path / "images/blobs/sha256" / digest(content).removeprefix("sha256:")
            assert path.read_bytes() == content
    assert json.loads((made.path / "images/oci-layout").read_bytes()) == {
        "imageLayoutVersion": "1.0.0"
    }


def test_the_bill_of_materials_keeps_to_its_schema(tmp_path: Path) -> None:
    made = make(tmp_path)
    text = (made.path / "sbom.cdx.json").read_text(encoding="utf-8")
    assert _schema_errors(text) is None
    bill = json.loads(text)
    containers = [one for one in bill["components"] if one["type"] == "container"]
    assert [one["name"] for one in containers] == list(images.of(RELEASE))
    postgres = next(one for one in containers if "postgres" in one["name"])
    manifest = digest(picture(postgres["name"]).manifest)
    assert postgres["hashes"] == [{"alg": "SHA-256", "content": manifest.removeprefix("sha256:")}]
    assert postgres["purl"].startswith(f"pkg:oci/postgres@{manifest.replace(':', '%3A')}?")
    # It can be seen to refuse something.
    bill["components"][0]["type"] = "nonsense"
    assert _schema_errors(json.dumps(bill)) is not None


def _schema_errors(text: str) -> object:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)


def test_what_cannot_be_had_is_said_before_anything_is_made(tmp_path: Path) -> None:
    chosen = files(tmp_path / "images")
    name = sorted(chosen)[0]
    wrong = {
        "archive:/none.tar": (InputError, "cannot be read"),
        f"archive:{ROOT / 'README.md'}": (InputError, "cannot be read"),
        f"archive:{_not_oci(tmp_path)}": (InputError, "has no OCI layout"),
        f"archive:{_half(tmp_path)}": (IntegrityError, "the image is not whole"),
        f"archive:{_arm(tmp_path)}": (RefusedError, "is made for linux/arm64"),
        "no name": (InputError, "is no name of an image"),
    }
    for source, (error, words) in wrong.items():
        order = Order(RELEASE, sources=Sources(chosen={**chosen, name: source}), wheels=False)
        with pytest.raises(error, match=words):
            create(order, tmp_path / "bundle")
        assert not (tmp_path / "bundle").exists()
    make(tmp_path)
    with pytest.raises(ConflictError, match="it is there already"):
        make(tmp_path)


def _not_oci(folder: Path) -> Path:
    path = folder / "docker.tar"
    with tarfile.open(path, "w") as file:
        file.add(ROOT / "README.md", "manifest.json")
    return path


def _half(folder: Path) -> Path:
    one = picture("half")
    return archive(folder / "half.tar", type(one)(one.manifest, one.media_type, one.blobs[:1]))


def _arm(folder: Path) -> Path:
    return archive(folder / "arm.tar", image(layer("arm", b"arm"), architecture="arm64"))


DAMAGED = {
    "cut": lambda whole: gzip.compress(whole)[:-200],
    "flipped": lambda whole: (packed := gzip.compress(whole))[:200] + b"\xff" + packed[201:],
    "no-json": lambda whole: _archived(b"{"),
    "no-object": lambda whole: _archived(b"[]"),
    "no-digest": lambda whole: _archived(b'{"manifests": [{}]}'),
    "no-entry": lambda whole: _archived(b'{"manifests": ["x"]}'),
    "no-end": lambda whole: _archived(b"[" * 200_000),
}


def _archived(index: bytes) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as file:
        info = tarfile.TarInfo("index.json")
        info.size = len(index)
        file.addfile(info, io.BytesIO(index))
    return plain.getvalue()


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_archive_is_a_sentence(tmp_path: Path, damage: str) -> None:
    chosen = files(tmp_path / "images")
    path = Path(next(iter(chosen.values())).removeprefix("archive:"))
    path.write_bytes(DAMAGED[damage](path.read_bytes()))
    order = Order(RELEASE, sources=Sources(chosen=chosen), wheels=False)
    with pytest.raises(InputError, match=r"cannot be read|is not understood") as told:
        create(order, tmp_path / "bundle.tar")
    assert told.value.where == str(path)


def test_a_damaged_archive_gives_no_bundle(tmp_path: Path) -> None:
    chosen = files(tmp_path / "images")
    path = Path(next(iter(chosen.values())).removeprefix("archive:"))
    content = path.read_bytes()
    at = content.index(SHARED) + len(SHARED) // 2
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    order = Order(RELEASE, sources=Sources(chosen=chosen), wheels=False)
    with pytest.raises(IntegrityError, match="does not have the digest"):
        create(order, tmp_path / "bundle.tar")
    assert not (tmp_path / "bundle.tar").exists()


def test_one_command_at_a_time_makes_a_bundle(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from tabular.deploy.onprem.airgap.store import Store\n"
        "with Store.at(Path(sys.argv[1])):\n"
        "    print('here', flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", code, str(tmp_path / "bundle.partial")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(BusyError, match="another command makes this bundle"):
            make(tmp_path)
    assert make(tmp_path).path.is_dir()


def test_what_an_earlier_bundle_has_is_left_out(tmp_path: Path) -> None:
    old = make(tmp_path, "old.tar")
    new = make(tmp_path, "new.tar", mark="2", since=old.path)
    whole = make(tmp_path, "whole.tar", mark="2")
    had, has = Opened.open(old.path), Opened.open(new.path)
    assert verify(has).problems == {}
    shared = f"images/blobs/sha256/{digest(SHARED).removeprefix('sha256:')}"
    assert shared in had.files
    assert shared not in has.files
    lacking = Opened.open(whole.path).files.keys() - has.files.keys()
    assert lacking == {shared}
    assert (new.left_out, whole.left_out) == (1, 0)
    found = difference(had, has)
    assert {one.name for one in found.changes if one.kind == "image"} == set(images.of(RELEASE))
    assert difference(had, has) == difference(had, Opened.open(whole.path))
    # A third one builds on both.
    third = make(tmp_path, "third.tar", mark="3", since=new.path)
    assert shared not in Opened.open(third.path).files
    same = make(tmp_path, "same.tar", mark="3", since=third.path)
    layers = [name for name in Opened.open(same.path).files if "/blobs/" in name]
    assert len(layers) == len(images.of(RELEASE))  # the manifests alone
    assert verify(Opened.open(same.path)).problems == {}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as found:
        fill(found, size=3_000_000)
        yield found


@pytest.mark.debian
def test_images_come_from_a_registry_for_one_platform(server: Registry, tmp_path: Path) -> None:
    made = create(Order(RELEASE, sources=hub(server.host), wheels=False), tmp_path / "bundle")
    contents = Opened.open(made.path).contents()
    assert {one.name: one.manifest.digest for one in contents.images} == {
        name: digest(picture(name, size=3_000_000).manifest) for name in images.of(RELEASE)
    }
    arm = Order(RELEASE, "linux/arm64", hub(server.host), wheels=False)
    other = create(arm, tmp_path / "arm")
    assert other.size < 500_000
    with pytest.raises(RefusedError, match="the earlier bundle is for linux/amd64"):
        create(Order(RELEASE, "linux/arm64", wheels=False, since=made.path), tmp_path / "x")


@pytest.mark.debian
def test_an_image_that_is_nowhere_says_what_to_do(server: Registry, tmp_path: Path) -> None:
    values = {**RELEASE.values, "image": {"repository": "inferloop/none"}}
    release = RELEASE.model_copy(update={"values": values})
    with pytest.raises(NotFoundError, match="no such image") as told:
        create(Order(release, sources=hub(server.host), wheels=False), tmp_path / "bundle")
    assert told.value.where == f"{server.host}/hub/inferloop/none:0.1.0"
    assert told.value.hint is not None and "--image" in told.value.hint


ARGUMENTS = ("--mirror", "docker.io={0}/hub", "--mirror", "quay.io={0}/hub", "--insecure")


def start(endpoint: str, output: Path, config: Path) -> subprocess.Popen[bytes]:
    """The command that makes the bundle, as a user runs it."""
    command = binary("inferloop-tabular", package="inferloop-tabular")
    flags = [one.format(endpoint.removeprefix("http://")) for one in ARGUMENTS]
    return subprocess.Popen(
        [command, "bundle", "create", config, "--output", output, "--no-wheels", *flags],
        env={"HOME": str(output.parent), "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return described(tmp_path)


def killed(process: subprocess.Popen[bytes], reached: Callable[[], object]) -> None:
    """Kill a command at a moment that is not its own."""
    deadline = time.monotonic() + 120
    while process.poll() is None and not reached():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.debian
@pytest.mark.slow
@pytest.mark.parametrize("name", ["bundle.tar", "bundle"])
def test_a_killed_command_is_gone_on_with_at_any_moment(
    server: Registry, tmp_path: Path, config: Path, name: str
) -> None:
    whole, cut = tmp_path / "whole" / name, tmp_path / "cut" / name
    for folder in (whole.parent, cut.parent):
        folder.mkdir()
    process = start(server.url, whole, config)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said.decode()
    work = cut.with_name(f"{name}.partial")
    with faults_before(server.url) as proxy:
        for kind, path, after in (
            ("stall", "manifests", 1),
            ("stall", "blobs", 0),
            ("stall", "blobs", 3),
        ):
            fault = proxy.fault = Fault(kind, path=path, after=after, times=ALWAYS)
            killed(start(proxy.endpoint, cut, config), lambda fault=fault: fault.fired)
            assert not cut.exists()
        proxy.fault = None
        for late in (work / "images/index.json", work / "SHA256SUMS"):
            killed(start(proxy.endpoint, cut, config), late.exists)
        if not cut.exists():
            process = start(proxy.endpoint, cut, config)
            _, said = process.communicate(timeout=120)
            assert process.returncode == 0, said.decode()
    assert Opened.open(cut).digest == Opened.open(whole).digest
    assert verify(Opened.open(cut)).problems == {}
    if name.endswith(".tar"):
        assert cut.read_bytes() == whole.read_bytes()


@pytest.mark.debian
def test_what_came_once_is_not_asked_for_again(server: Registry, tmp_path: Path) -> None:
    blobs = {
        digest(one) for name in images.of(RELEASE) for one in picture(name, size=3_000_000).blobs
    }
    with faults_before(server.url) as proxy:
        order = Order(RELEASE, sources=hub(proxy.endpoint.removeprefix("http://")), wheels=False)
        proxy.fault = Fault("refuse", path="blobs", after=4, status=404, times=ALWAYS)
        with pytest.raises(NotFoundError):
            create(order, tmp_path / "bundle")
        proxy.fault = None
        first = {line.rpartition("/")[2] for line in proxy.seen if "/blobs/" in line}
        before = {path.name for path in (tmp_path / "bundle.partial/images/blobs/sha256").iterdir()}
        proxy.seen.clear()
        create(order, tmp_path / "bundle")
        second = {line.rpartition("/")[2] for line in proxy.seen if "/blobs/" in line}
    assert before & {one.removeprefix("sha256:") for one in blobs}
    assert not {one.removeprefix("sha256:") for one in second} & before
    assert first | second == blobs


@pytest.mark.root
def test_what_a_run_left_that_was_killed_late_takes_no_room(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from tests.deploy.onprem.airgap.bed import make\n"
        "sys.addaudithook(lambda event, args: event == 'os.rename' and "
        "str(args[1]).endswith('/bundle.tar') and os.kill(os.getpid(), signal.SIGKILL))\n"
        "make(Path(sys.argv[1]), 'bundle.tar')"
    )
    with small_disk(tmp_path / "disk", "12m") as disk:
        argv = [sys.executable, "-c", code, str(disk)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert not (disk / "bundle.tar").exists()
        (left,) = (path for path in disk.rglob("*.tar") if path.stat().st_size > 300_000)
        with left.open("ab") as file:  # as if the bundle were large
            file.write(bytes(shutil.disk_usage(disk).free - 1_000_000))
        made = make(disk, "bundle.tar")
        assert verify(Opened.open(made.path)).problems == {}
        assert sorted(path.name for path in disk.iterdir()) == ["bundle.tar", "images"]


@pytest.mark.debian
@pytest.mark.root
def test_a_disk_that_is_too_small_is_seen_before(server: Registry, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "12m") as disk:
        order = Order(RELEASE, sources=hub(server.host), wheels=False)
        create(order, tmp_path / "bundle")
        fill_disk(disk, 4_200_000)
        with pytest.raises(PreflightError, match=r"the disk lacks .* MB") as told:
            create(order, disk / "bundle.tar")
        assert told.value.code == "engine.storage"
        assert not (disk / "bundle.tar").exists()
        assert not list((disk / "bundle.tar.partial/.parts").iterdir())


@pytest.mark.debian
@pytest.mark.root
def test_a_disk_that_fills_on_the_way_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    """Somebody else takes the room while the layers come; with room, the same command goes on."""
    with registry(tmp_path) as large:
        fill(large, size=60_000_000)
        with small_disk(tmp_path / "disk", "24m") as disk, faults_before(large.url) as proxy:
            order = Order(RELEASE, sources=hub(proxy.endpoint[7:]), wheels=False)
            filler = disk / "filler"

            def tell(line: str) -> None:
                if line.startswith("bringing"):
                    fill_disk(disk, 100_000)

            greedy = Order(
                RELEASE, sources=Sources(order.sources.access, order.sources.mirrors, tell=tell),
                wheels=False,
            )  # fmt: skip
            with pytest.raises(PreflightError, match="No space left") as told:
                create(greedy, disk / "bundle")
            assert "are free" in told.value.message
            assert not (disk / "bundle").exists()
            filler.unlink()
            made = create(order, disk / "bundle")
            assert verify(Opened.open(made.path)).problems == {}
