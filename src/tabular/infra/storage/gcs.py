"""Google Cloud Storage over its JSON API.

Obstore speaks Google's XML API, which no emulator serves (and it asks for a token before a put
even when told to be anonymous), so nothing of it could be shown to work. The JSON API is what
Google's own libraries use and what emulators implement. A blob is uploaded as a resumable
session, which becomes visible only when its last chunk has arrived.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json
import secrets
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from tabular.errors import UnavailableError
from tabular.infra.storage.backend import BlobExistsError, missing_bucket, refused
from tabular.infra.storage.digest import StreamHash
from tabular.infra.storage.retries import Retries
from tabular.infra.urls import public

ENDPOINT = "https://storage.googleapis.com"
_CHUNK = 1024 * 1024
_AGAIN = {408, 429, 500, 502, 503, 504}
_INCOMPLETE = 308

Tokens = Callable[[], str | None]


class GcsBackend:
    """Blobs in one bucket below one prefix."""

    def __init__(
        self,
        bucket: str,
        prefix: str,
        where: str,
        *,
        tokens: Tokens,
        endpoint: str = ENDPOINT,
        tls: ssl.SSLContext | None = None,
        timeout: float = 120.0,
    ) -> None:
        """
        Args:
            bucket: its name.
            prefix: folder of all blobs; may be empty.
            where: the place as a URL for messages.
            tokens: gives an access token, or None to ask anonymously; called for each request.
            endpoint: scheme, host and port.
            tls: how the endpoint's certificate is verified; by the usual authorities if None.
            timeout: seconds without an answer, or for 1 MiB of one, before it is given up.
        """
        self._objects = f"/storage/v1/b/{quote(bucket, safe='')}/o"
        self._folder = f"{prefix}/" if prefix else ""
        self._where = where
        self._tokens = tokens
        self._bucket_seen = False
        self._timeout = timeout
        self._client = httpx.Client(
            base_url=endpoint,
            timeout=httpx.Timeout(timeout, connect=5),
            headers={"Accept-Encoding": "identity"},
            verify=tls if tls is not None else True,
        )

    @property
    def where(self) -> str:
        """The bucket and prefix as a URL."""
        return self._where

    def write(self, name: str, blocks: Iterator[bytes]) -> None:
        """Small blobs in one request, larger ones in a resumable session."""
        head = list(itertools.islice(blocks, 2))
        if len(head) < 2:
            self._insert(name, head[0] if head else b"")
            return
        session = self._begin(name)
        try:
            self._upload(name, session, itertools.chain(head, blocks))
        except BaseException:
            with contextlib.suppress(httpx.HTTPError):  # it ends by itself within a week
                self._client.delete(session, headers=self._authorization())
            raise

    def commit(self, name: str, data: bytes, *, create: bool) -> None:
        """One conditional or plain put."""
        answer = self._insert(name, data, {"ifGenerationMatch": "0"} if create else {})
        if answer.status_code == 412:
            raise BlobExistsError(name)

    def read(self, name: str) -> bytes | None:
        """One get."""
        answer = self._ask("read", "GET", self._path(name), {"alt": "media"})
        return None if self._is_missing(answer) else answer.content

    def stream(self, name: str) -> Iterator[bytes] | None:
        """One get in chunks of 1 MiB; continued where the connection broke."""
        answer = self._ask("read", "GET", self._path(name), {"alt": "media"}, stream=True)
        return None if self._is_missing(answer) else self._chunks(name, answer)

    def _chunks(self, name: str, answer: httpx.Response) -> Iterator[bytes]:
        position, retries = 0, Retries()
        while True:
            try:
                for chunk in self._received(answer):
                    position += len(chunk)
                    yield chunk
                    retries = Retries()
                return
            except httpx.TransportError as error:
                if not retries.wait():
                    raise self._unreachable("read", error) from error
            finally:
                answer.close()
            answer = self._part(name, f"bytes={position}-", stream=True)
            if answer.status_code == 416:
                return  # it broke after the last byte
            self._must_be_partial(answer)

    def read_range(self, name: str, start: int, length: int) -> bytes | None:
        """One ranged get; empty when the blob is shorter than `start`."""
        if length == 0:
            return b""
        answer = self._part(name, f"bytes={start}-{start + length - 1}")
        if answer.status_code == 416:
            return b""
        if self._is_missing(answer):
            return None
        self._must_be_partial(answer)
        return answer.content

    def names(self, folder: str) -> Iterator[tuple[str, float]]:
        """Every blob below the folder, page by page."""
        below = f"{self._folder}{folder}"
        query = {"fields": "items(name,updated),nextPageToken"}
        query["prefix"] = f"{below.rstrip('/')}/" if below else ""
        now = datetime.now(UTC)
        while True:
            page = self._list(query)
            for item in page.get("items", ()):
                age = (now - datetime.fromisoformat(item["updated"])).total_seconds()
                yield item["name"].removeprefix(self._folder), age
            following = page.get("nextPageToken")
            if not following:
                return
            query["pageToken"] = following

    def delete(self, name: str) -> None:
        """One delete; a missing blob is no error."""
        self._is_missing(self._ask("delete", "DELETE", self._path(name)))

    def ping(self) -> None:
        """List one name: needs bucket and credentials."""
        self._list({"maxResults": "1", "prefix": f"{self._folder}.ping"})

    def _insert(
        self, name: str, data: bytes, condition: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Name and bytes in one request; only here fake-gcs-server honours a condition."""
        boundary = secrets.token_hex(16)
        body = b"".join(
            (
                f"--{boundary}\r\nContent-Type: application/json\r\n\r\n".encode(),
                json.dumps({"name": self._folder + name, "md5Hash": _md5(data)}).encode(),
                f"\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n".encode(),
                data,
                f"\r\n--{boundary}--\r\n".encode(),
            )
        )
        answer = self._ask(
            "write",
            "POST",
            "/upload" + self._objects,
            {"uploadType": "multipart", **(condition or {})},
            {"Content-Type": f"multipart/related; boundary={boundary}"},
            content=body,
        )
        if answer.status_code == 404:
            raise missing_bucket(self._where)
        if answer.status_code != 412:
            self._must_have_arrived(name, answer, _md5(data))
        return answer

    def _begin(self, name: str) -> str:
        """The path and query of a new upload session."""
        query = {"uploadType": "resumable", "name": self._folder + name}
        answer = self._ask("write", "POST", "/upload" + self._objects, query)
        if answer.status_code == 404:
            raise missing_bucket(self._where)
        place = urlsplit(answer.headers.get("Location", ""))
        if not place.query:
            raise self._failed("write", "the server opened no upload session")
        return f"{place.path}?{place.query}"

    def _upload(self, name: str, session: str, blocks: Iterator[bytes]) -> None:
        """Send the blocks, each as a chunk of whole 256 KiB, the last one marked as such."""
        start, block = 0, next(blocks)
        md5 = StreamHash("md5")
        try:
            md5.update(block)
            for following in blocks:
                self._send_chunk(session, block, start, None)
                start += len(block)
                block = following
                md5.update(block)
            answer = self._send_chunk(session, block, start, start + len(block))
            self._must_have_arrived(name, answer, base64.b64encode(md5.digest()).decode())
        finally:
            md5.close()

    def _must_have_arrived(self, name: str, answer: httpx.Response, md5: str) -> None:
        """Remove a blob that is not what was sent, by the server's own checksum of it."""
        if answer.json().get("md5Hash", md5) != md5:
            self.delete(name)
            raise self._failed("write", "the bytes were changed on their way")

    def _send_chunk(
        self, session: str, data: bytes, start: int, total: int | None
    ) -> httpx.Response:
        """Send a chunk; after a failure the server is asked how much of it has arrived."""
        retries, sent, end = Retries(), 0, "*" if total is None else str(total)
        while True:
            span = f"bytes {start + sent}-{start + len(data) - 1}/{end}"
            answer = self._put_once(session, span, data[sent:])
            if answer is None or answer.status_code in _AGAIN:
                if not retries.wait(
                    answer.headers.get("Retry-After") if answer is not None else None
                ):
                    raise self._failed(
                        "write", _status(answer) if answer is not None else "no answer"
                    )
                answer = self._put_once(session, f"bytes */{end}", b"")
            if answer is None or answer.status_code in _AGAIN:
                continue
            if answer.status_code in (200, 201):
                if total is None:
                    raise self._failed("write", "the server ended the upload before its last part")
                return answer
            if answer.status_code != _INCOMPLETE:
                raise self._refusal("write", answer)
            arrived = answer.headers.get("Range", "bytes=0--1").partition("-")[2]
            before, sent = sent, int(arrived) + 1 - start
            if sent == len(data) and total is None:
                return answer
            if not 0 <= sent < len(data) or (sent <= before and not retries.wait()):
                raise self._failed("write", "the server lost a part of the upload")

    def _put_once(self, session: str, span: str, data: bytes) -> httpx.Response | None:
        headers = {"Content-Range": span, **self._authorization()}
        try:
            return self._client.put(session, headers=headers, content=data)
        except httpx.TransportError:
            return None

    def _list(self, query: Mapping[str, str]) -> dict[str, Any]:
        answer = self._ask("list", "GET", self._objects, query)
        if answer.status_code == 404:
            raise missing_bucket(self._where)
        page: dict[str, Any] = answer.json()
        return page

    def _part(self, name: str, span: str, *, stream: bool = False) -> httpx.Response:
        headers = {"Range": span}
        return self._ask("read", "GET", self._path(name), {"alt": "media"}, headers, stream=stream)

    def _must_be_partial(self, answer: httpx.Response) -> None:
        if answer.status_code != 206:
            answer.close()
            raise self._failed("read", "the server does not answer ranges")

    def _is_missing(self, answer: httpx.Response) -> bool:
        """Whether the blob is missing; a missing bucket looks the same and is an error."""
        if answer.status_code != 404:
            self._bucket_seen = True
            return False
        answer.close()
        if not self._bucket_seen:
            self._list({"maxResults": "1"})
            self._bucket_seen = True
        return True

    def _ask(
        self,
        action: str,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        content: bytes | None = None,
        stream: bool = False,
    ) -> httpx.Response:
        """One request, tried again while the server is busy; any answer below 400, or 404/412/416.

        Raises:
            UnavailableError: no answer, a refusal, or a fault that stayed.
        """
        retries = Retries()
        while True:
            request = self._client.build_request(
                method,
                path,
                params=query,
                headers={**(headers or {}), **self._authorization()},
                content=content,
            )
            try:
                answer = self._client.send(request, stream=True)
                if not stream:
                    answer = self._whole(answer)
            except httpx.TransportError as error:
                if not retries.wait():
                    raise self._unreachable(action, error) from error
                continue
            if answer.status_code < 400 or answer.status_code in (404, 412, 416):
                return answer
            if answer.status_code in _AGAIN and retries.wait(answer.headers.get("Retry-After")):
                answer.close()
                continue
            answer.close()
            raise self._refusal(action, answer)

    def _whole(self, answer: httpx.Response) -> httpx.Response:
        with contextlib.closing(answer):
            body = b"".join(self._received(answer))
        return httpx.Response(
            answer.status_code, headers=answer.headers, content=body, request=answer.request
        )

    def _received(self, answer: httpx.Response) -> Iterator[bytes]:
        """The body in chunks of 1 MiB, each within the time that an answer may take.

        httpx bounds only the time between two packets, so a server that sends a byte now and
        then would hold its reader for ever.
        """
        chunk, since = bytearray(), time.monotonic()
        for packet in answer.iter_raw():
            chunk += packet
            if len(chunk) >= _CHUNK:
                yield bytes(chunk)
                chunk.clear()
                since = time.monotonic()
            elif time.monotonic() - since > self._timeout:
                raise httpx.ReadTimeout(f"less than 1 MiB came in {self._timeout:g} s")
        if chunk:
            yield bytes(chunk)

    def _authorization(self) -> dict[str, str]:
        token = self._tokens()
        return {} if token is None else {"Authorization": f"Bearer {token}"}

    def _path(self, name: str) -> str:
        return f"{self._objects}/{quote(self._folder + name, safe='')}"

    def _refusal(self, action: str, answer: httpx.Response) -> UnavailableError:
        if answer.status_code in (401, 403):
            return refused(action, _status(answer), self._where)
        return self._failed(action, _status(answer))

    def _unreachable(self, action: str, error: httpx.TransportError) -> UnavailableError:
        return self._failed(action, public(str(error))[:300] or type(error).__name__)

    def _failed(self, action: str, reason: str) -> UnavailableError:
        return UnavailableError(
            f"the store cannot {action}: {reason}",
            where=self._where,
            hint="check TABULAR_STORAGE_URL, the bucket's name and the network",
        )


def _md5(data: bytes) -> str:
    """The MD5 in base64, by which Google refuses what was changed on its way."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _status(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.reason_phrase}"
