"""The part of a kubelet that runs programs in containers: here, those that a test lets run.

A fake node has no containers, so a program runs on this machine, with the variables that the test
says a container has. The protocol is the kubelet's own: ``v4.channel.k8s.io`` over a websocket,
which the API server hands through byte for byte.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

PROTOCOL = Subprotocol("v4.channel.k8s.io")
_OUT, _ERR, _STATUS = b"\x01", b"\x02", b"\x03"
_SECONDS = 120


def container_file(folder: Path, namespace: str, pod: str, container: str) -> Path:
    """The file that says what a container runs: JSON with ``env``, or with ``instead``."""
    return folder / namespace / pod / f"{container}.exec.json"


def serve_exec(handler: BaseHTTPRequestHandler, folder: Path) -> None:
    """Answer a request for ``/exec/NAMESPACE/POD/CONTAINER``."""
    asked = urllib.parse.urlsplit(handler.path)
    words = urllib.parse.parse_qs(asked.query).get("command", [])
    file = container_file(folder, *asked.path.strip("/").split("/")[1:])
    protocol = ServerProtocol(subprotocols=[PROTOCOL])
    request = Request(handler.path, Headers(handler.headers.items()))
    response = protocol.accept(request)
    protocol.send_response(response)
    _flush(handler, protocol)
    if response.status_code != 101:
        return
    for channel, data in _ran(file, words):
        protocol.send_binary(channel + data)
    protocol.send_close(1000)
    _flush(handler, protocol)


def _ran(file: Path, words: list[str]) -> list[tuple[bytes, bytes]]:
    if not file.exists():
        said = {"status": "Failure", "reason": "InternalError", "message": "there is no container"}
        return [(_STATUS, json.dumps({"metadata": {}, **said}).encode())]
    told = json.loads(file.read_text())
    program = told.get("instead") or [sys.executable if w == "python" else w for w in words]
    env = {"PATH": os.environ["PATH"], **told.get("env", {})}
    done = subprocess.run(program, env=env, capture_output=True, timeout=_SECONDS, check=False)
    return [(_OUT, done.stdout), (_ERR, done.stderr), (_STATUS, _status(done.returncode))]


def _status(code: int) -> bytes:
    """As a kubelet words it; the texts are those of Kubernetes 1.20 with containerd."""
    found: dict[str, Any] = {"metadata": {}, "status": "Success"}
    if code:
        cause = {"reason": "ExitCode", "message": str(code)}
        found |= {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": [cause]}}
        found["message"] = f"command terminated with non-zero exit code: exit code {code}"
    return json.dumps(found).encode()


def _flush(handler: BaseHTTPRequestHandler, protocol: ServerProtocol) -> None:
    handler.wfile.write(b"".join(protocol.data_to_send()))
    handler.wfile.flush()
    handler.close_connection = True
