"""Where a file that is written really goes: through links, and into pipes, not in their place.

A finished file is moved to its name. What had that name is lost then, which is right for a file
of the same kind and wrong for anything else: a link would no longer be one, and root would turn
`/dev/null` into a table.
"""

from __future__ import annotations

import stat
from pathlib import Path


def landing(path: Path) -> Path | None:
    """The regular file that a path names in the end, there or not yet.

    Args:
        path: as given; links are followed.

    Returns:
        None for a pipe, a terminal or the like: open `path` itself and write.

    Raises:
        OSError: a disk, a socket, a ring of links, or a folder that may not be searched.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return path.resolve()
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return path.resolve()
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        kind = "disk" if stat.S_ISBLK(mode) else "socket"
        raise OSError(0, f"it is a {kind}, not a file", str(path))
    return None
