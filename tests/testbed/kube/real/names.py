"""The names of a cluster: what its DNS answers, read from the API server at each question.

Service and pod names follow Kubernetes' DNS specification 1.1, as far as A records go.
"""

from __future__ import annotations

import socket
import struct
import threading

from tests.testbed.kube.api import Api

DOMAIN = ("svc", "cluster", "local")
_A, _NO_ERROR, _NO_NAME = 1, 0, 3
_TTL = 1


def serve_names(api: Api, address: str) -> None:
    """Answer on UDP port 53 of an address from now on, in a thread."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))

    def answer() -> None:
        while True:
            question, client = server.recvfrom(4096)
            threading.Thread(target=_answer, args=(api, server, question, client)).start()

    threading.Thread(target=answer, daemon=True).start()


def _answer(api: Api, server: socket.socket, question: bytes, client: object) -> None:
    labels, end = _name(question)
    (kind,) = struct.unpack_from(">H", question, end)
    found = resolve(api, labels)
    records = [] if found is None or kind != _A else found
    code = _NO_NAME if found is None else _NO_ERROR
    # A response to a recursive question, of which this server is the authority.
    head = question[:2] + struct.pack(">HHHHH", 0x8580 | code, 1, len(records), 0, 0)
    body = [struct.pack(">HHHIH", 0xC00C, _A, 1, _TTL, 4) + socket.inet_aton(a) for a in records]
    server.sendto(head + question[12 : end + 4] + b"".join(body), client)  # type: ignore[arg-type]
    api.close()


def resolve(api: Api, labels: list[str]) -> list[str] | None:
    """The addresses of a name; None if there is no such name."""
    if tuple(labels[-3:]) != DOMAIN or not 2 <= len(labels) - 3 <= 3:
        return None
    *host, name, namespace = labels[:-3]
    base = f"/api/v1/namespaces/{namespace}"
    service = api.get(f"{base}/services/{name}")
    if service is None:
        return None
    address = service["spec"].get("clusterIP", "None")
    if address != "None" and not host:
        return [address]
    subsets = (api.get(f"{base}/endpoints/{name}") or {}).get("subsets") or []
    members = [one for subset in subsets for one in subset.get("addresses") or []]
    if host:
        members = [one for one in members if one.get("hostname") == host[0]]
    return [one["ip"] for one in members] or (None if host else [])


def _name(question: bytes) -> tuple[list[str], int]:
    """The name that is asked for, and where it ends."""
    labels, at = [], 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode().lower())
        at += length + 1
    return labels, at + 1
