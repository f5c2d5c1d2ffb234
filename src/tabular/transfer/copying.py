"""Objects from one place to another: several at a time, each verified, none twice.

What is done is asked of the target and of the journal, never assumed. An object is copied when the
target says that it has the checksum that the source says; `ObjectStore` shows no half objects,
so a copy that was killed at any moment is simply run again. What a target says may differ from
what it gives back: once all are there, each is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeVar

from tabular.errors import IntegrityError, NotFoundError
from tabular.infra.storage import ObjectInfo, ObjectStore
from tabular.transfer.journal import Journal

WORKERS = 4  # a stream holds at most some 32 MiB

Item = TypeVar("Item")
Read = Callable[[ObjectInfo], Iterator[bytes]]


@dataclass(frozen=True)
class Copied:
    """What a copy did.

    Attributes:
        objects, size: copied now, and their bytes.
        kept: objects that were there already.
    """

    objects: int
    size: int
    kept: int


def in_parallel(
    work: Callable[[Item], Any], items: Iterable[Item], *, workers: int = WORKERS
) -> Iterator[Any]:
    """Results of `work` in the order in which they come, with few items under way.

    The first error ends it: what runs is waited for, and the rest is not begun.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="transfer") as pool:
        running: set[Future[Any]] = set()
        try:
            for item in items:
                if len(running) >= workers:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
                running.add(pool.submit(work, item))
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def copy_objects(
    read: Read,
    target: ObjectStore,
    wanted: Iterable[ObjectInfo],
    *,
    journal: Journal,
    each: Callable[[ObjectInfo], None] = lambda info: None,
) -> Copied:
    """Copy objects, and write down which are there; `damaged` then reads them back.

    Args:
        read: the bytes of an object at its source, such as ``lambda info: source.get(info.key)``.
        target: where to.
        wanted: what it shall have then, as the source knows it.
        journal: of this copy.
        each: called after each object.

    Raises:
        IntegrityError: the source gave other bytes than it said.
        UnavailableError: one of the two does not answer, or the target is full.
    """

    def copy(info: ObjectInfo) -> int | None:
        if journal.has(info.key, info.sha256):
            return None
        size = None
        if not has(target, info):
            put_verified(target, info.key, read(info), info)
            size = info.size
        journal.add(info.key, info.sha256)
        each(info)
        return size

    sizes: list[int] = []
    kept = 0
    try:
        for size in in_parallel(copy, wanted):
            if size is None:
                kept += 1
            else:
                sizes.append(size)
    finally:
        journal.flush()
    return Copied(len(sizes), sum(sizes), kept)


def has(store: ObjectStore, info: ObjectInfo) -> bool:
    """Whether a store says that it has this object with these bytes."""
    try:
        return store.head(info.key) == info
    except NotFoundError:
        return False


def put_verified(store: ObjectStore, key: str, chunks: Iterator[bytes], said: ObjectInfo) -> None:
    """Store an object, and leave none that is other than was said.

    Raises:
        IntegrityError: the bytes are others.
    """
    store.put(key, counted(chunks, said))


def counted(chunks: Iterable[bytes], said: ObjectInfo) -> Iterator[bytes]:
    """The chunks; at their end an error unless they are what was said.

    Raises:
        IntegrityError: size or SHA-256 differ.
    """
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        yield chunk
    if (size, digest.hexdigest()) != (said.size, said.sha256):
        raise IntegrityError(
            f"{said.key} is damaged: {size} bytes instead of {said.size}"
            if size != said.size
            else f"{said.key} is damaged: its checksum is another",
            where=said.key,
            hint="take another copy of it",
        )


def damaged(
    store: ObjectStore,
    wanted: Iterable[ObjectInfo],
    *,
    each: Callable[[ObjectInfo], None] = lambda info: None,
) -> dict[str, str]:
    """Read objects from end to end, and tell what is wrong.

    Their SHA-256 is made anew from the bytes that come: what the store itself compares them with
    was written together with them, and lies where they lie.

    Args:
        store: where they are.
        wanted: what it shall have.
        each: called after each object, in this thread.

    Returns:
        By key, what is wrong with an object; empty when each is as it shall be.

    Raises:
        UnavailableError: the store does not answer.
    """

    def read(info: ObjectInfo) -> tuple[ObjectInfo, str | None]:
        try:
            for _ in counted(store.get(info.key), info):
                pass
        except (IntegrityError, NotFoundError) as error:
            return info, error.message
        return info, None

    wrong: dict[str, str] = {}
    for info, problem in in_parallel(read, wanted):
        each(info)
        if problem is not None:
            wrong[info.key] = problem
    return wrong
