"""TLS in front of a server that has none: a certificate of our own and a small forwarder."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.testbed import parts


def make_certificate(folder: Path, *, authority: bool = True) -> tuple[Path, Path]:
    """A self-signed certificate for ``localhost`` and its key.

    Args:
        folder: for the two files.
        authority: whether the certificate calls itself one; rustls refuses a server whose does.
    """
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = [str(parts.binary("openssl", package="openssl (Debian)")), "req", "-x509", "-nodes"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    if not authority:
        command += ["-addext", "basicConstraints=critical,CA:FALSE"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def mount_certificate(folder: Path, *, user: str | None = None) -> bytes:
    """Put a new certificate into a folder as `mount_files` does, and give it as DER."""
    with tempfile.TemporaryDirectory() as scratch:
        certificate, key = (file.read_bytes() for file in make_certificate(Path(scratch)))
    files = {"ca.crt": certificate, "tls.crt": certificate, "tls.key": key}
    mount_files(folder, files, user=user)
    return ssl.PEM_cert_to_DER_cert(certificate.decode())


def mount_files(folder: Path, files: Mapping[str, bytes], *, user: str | None = None) -> None:
    """Change the files of a folder as a kubelet changes a volume: all of them by one link.

    Args:
        folder: with links into ``..data`` afterwards.
        files: content by name.
        user: owner of the files.
    """
    folder.mkdir(exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="..", dir=folder))
    made.chmod(0o755)
    for name, content in files.items():
        (made / name).write_bytes(content)
        if name.endswith(".key"):
            (made / name).chmod(0o600)
        if user is not None:
            shutil.chown(made / name, user)
        with contextlib.suppress(FileExistsError):
            (folder / name).symlink_to(f"..data/{name}")
    new = folder / "..data_tmp"
    new.symlink_to(made.name)
    new.replace(folder / "..data")


@contextlib.contextmanager
def tls_in_front_of(port: int, certificate: Path, key: Path) -> Iterator[int]:
    """Accept TLS on a free port and forward it to 127.0.0.1:`port`; gives the free port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, context, port), daemon=True).start()
        yield listener.getsockname()[1]


def _accept(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        with contextlib.suppress(OSError):  # a client that refuses the certificate hangs up
            client = context.wrap_socket(plain, server_side=True)
            server = socket.create_connection(("127.0.0.1", port))
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
