"""The part of a kubelet that the API server itself asks: the output of containers, and programs."""

from __future__ import annotations

import contextlib
import datetime
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.testbed.kube.executing import serve_exec
from tests.testbed.kube.pki import Authority

FOLLOW_SECONDS = 60


def log_file(folder: Path, namespace: str, pod: str, container: str) -> Path:
    """The file whose lines are the output of a container."""
    return folder / namespace / pod / f"{container}.log"


@contextlib.contextmanager
def log_server(authority: Authority, folder: Path) -> Iterator[int]:
    """Serve the output of containers, and run programs in them, on a port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urllib.parse.urlsplit(self.path)
            parts = asked.path.strip("/").split("/")
            if parts[0] == "exec" and len(parts) == 4:
                with contextlib.suppress(OSError):
                    serve_exec(self, folder)
                return
            if parts[0] != "containerLogs" or len(parts) != 4:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            options = dict(urllib.parse.parse_qsl(asked.query))
            with contextlib.suppress(OSError):  # the reader went away
                self._send(log_file(folder, *parts[1:]), parts[3], options)

        def _send(self, file: Path, container: str, options: dict[str, str]) -> None:
            lines = _lines(file, container)
            tail = options.get("tailLines")
            shown = lines[-int(tail) :] if tail and int(tail) else [] if tail else lines
            known = len(lines)
            self._write(shown, options)
            deadline = time.monotonic() + FOLLOW_SECONDS
            while options.get("follow") == "true" and time.monotonic() < deadline:
                time.sleep(0.1)
                lines = _lines(file, container)
                self._write(lines[known:], options)
                known = len(lines)

        def _write(self, lines: list[str], options: dict[str, str]) -> None:
            stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ ")
            prefix = stamp if options.get("timestamps") == "true" else ""
            self.wfile.write("".join(f"{prefix}{line}\n" for line in lines).encode())
            self.wfile.flush()

        def log_message(self, *_: object) -> None:
            pass

    served = authority.server("kubelet")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(served, served.with_suffix(".key"))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def _lines(file: Path, container: str) -> list[str]:
    """Its file's lines; one that says hello where a test wrote none."""
    return file.read_text().splitlines() if file.exists() else [f"hello from {container}"]
