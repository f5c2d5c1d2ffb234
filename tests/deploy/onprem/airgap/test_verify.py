"""Whatever is done to a bundle on its way is found, and named."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabular.deploy.onprem.airgap import archive, signing, wheels
from tabular.deploy.onprem.airgap.contents import (
    CONTENTS,
    LOCK,
    PUBLIC_KEY,
    SIGNATURE,
    SUMS,
    digest_of,
    sums_to_bytes,
)
from tabular.deploy.onprem.airgap.difference import difference
from tabular.deploy.onprem.airgap.opened import Opened
from tabular.deploy.onprem.airgap.verify import Verdict, require_whole, verify
from tabular.errors import ConfigError, IntegrityError, NotFoundError
from tests.deploy.onprem.airgap.bed import make
from tests.testbed.parts import binary


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A private key and its public one, as openssl makes them."""
    folder = tmp_path_factory.mktemp("keys")
    private, public = folder / "key.pem", folder / "key.pub"
    openssl = str(binary("openssl", package="openssl"))
    make_key = [openssl, "genpkey", "-algorithm", "ed25519", "-out", str(private)]
    subprocess.run(make_key, check=True, capture_output=True)
    subprocess.run(
        [openssl, "pkey", "-in", str(private), "-pubout", "-out", str(public)], check=True
    )
    return private, public


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, keys: tuple[Path, Path]) -> Path:
    """A signed bundle: `bundle` the folder and `bundle.tar` the file."""
    folder = tmp_path_factory.mktemp("signed")
    made = [make(folder, name, key=keys[0]) for name in ("bundle", "bundle.tar")]
    assert made[0].digest == made[1].digest
    return folder


def look(path: Path, key: Path | None = None) -> Verdict:
    return verify(Opened.open(path), key)


@pytest.mark.parametrize("name", ["bundle", "bundle.tar"])
def test_a_bundle_is_whole_as_it_was_made(signed: Path, keys: tuple[Path, Path], name: str) -> None:
    seen: list[str] = []
    verdict = verify(Opened.open(signed / name), keys[1], seen.append)
    assert verdict.problems == {}
    assert verdict.trusted
    assert not look(signed / name).trusted
    assert sorted(seen) == sorted(Opened.open(signed / name).sums())


def test_coreutils_and_openssl_say_the_same_without_us(
    signed: Path, keys: tuple[Path, Path]
) -> None:
    folder = signed / "bundle"
    check = ["sha256sum", "--check", "--strict", "--quiet", SUMS]
    done = subprocess.run(check, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    openssl = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(keys[1]), "-rawin"]
    said = subprocess.run(
        [*openssl, "-in", SUMS, "-sigfile", SIGNATURE],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Verified Successfully" in said.stdout


def test_tar_unpacks_the_file_to_the_folder(signed: Path, tmp_path: Path) -> None:
    subprocess.run(["tar", "-xf", signed / "bundle.tar", "-C", tmp_path], check=True)
    assert look(tmp_path).problems == {}
    assert look(tmp_path).digest == look(signed / "bundle").digest


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_changed_byte_anywhere_in_the_file_is_found(signed: Path, data: st.DataObject) -> None:
    content = (signed / "bundle.tar").read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    mask = data.draw(st.integers(1, 255))
    damaged = signed / "damaged.tar"
    damaged.write_bytes(content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :])
    verdict = look(damaged)
    assert verdict.problems, f"byte {at} ^ {mask}"
    # Where a file has it, that is the file that is named.
    for name, (_, offset, size) in Opened.open(signed / "bundle.tar").files.items():
        if offset <= at < offset + size and name not in (SUMS, PUBLIC_KEY):
            assert name in verdict.problems


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_changed_byte_in_any_file_of_the_folder_is_found(
    signed: Path, data: st.DataObject
) -> None:
    bundle = Opened.open(signed / "bundle")
    name = data.draw(st.sampled_from(sorted(bundle.files)))
    path = signed / "bundle" / name
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    mask = data.draw(st.integers(1, 255))
    try:
        path.write_bytes(content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :])
        problems = look(signed / "bundle").problems
        assert problems, f"{name}: byte {at} ^ {mask}"
        assert name in problems or name == SUMS
    finally:
        path.write_bytes(content)


def test_no_changed_bit_of_a_key_or_a_signature_is_an_accident(signed: Path) -> None:
    """Among them are kinds of keys that nobody knows."""
    bundle = Opened.open(signed / "bundle")
    pem, signature, sums = (bundle.read(name) for name in (PUBLIC_KEY, SIGNATURE, SUMS))
    signing.check(pem, signature, sums, "here")
    for content, which in ((pem, 0), (signature, 1)):
        for at in range(len(content)):
            for bit in range(8):
                changed = content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]
                given = (changed, signature) if which == 0 else (pem, changed)
                with contextlib.suppress(IntegrityError):
                    signing.check(*given, sums, "here")
                    assert which == 0, "another signature of the same"


EVIL = "x\x1b[2K\rbundle is whole\n"


