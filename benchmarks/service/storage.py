"""Upload and download of our store against obstore alone, on the same server.

Ours verifies a SHA-256 and writes a record, obstore moves the bytes. Both get the same blocks and
the same part size and parallelism; they take turns, so that what else the machine does meets both.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.store import LocalStore, S3Store

from tabular.infra.storage import ObjectStore, open_store
from tests.testbed.s3 import BUCKET, seaweed_s3

SIZE_MB = 128
REPEATS = 7
GOAL = 0.8
_MB = 1024 * 1024
_PART, _PARALLEL = 8 * _MB, 3


def measure() -> list[str]:
    """The lines of the report."""
    lines = [
        f"Object store against obstore alone: {SIZE_MB} MB, medians of {REPEATS} pairs that take "
        "turns; the ratio is the median of the pairs' ratios of throughput. obstore alone neither "
        "verifies nor syncs to disk.\n",
        "| store | direction | ours MB/s | obstore MB/s | ratio (range) | goal |",
        "|---|---|---|---|---|---|",
    ]
    for name, place in (("file", _files), ("SeaweedFS", _seaweed)):
        with place() as (ours, raw):
            kinds = [("upload", _uploads), ("download", _downloads)]
            if isinstance(raw, LocalStore):
                kinds.insert(1, ("upload, obstore synced after it", _synced_uploads))
            for direction, pair in kinds:
                lines.append(_row(name, direction, *pair(ours, raw)))
                print(lines[-1], flush=True)
    return [*lines, ""]


@contextlib.contextmanager
def _files() -> Iterator[tuple[ObjectStore, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "raw").mkdir()
        yield open_store((Path(folder) / "ours").as_uri()), LocalStore(Path(folder) / "raw")


@contextlib.contextmanager
def _seaweed() -> Iterator[tuple[ObjectStore, Any]]:
    with tempfile.TemporaryDirectory() as folder, seaweed_s3(Path(folder)) as server:
        server.create_bucket(BUCKET)
        raw = S3Store(
            BUCKET,
            prefix="raw",
            endpoint=server.endpoint,
            region="us-east-1",
            virtual_hosted_style_request=False,
            client_options={"allow_http": True, "timeout": timedelta(seconds=120)},
            **server.credentials,  # type: ignore[arg-type]
        )
        yield open_store(server.url(BUCKET, "ours"), credentials=server.credentials), raw


def _uploads(ours: ObjectStore, raw: Any) -> tuple[Callable[[], object], Callable[[], object]]:
    block = os.urandom(4 * _MB)

    def blocks() -> Iterator[bytes]:
        return (block for _ in range(SIZE_MB // 4))

    def bare() -> object:
        options = {"chunk_size": _PART, "max_concurrency": _PARALLEL}
        return obstore.put(raw, "k", blocks(), use_multipart=True, **options)

    return lambda: ours.put("k", blocks()), bare


def _synced_uploads(
    ours: ObjectStore, raw: Any
) -> tuple[Callable[[], object], Callable[[], object]]:
    """The same, and obstore's file is then synced, as ours is, to survive a power cut."""
    upload, bare = _uploads(ours, raw)

    def synced() -> None:
        bare()
        descriptor = os.open(Path(raw.prefix) / "k", os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    return upload, synced


def _downloads(ours: ObjectStore, raw: Any) -> tuple[Callable[[], object], Callable[[], object]]:
    def verified() -> int:
        return sum(len(chunk) for chunk in ours.get("k"))

    def bare() -> int:
        return sum(len(chunk) for chunk in obstore.get(raw, "k").stream(min_chunk_size=_MB))

    return verified, bare


def _row(name: str, direction: str, ours: Callable[[], object], raw: Callable[[], object]) -> str:
    pairs = [_pair(ours, raw, turn) for turn in range(REPEATS + 1)][1:]  # the first warms up
    ratios = [bare / verified for verified, bare in pairs]
    speeds = [SIZE_MB / statistics.median(column) for column in zip(*pairs, strict=True)]
    ratio = statistics.median(ratios)
    return (
        f"| {name} | {direction} | {speeds[0]:.0f} | {speeds[1]:.0f} | "
        f"{ratio:.2f} ({min(ratios):.2f}-{max(ratios):.2f}) | "
        f"{'met' if ratio >= GOAL else 'missed'} |"
    )


def _pair(ours: Callable[[], object], raw: Callable[[], object], turn: int) -> tuple[float, float]:
    if turn % 2:
        bare = _seconds(raw)
        return _seconds(ours), bare
    return _seconds(ours), _seconds(raw)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
