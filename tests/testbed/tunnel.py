"""A proxy that lets through what it cannot read: CONNECT alone, for who has its password."""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote


@dataclass
class Tunnel:
    """A running proxy.

    Attributes:
        url: with user and password.
        asked: hosts and ports that were asked for.
    """

    url: str
    asked: list[str] = field(default_factory=list)


@contextlib.contextmanager
def tunnel(user: str, password: str) -> Iterator[Tunnel]:
    """Run the proxy for the time of the block."""
    known = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            if self.headers.get("Proxy-Authorization") != known:
                self.send_response(407)
                self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
                self.end_headers()
                return
            found.asked.append(self.path)
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port)), timeout=10) as there:
                self.send_response(200)
                self.end_headers()
                _join(self.connection, there)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        who = f"{quote(user, safe='')}:{quote(password, safe='')}"
        found = Tunnel(f"http://{who}@127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield found
        finally:
            server.shutdown()


def _join(one: socket.socket, other: socket.socket) -> None:
    pair = {one: other, other: one}
    while True:
        for ready in select.select([one, other], [], [], 60)[0]:
            data = ready.recv(65536)
            if not data:
                return
            pair[ready].sendall(data)
