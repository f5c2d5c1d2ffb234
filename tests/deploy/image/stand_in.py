"""A container engine for tests: a program that keeps images as JSON and pushes over HTTP.

It keeps the promises that `tabular.deploy.image.builder` relies on: how images are described, that
the same context is the same image, and where the secret of a registry is looked for. What it
pushes, the emulator of ECR takes by the protocol that all registries speak.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import stat
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

STATE = Path(os.environ["STAND_IN"])
IMAGES = STATE / "images.json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def images() -> dict[str, Any]:
    return dict(json.loads(IMAGES.read_text("utf-8"))) if IMAGES.exists() else {}


def keep(name: str, image: dict[str, Any]) -> None:
    IMAGES.write_text(json.dumps({**images(), name: image}), encoding="utf-8")


def note(**what: Any) -> None:
    with (STATE / "log").open("a", encoding="utf-8") as log:
        log.write(json.dumps(what) + "\n")


def build(words: list[str]) -> None:
    said = dict(pairwise(words))
    context = Path(words[-1])
    whole = hashlib.sha256(said["--build-arg"].encode())
    for path in sorted(context.rglob("*")):
        whole.update(str(path.relative_to(context)).encode())
        whole.update(path.read_bytes() if path.is_file() else b"")
    if os.environ.get("STAND_IN_MODE") == "no-base":
        print("Trying to pull the base image...")
        sys.exit("Error: no such host")
    architecture = os.environ.get("STAND_IN_ARCHITECTURE", said["--platform"].partition("/")[2])
    print("STEP 1/6: FROM " + said["--build-arg"])
    keep(
        said["-t"],
        {"Id": whole.hexdigest(), "Architecture": architecture, "Size": 400_000_000,
         "RepoDigests": []},
    )  # fmt: skip


def push(reference: str) -> None:
    host, _, rest = reference.partition("/")
    repository, _, tag = rest.rpartition(":")
    file = Path(os.environ["REGISTRY_AUTH_FILE"])
    assert file == Path(os.environ["DOCKER_CONFIG"]) / "config.json"
    beside = sorted(path.name for path in file.parent.iterdir())
    signed = json.loads(file.read_text("utf-8"))
    mode = stat.S_IMODE(file.stat().st_mode)
    note(pushed=reference, file=str(file), mode=mode, config=signed, beside=beside)
    image = images()[reference]
    identity = "0" * 64 if os.environ.get("STAND_IN_MODE") == "corrupts" else image["Id"]
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2}
    manifest = {
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
        "config": {**config, "digest": f"sha256:{identity}"},
    }  # fmt: skip
    headers = {
        "Host": host,
        "Content-Type": MANIFEST,
        "Authorization": f"Basic {signed['auths'][host]['auth']}",
    }
    connection = http.client.HTTPConnection(os.environ["STAND_IN_REGISTRY"])
    path = f"/v2/{repository}/manifests/{tag}"
    connection.request("PUT", path, json.dumps(manifest).encode(), headers)
    answer = connection.getresponse()
    if answer.status != http.HTTPStatus.CREATED:
        sys.exit(f"Error: {answer.status} {answer.read().decode()}")
    print("Writing manifest to image destination")


def main(words: list[str]) -> None:
    note(argv=words)
    if words[:2] == ["image", "inspect"]:
        found = images().get(words[2])
        sys.exit("Error: no such image") if found is None else print(json.dumps([found]))
    elif words[0] == "build":
        build(words)
    elif words[0] == "tag":
        keep(words[2], images()[words[1]])
    elif words[0] == "push":
        push(words[1])
    elif words != ["info"]:
        sys.exit(f"unknown: {words}")


main(sys.argv[1:])
