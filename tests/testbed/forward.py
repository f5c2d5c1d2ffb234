"""A proxy for whatever host is asked: all of it goes to one server of this machine.

Programs that go by HTTP_PROXY can thus be led to an emulator under the very names of a cloud. TLS
is refused, so a client that may speak plain HTTP to a host does.
"""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_OWN = ("connection", "transfer-encoding", "keep-alive", "proxy-connection", "content-length")


@contextlib.contextmanager
def forwarding(port: int) -> Iterator[str]:
    """Run the proxy for the time of the block; its address.

    Args:
        port: of the server on this machine.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            asked = urlsplit(self.path)
            path = f"{asked.path}?{asked.query}" if asked.query else asked.path
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _OWN}
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
            connection.request(self.command, path, self._body(), {**headers, "Host": asked.netloc})
            answer = connection.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in _OWN:
                    self.send_header(name, value)
            length = answer.headers.get("Content-Length", "") if self.command == "HEAD" else ""
            self.send_header("Content-Length", length or str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            connection.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _forward

        def do_CONNECT(self) -> None:
            self.send_error(502)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", "0")))
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
