"""A bill of materials of a bundle, in the form that scanners and auditors read: CycloneDX 1.6.

It lists what a bundle carries, with digests, and does not look into images. It has no time and no
random number, as the bundle has none.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from tabular.deploy.image.code import DISTRIBUTION

from .contents import WHEELS, Contents, Image
from .reference import DOCKER_HUB, Reference
from .wheels import named

_ROOT = "bundle"


def document(contents: Contents, sums: Mapping[str, str]) -> bytes:
    """The bill.

    Args:
        contents: what the bundle says of itself.
        sums: SHA-256 of its files by path, and of those that it leaves to its base.
    """
    wheels = sorted(path for path in sums if path.startswith(f"{WHEELS}/") and ".whl" in path)
    parts = [
        _chart(contents, sums),
        *(_image(image) for image in contents.images),
        *(_wheel(path, sums[path]) for path in wheels),
    ]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "bom-ref": _ROOT,
                "type": "application",
                "name": f"{DISTRIBUTION}-bundle",
                "version": contents.version,
            }
        },
        "components": parts,
        "dependencies": [{"ref": _ROOT, "dependsOn": sorted(_refs(parts))}],
    }
    text = json.dumps(bill, sort_keys=True)
    bill["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, text)}"
    return json.dumps(bill, sort_keys=True, indent=1).encode() + b"\n"


def _refs(parts: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    return (part["bom-ref"] for part in parts)


def _chart(contents: Contents, sums: Mapping[str, str]) -> dict[str, Any]:
    return {
        "bom-ref": contents.chart,
        "type": "file",
        "name": contents.chart,
        "version": contents.version,
        "hashes": _hashes(sums[contents.chart]),
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }


def _image(image: Image) -> dict[str, Any]:
    said = Reference.parse(image.name)
    short = said.path.rpartition("/")[2]
    asked = {"repository_url": f"{said.host or DOCKER_HUB}/{said.path}"}
    if said.tag:
        asked["tag"] = said.tag
    digest = image.manifest.digest
    purl = f"pkg:oci/{quote(short)}@{quote(digest, safe='')}?{urlencode(asked)}"
    return {
        "bom-ref": image.name,
        "type": "container",
        "name": image.name,
        "version": digest,
        "hashes": _hashes(image.manifest.sha256),
        "purl": purl,
    }


def _wheel(path: str, sha256: str) -> dict[str, Any]:
    name, version = named(path.removeprefix(f"{WHEELS}/"))
    return {
        "bom-ref": path,
        "type": "library",
        "name": name,
        "version": version,
        "hashes": _hashes(sha256),
        "purl": f"pkg:pypi/{quote(name)}@{quote(version)}",
    }


def _hashes(sha256: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": sha256}]
