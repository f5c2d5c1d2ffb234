"""A small stand-in for the platform's processes, for tests that break them on purpose.

It keeps the platform's own promises: settings from the environment, inherited
sockets, /health, /ready, a sign of life, a graceful end on SIGTERM. What goes wrong is said by
TABULAR_REGION, a setting that takes any word.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import tabular  # the copy that its release was given

MODE = os.environ.get("TABULAR_REGION", "INFO")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        if self.path.startswith("/slow"):
            time.sleep(1.5)
        ready = MODE != "never-ready"
        status = 503 if self.path == "/ready" and not ready else 200
        body = {
            "status": "ok" if status == 200 else "unavailable",
            "release": os.environ["TABULAR_RELEASE"],
            "pid": os.getpid(),
            "code": getattr(tabular, "CODE", "installed"),
        }
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        return


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = False

    def __init__(self, descriptor: int | None) -> None:
        address = ("127.0.0.1", int(os.environ["TABULAR_PORT"]))
        super().__init__(address, Handler, bind_and_activate=descriptor is None)
        if descriptor is not None:
            self.socket.close()
            self.socket = socket.socket(fileno=descriptor)
            self.socket.setblocking(False)


def secret() -> str:
    return Path(os.environ["TABULAR_SECRET_KEY_FILE"]).read_text(encoding="utf-8").strip()


def serve() -> None:
    if MODE == "crash":
        sys.exit(f"cannot start with secret {secret()}")
    if MODE == "crash-later":
        threading.Timer(0.7, lambda: os._exit(7)).start()
    given = [int(number) for word, number in pairwise(sys.argv) if word == "--fd"]
    servers = [Server(descriptor) for descriptor in given or [None]]

    def stop(*_: object) -> None:
        for server in servers:
            threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    print("serving", flush=True)
    threads = [threading.Thread(target=s.serve_forever, args=(0.02,)) for s in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for server in servers:
        server.server_close()


def work() -> None:
    def stop(*_: object) -> None:
        time.sleep(1.0 if MODE == "slow-end" else 0.0)
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    heartbeat = [text for word, text in pairwise(sys.argv) if word == "--heartbeat"]
    while True:
        for file in heartbeat:
            os.utime(file)
        time.sleep(0.2)


def main() -> None:
    command = sys.argv[1]
    if command == "api":
        serve()
    elif command == "worker":
        work()
    elif command == "migrate":
        if MODE == "bad-migration":
            sys.exit("the migration went wrong")
        if MODE == "slow-migration":
            time.sleep(2.0)
    elif command == "create-key":
        issued = Path(os.environ["TABULAR_STORAGE_URL"].removeprefix("file://")) / "issued"
        key = None if "--if-none" in sys.argv and issued.exists() else "tab_k1_secret"
        issued.touch()
        print(json.dumps({"id": "k1", "name": sys.argv[3], "key": key}))


main()
