"""`bundle`, as a user types it: made of archives here, loaded into a real registry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tabular.version import __version__
from tests.cli.command import Answer
from tests.cli.command import run as run_command
from tests.deploy.onprem.airgap.bed import picture
from tests.testbed.registry import archive, registry

DEPLOYMENT = {
    "apiVersion": "synthdata.inferloop.io/v1",
    "kind": "Deployment",
    "metadata": {"name": "demo"},
    "spec": {"provider": "onprem"},
}


def run(home: Path, *words: str | Path) -> Answer:
    return run_command(*map(str, words), home=home, cwd=home)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "demo.json").write_text(json.dumps(DEPLOYMENT), encoding="utf-8")
    return tmp_path


def create(home: Path, output: str, *flags: str | Path, mark: str = "") -> Answer:
    """Make a bundle whose images are files here."""
    listed = run(home, "bundle", "create", "demo.json", "--list", "--json").json["images"]
    chosen: list[str] = []
    for number, name in enumerate(listed):
        path = archive(home / f"{number}{mark}.tar", picture(name, mark=mark))
        chosen += ["--image", f"{name}=archive:{path}"]
    return run(
        home, "bundle", "create", "demo.json", "--no-wheels", "--output", output, *chosen, *flags
    )


def test_what_a_deployment_takes_is_listed_without_a_network(home: Path) -> None:
    answer = run(home, "bundle", "create", "demo.json", "--list")
    assert answer.code == 0
    listed = answer.out.splitlines()
    assert f"inferloop/tabular:{__version__}" in listed
    assert listed == sorted(listed)
    more = run(home, "bundle", "create", "demo.json", "--list", "--enable-monitoring").out
    assert set(listed) < set(more.splitlines())


def test_a_bundle_is_made_verified_and_compared(home: Path) -> None:
    made = create(home, "old.tar", "--json")
    assert made.code == 0, made.err
    verified = run(home, "bundle", "verify", "old.tar")
    assert (verified.code, verified.out.splitlines()) == (
        0,
        ["old.tar is whole", f"  digest  {made.json['digest']}", "  signed  no"],
    )
    newer = create(home, "new", "--since", "old.tar", mark="2")
    assert newer.code == 0, newer.err
    assert "; 1 of their files are in the earlier one" in newer.out
    compared = run(home, "bundle", "diff", "old.tar", "new", "--json").json
    assert sum(one["kind"] == "image" for one in compared["changes"]) == 3
    assert compared["size"] > 0

    content = bytearray((home / "old.tar").read_bytes())
    content[content.index(b'{"imageLayoutVersion"')] ^= 1
    (home / "old.tar").write_bytes(content)
    damaged = run(home, "bundle", "verify", "old.tar")
    assert damaged.code == 1
    assert damaged.out == "images/oci-layout: its checksum is another\n"
    said = run(home, "bundle", "verify", "old.tar", "--json")
    assert (said.code, said.json["whole"]) == (1, False)
    assert list(said.json["problems"]) == ["images/oci-layout"]


def test_what_is_typed_wrong_is_a_sentence(home: Path) -> None:
    for words, said in (
        (("--image", "postgres=archive:x"), "the installation has no image postgres"),
        (("--provider", "aws"), "bundles are for onprem"),
        (("--mirror", "docker.io=registry.example", "--insecure"), "is for registries of this"),
        (("--key", "none.pem"), "the key cannot be used"),
        (("--since", "none.tar"), "there is no bundle"),
    ):
        answer = run(home, "bundle", "create", "demo.json", "--no-wheels", *words)
        assert answer.code != 0
        assert said in answer.err
        assert not (home / "bundle.tar").exists()
    asked = run(home, "bundle", "load", "none.tar", "--registry", "r.example")
    assert (asked.code, "there is no bundle" in asked.err) == (4, True)


@pytest.mark.debian
def test_a_deployment_takes_everything_from_the_registry_that_was_loaded(home: Path) -> None:
    assert create(home, "bundle.tar").code == 0
    with registry(home / "there") as there:
        words = ("bundle", "load", "bundle.tar", "--registry", f"{there.host}/site", "--insecure")
        asked = run(home, *words)
        assert (asked.code, "--yes" in asked.err) == (2, True)
        loaded = run(home, *words, "--yes", "--write", "values.yaml")
        assert loaded.code == 0, loaded.err
        assert there.tags("site/inferloop/tabular") == [__version__]
        again = run(home, *words, "--yes")
        assert again.code == 0, again.err
        assert " 0.0 MB were sent" in again.out
    written = json.loads((home / "values.yaml").read_text(encoding="utf-8"))
    assert written["imageRegistry"] == f"{there.host}/site"
    said = {line.partition("there: ")[2] for line in (loaded.out + again.out).splitlines()} - {""}
    assert "--values values.yaml" in said
    for flags in said:
        listed = run(home, "bundle", "create", "demo.json", "--list", *flags.split())
        images = listed.out.splitlines()
        assert images, listed.err
        assert all(one.startswith(f"{there.host}/site/") and "@sha256:" in one for one in images)
    assert len(said) == 2
