"""Kubeconfig files: written for tests, and read where somebody names one of a cluster."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.testbed.kube.pki import Authority


def write_kubeconfig(
    path: Path,
    server: str,
    authority: Authority,
    user: dict[str, str],
    *,
    namespace: str = "default",
    context: str = "test",
    server_name: str | None = None,
) -> Path:
    """Write a kubeconfig that needs no other file.

    Args:
        path: where; readable for its owner only.
        server: URL of the API server.
        authority: that signed the server's certificate.
        user: what the user shows: ``token``, or ``client-certificate-data`` and its key.
        namespace: of the context.
        context: its name.
        server_name: to ask for instead of the URL's host.
    """
    data = base64.b64encode(authority.certificate.read_bytes()).decode()
    cluster = {"server": server, "certificate-authority-data": data}
    if server_name is not None:
        cluster["tls-server-name"] = server_name
    whole = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [
            {
                "name": context,
                "context": {"cluster": "test", "user": "test", "namespace": namespace},
            }
        ],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(whole, indent=1))
    return path


def certificate_user(certificate: Path) -> dict[str, str]:
    """A user of a kubeconfig who shows a certificate; its key lies beside it."""
    files = {"certificate": certificate, "key": certificate.with_suffix(".key")}
    return {
        f"client-{name}-data": base64.b64encode(file.read_bytes()).decode()
        for name, file in files.items()
    }


def read_kubeconfig(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cluster and user of a kubeconfig's current context, what lies in files read in."""
    whole = YAML(typ="safe", pure=True).load(path)
    named = {one["name"]: one["context"] for one in whole["contexts"]}
    context = named[whole["current-context"]]
    cluster = next(c["cluster"] for c in whole["clusters"] if c["name"] == context["cluster"])
    user = next(u["user"] for u in whole["users"] if u["name"] == context["user"])
    return _inline(cluster, path.parent), _inline(user, path.parent)


def _inline(part: dict[str, Any], folder: Path) -> dict[str, Any]:
    made = dict(part)
    for name in ("certificate-authority", "client-certificate", "client-key"):
        if name in made:
            content = (folder / made.pop(name)).read_bytes()
            made[f"{name}-data"] = base64.b64encode(content).decode()
    return made
