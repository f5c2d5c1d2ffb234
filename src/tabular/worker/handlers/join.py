"""Makes one file of the parts of a generation: where each byte is, and the checksum of all.

The parts stay where they are. They are read once, since the SHA-256 of a whole cannot be had
from those of its parts.
"""

from __future__ import annotations

import hashlib
from typing import Any

from tabular.infra.storage import ObjectStore
from tabular.infra.storage.pieces import Piece, StoredFile
from tabular.synth.joining import Part, join
from tabular.worker.handlers.bench import Workbench
from tabular.worker.wire import Task


def join_parts(task: Task, bench: Workbench) -> dict[str, Any]:
    """Find out how the parts follow each other; keep the footer that Parquet needs.

    Raises:
        IntegrityError: a part is damaged.
    """
    made = task["parts"]
    plan = join([_part(bench.store, one) for one in made], task["format"])
    pieces = [Piece(one["key"], *span) for one, span in zip(made, plan.spans, strict=True)]
    if plan.tail:
        key = f"{task['folder']}/tail"
        bench.store.put(key, plan.tail)
        pieces.append(Piece(key, 0, len(plan.tail)))
    size = sum(piece.size for piece in pieces)
    digest, done = hashlib.sha256(), 0
    for chunk in StoredFile(pieces, size, "").read(bench.store):
        digest.update(chunk)
        done += len(chunk)
        bench.report(done / size, 0)
    return {
        "pieces": [[piece.key, piece.start, piece.stop] for piece in pieces],
        "size": size,
        "sha256": digest.hexdigest(),
        "format": task["format"],
        "rows": task["rows"],
    }


def _part(store: ObjectStore, made: dict[str, Any]) -> Part:
    def read(start: int, stop: int) -> bytes:
        return b"".join(store.get_range(made["key"], start, stop - start))

    return Part(made["size"], made["head"], read)