def test_a_name_of_somebody_elses_moves_no_cursor(signed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(signed / "bundle", folder)
    for name in (EVIL, "\udcff"):
        (folder / name).write_bytes(b"")
    content = (signed / "bundle.tar").read_bytes()
    (tmp_path / "more.tar").write_bytes(archive.header(EVIL, 0) + content)
    (tmp_path / "twice.tar").write_bytes(archive.header(EVIL, 0) * 2 + content)
    (tmp_path / "late.tar").write_bytes(archive.header(EVIL, 1) + b"x" * 512 + content)
    for path in (folder, *tmp_path.glob("*.tar")):
        said = [" ".join(one) for one in look(path).problems.items()]
        assert all(line.isprintable() for line in said)
        assert any("x\\x1b[2K\\r" in line for line in said)
    with pytest.raises(IntegrityError) as told:
        require_whole(Opened.open(folder), None)
    assert told.value.message.isprintable()


def closed(signed: Path, folder: Path, files: Mapping[str, bytes]) -> Path:
    """A bundle with other files and the checksums of them: by whoever signs nothing."""
    shutil.copytree(signed / "bundle", folder)
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    for name in (SIGNATURE, PUBLIC_KEY, SUMS):
        (folder / name).unlink()
    there = (path for path in folder.rglob("*") if path.is_file())
    sums = {path.relative_to(folder).as_posix(): digest_of(path.read_bytes()) for path in there}
    (folder / SUMS).write_bytes(sums_to_bytes(sums))
    return folder


def test_contents_that_cannot_be_read_are_named(signed: Path, tmp_path: Path) -> None:
    said = json.loads((signed / "bundle" / CONTENTS).read_bytes())
    image = {**said["images"][0], "name": EVIL}
    for number, (text, words) in enumerate(
        (
            (b"[" * 200_000, "no JSON"),
            (b"[]", "bundle.json is damaged"),
            (json.dumps({**said, "images": [image]}).encode(), "images.0.name"),
        )
    ):
        path = closed(signed, tmp_path / str(number), {CONTENTS: text})
        assert words in look(path).problems[CONTENTS]
    path = closed(
        signed, tmp_path / "chart", {CONTENTS: json.dumps({**said, "chart": "x"}).encode()}
    )
    assert look(path).problems == {"x": "no bundle has it"}
    (change,) = difference(Opened.open(path), Opened.open(signed / "bundle")).changes
    assert (change.kind, change.old) == ("chart", "")


def test_a_lock_with_a_wheel_that_no_bundle_has_is_found(signed: Path, tmp_path: Path) -> None:
    """Or the command line would be whole, and not installable behind the gap."""
    name, lock = "wheels/a-1.0-py3-none-any.whl", wheels.lock({"a-1.0-py3-none-any.whl": b"a"})
    good = closed(signed, tmp_path / "good", {name: b"a", LOCK: lock.encode()})
    assert look(good).problems == {}
    bad = closed(signed, tmp_path / "bad", {name: b"", LOCK: lock.encode()})
    assert look(bad).problems == {LOCK: "no bundle has a wheel that it names"}


def _remove(folder: Path) -> str:
    (folder / "images/index.json").unlink()
    return "images/index.json: it is missing"


def _add(folder: Path) -> str:
    (folder / "images/blobs/sha256/more").write_bytes(b"")
    return "images/blobs/sha256/more: it does not belong to the bundle"


def _link(folder: Path) -> str:
    path = folder / "images/index.json"
    path.rename(folder.parent / "elsewhere")
    path.symlink_to(folder.parent / "elsewhere")
    return "images/index.json: it is neither a file nor a folder"


def _cut(folder: Path) -> str:
    path = folder / "bundle.json"
    path.write_bytes(path.read_bytes()[:-1])
    return "bundle.json: its checksum is another"


def _unsign(folder: Path) -> str:
    (folder / SIGNATURE).unlink()
    return f"{SIGNATURE}: {SIGNATURE} is missing"


def _forget(folder: Path) -> str:
    """Somebody takes a layer out of the list as well."""
    sums = Opened.open(folder).sums()
    gone = next(name for name in sorted(sums) if "/blobs/" in name)
    del sums[gone]
    (folder / gone).unlink()
    for name in (SIGNATURE, PUBLIC_KEY):
        (folder / name).unlink()
    sums.pop(PUBLIC_KEY)
    (folder / SUMS).write_bytes(sums_to_bytes(sums))
    return f"{gone}: no bundle has it"


@pytest.mark.parametrize("change", [_remove, _add, _link, _cut, _unsign, _forget])
def test_what_was_done_to_it_is_named(
    signed: Path, tmp_path: Path, change: Callable[[Path], str]
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(signed / "bundle", folder)
    said = change(folder)
    verdict = look(folder)
    assert said in [f"{name}: {what}" for name, what in verdict.problems.items()]
    with pytest.raises(IntegrityError, match="the bundle is damaged"):
        require_whole(Opened.open(folder), None)


def test_a_file_that_ends_early_or_late_is_found(signed: Path, tmp_path: Path) -> None:
    content = (signed / "bundle.tar").read_bytes()
    path = tmp_path / "cut.tar"
    for changed in (content[:-1], content[: len(content) // 2], content + b"\0", b""):
        path.write_bytes(changed)
        assert "cut.tar" in look(path).problems


def test_another_key_and_no_signature_are_told_apart(
    signed: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    private, public = tmp_path / "other.pem", tmp_path / "other.pub"
    make_key = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(private)]
    subprocess.run(make_key, check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    assert look(signed / "bundle", public).problems == {SIGNATURE: "it is signed with another key"}
    make(tmp_path, "plain")
    assert look(tmp_path / "plain").signer == ""
    assert look(tmp_path / "plain", public).problems == {SIGNATURE: "the bundle is not signed"}
    with pytest.raises(ConfigError, match="no key in PEM form") as told:
        look(signed / "bundle", signed / "bundle/bundle.json")
    assert "openssl genpkey" in str(told.value)
    with pytest.raises(ConfigError, match="no key in PEM form"):
        look(signed / "bundle", private)


def test_no_bundle_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no bundle"):
        look(tmp_path / "none.tar")
    assert SUMS in look(tmp_path).problems
