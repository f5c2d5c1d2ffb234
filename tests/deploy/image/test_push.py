"""`image build` and `image push` as a user types them; the other side is an emulator of ECR."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.aws.account.session import Access, Session
from tabular.deploy.aws.preflight.world import World
from tabular.deploy.image.code import Code, digest
from tabular.errors import PreflightError
from tabular.version import __version__
from tests.cli.command import Answer, run
from tests.deploy.aws.harness import credentials
from tests.deploy.aws.made import stack_of
from tests.testbed.ministack import ACCOUNT, REGION, MiniStack, ministack_server

HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
STAND_IN = Path(__file__).with_name("stand_in.py")
PASSWORD = base64.b64encode(b"AWS:ministack-auth-token").decode()
ON_AWS = ("--provider", "aws", "--region", REGION)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    with ministack_server(tmp_path_factory.mktemp("ministack")) as found:
        yield found


@pytest.fixture
def aws(emulator: MiniStack) -> MiniStack:
    emulator.reset()
    return emulator


class Machine:
    """A machine with a container engine, and nothing in it yet."""

    def __init__(self, folder: Path, aws: MiniStack) -> None:
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir(parents=True)
        engine = programs / "podman"
        engine.write_text(f'#!/bin/sh\nexec {sys.executable} {STAND_IN} "$@"\n', encoding="utf-8")
        engine.chmod(0o755)
        self.environ = {
            **aws.environment(),
            "PATH": f"{programs}:/usr/bin:/bin",
            "STAND_IN": str(folder),
            "STAND_IN_REGISTRY": f"127.0.0.1:{aws.port}",
        }

    def run(self, *words: str, **more: str) -> Answer:
        """Run a command of `image`."""
        return run("image", *words, home=self.folder, extra={**self.environ, **more})

    def push(self, *words: str, **more: str) -> Answer:
        """Push to the emulator, without questions."""
        return self.run("push", *ON_AWS, "--yes", *words, **more)

    def log(self, what: str) -> list[Any]:
        """What the container engine was told."""
        log = self.folder / "log"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return [one[what] for one in map(json.loads, lines) if what in one]


@pytest.fixture
def machine(tmp_path: Path, aws: MiniStack) -> Machine:
    return Machine(tmp_path / "machine", aws)


def _pushed(machine: Machine) -> list[str]:
    return [str(one) for one in machine.log("pushed")]


def test_nothing_is_made_before_it_is_shown_and_asked(machine: Machine, aws: MiniStack) -> None:
    answer = machine.run("push", *ON_AWS)
    assert answer.code == 2
    assert "pass --yes" in answer.err
    shown = answer.err.split()
    assert [word for word in ("build", "create", "push") if word in shown] == [
        "build", "create", "push",
    ]  # fmt: skip
    assert "encrypted, scanned on push, tags that stay" in answer.err
    assert aws.client("ecr").describe_repositories()["repositories"] == []
    assert all(words[0] != "build" for words in machine.log("argv"))


def test_the_image_gets_where_a_deployment_looks_for_it(machine: Machine, aws: MiniStack) -> None:
    world = World(Session(Access(endpoint_url=aws.url), base=credentials()))
    stack = stack_of({"region": REGION})
    with pytest.raises(PreflightError, match="has no image") as caught:
        world.require_image(stack)
    hint = str(caught.value.hint).split()
    assert hint[:3] == ["inferloop-tabular", "image", "push"]

    answer = machine.run(*hint[2:], "--yes", "--json")
    assert answer.code == 0, answer.err
    world.require_image(stack)
    code = digest(Code.installed().read())
    said = answer.json
    assert said["image"] == f"{HOST}/inferloop-tabular:{__version__}"
    assert said["tags"] == [__version__, f"{__version__}-{code}"]
    (repository,) = aws.client("ecr").describe_repositories()["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["encryptionConfiguration"] == {"encryptionType": "AES256"}
    (image,) = aws.client("ecr").describe_images(repositoryName="inferloop-tabular")["imageDetails"]
    assert image["imageDigest"] == said["digest"]


def test_the_password_is_in_no_command_line_and_in_no_file_that_stays(
    machine: Machine, tmp_path: Path
) -> None:
    usual = tmp_path / "docker"
    (usual / "contexts").mkdir(parents=True)
    own = {
        "auths": {"registry.example.com": {"auth": "b3RoZXI="}},
        "credsStore": "desktop",
        "currentContext": "colima",
    }
    (usual / "config.json").write_text(json.dumps(own), encoding="utf-8")
    answer = machine.push(DOCKER_CONFIG=str(usual))
    assert answer.code == 0, answer.err
    assert PASSWORD not in json.dumps(machine.log("argv"))
    assert PASSWORD not in answer.out + answer.err
    for file, mode, config, beside in zip(
        *(machine.log(what) for what in ("file", "mode", "config", "beside")), strict=True
    ):
        assert mode == 0o600
        # Which daemon is asked stays as it is; what keeps passwords is not asked.
        assert config == {"currentContext": "colima", "auths": {HOST: {"auth": PASSWORD}}}
        assert beside == ["config.json", "contexts"]
        assert not Path(file).parent.exists()
    assert json.loads((usual / "config.json").read_text(encoding="utf-8")) == own
    assert (usual / "contexts").is_dir()


def test_what_is_there_is_not_pushed_again(
    machine: Machine, aws: MiniStack, tmp_path: Path
) -> None:
    first = machine.push("--json").json
    count = len(_pushed(machine))
    again = machine.run("push", *ON_AWS, "--json")  # and nothing is asked
    assert again.code == 0, again.err
    assert again.json == {**first, "pushed": False}
    assert len(_pushed(machine)) == count

    # Another machine has no image to compare, but the same code.
    other = Machine(tmp_path / "other", aws)
    answer = other.push("--json")
    assert answer.json == {**first, "pushed": False}
    assert all(words[0] not in ("build", "push") for words in other.log("argv"))


def test_a_tag_is_never_given_to_another_image(machine: Machine, aws: MiniStack) -> None:
    assert machine.push().code == 0
    reference = "localhost/mine:1"
    built = machine.run("build", "--tag", reference, "--base", "mirror/python:3.11", "--json")
    assert built.json["image"] == reference
    refused = machine.push("--image", reference)
    assert refused.code == 1
    assert "conflict.image" in refused.err
    assert "--tag NAME" in refused.err
    assert machine.push("--image", reference, "--tag", "mine").code == 0
    images = aws.client("ecr").describe_images(repositoryName="inferloop-tabular")["imageDetails"]
    assert sorted(len(image["imageTags"]) for image in images) == [1, 2]


def test_a_push_that_was_interrupted_goes_on(machine: Machine, aws: MiniStack) -> None:
    broken = machine.push(STAND_IN_REGISTRY="127.0.0.1:9")
    assert broken.code == 5
    assert "run the same command again" in broken.err
    assert aws.client("ecr").describe_images(repositoryName="inferloop-tabular")[
        "imageDetails"
    ] == []  # fmt: skip
    builds = [words for words in machine.log("argv") if words[0] == "build"]
    assert machine.push().code == 0
    assert [words for words in machine.log("argv") if words[0] == "build"] == builds


def test_what_arrives_is_compared_with_what_was_sent(machine: Machine) -> None:
    answer = machine.push(STAND_IN_MODE="corrupts")
    assert answer.code == 5
    assert "unavailable.integrity" in answer.err


def test_what_a_build_that_fails_says_is_told_once_and_why_again(machine: Machine) -> None:
    answer = machine.run("build", STAND_IN_MODE="no-base")
    assert answer.code == 5
    assert answer.err.count("Trying to pull the base image...") == 1
    assert "the build failed (podman): Error: no such host\n" in answer.err


@pytest.mark.parametrize(
    ("words", "more", "code", "says"),
    [
        (("--image", "nobody/has:this"), {}, 4, "has no image nobody/has:this"),
        (("--repository", "Capital"), {}, 2, "no name of a repository"),
        (("--engine", "no-such-engine"), {}, 1, "no-such-engine is not installed"),
        (("--region", "eu-wset-1"), {}, 2, "did you mean 'eu-west-1'"),
        (("--provider", "standalone", "--region", ""), {}, 3, "no registry of its own"),
        ((), {"STAND_IN_MODE": "no-base"}, 5, "--base"),
        ((), {"STAND_IN_ARCHITECTURE": "arm64"}, 1, "made for arm64"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(
    machine: Machine, words: tuple[str, ...], more: dict[str, str], code: int, says: str
) -> None:
    answer = machine.push(*words, **more)
    assert answer.code == code, answer.err
    assert says in answer.err
    assert _pushed(machine) == []
    assert "Traceback" not in answer.err
