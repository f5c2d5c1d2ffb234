"""What a copy has done, kept beside what it made, so that whoever goes on needs nothing else.

A copy may be started on one machine, killed there and finished on another. Its journal therefore
lies in the target store itself. Objects cannot be appended to, so it is written in parts; what a
kill takes away is the last part that was not full, and that work is then looked at once more.
"""

from __future__ import annotations

import json
import threading

from tabular.infra.storage import ObjectStore

_PART = 64  # entries of a part


class Journal:
    """The finished entries of one copy. Safe to use from several threads.

    Args:
        store: where it lies.
        folder: the keys of its parts; nobody else writes there.
    """

    def __init__(self, store: ObjectStore, folder: str) -> None:
        self._store = store
        self._folder = folder
        self._lock = threading.Lock()
        self._open: dict[str, str] = {}
        self._done: dict[str, str] = {}
        self._parts = 0
        for info in store.list(folder):
            self._done |= json.loads(b"".join(store.get(info.key)))
            self._parts += 1

    def has(self, key: str, sha256: str) -> bool:
        """Whether this entry was finished with these bytes."""
        with self._lock:
            return self._done.get(key) == sha256

    def add(self, key: str, sha256: str) -> None:
        """Note an entry as finished."""
        with self._lock:
            self._done[key] = self._open[key] = sha256
            if len(self._open) >= _PART:
                self._write()

    def flush(self) -> None:
        """Write down what is noted."""
        with self._lock:
            if self._open:
                self._write()

    def remove(self) -> None:
        """Forget all of it, once the copy is whole."""
        for info in list(self._store.list(self._folder)):
            self._store.delete(info.key)

    def _write(self) -> None:
        text = json.dumps(self._open, sort_keys=True).encode()
        self._store.put(f"{self._folder}/{self._parts:08d}", text)
        self._parts += 1
        self._open = {}
