"""What every file for reading at any place has in common, wherever its bytes come from."""

from __future__ import annotations

import io


class Seeking(io.RawIOBase):
    """A read-only file of a known size with a position; who inherits says how it is filled.

    Args:
        size: bytes.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size, self._position = size, 0

    def readable(self) -> bool:
        """True: it is a file for reading."""
        return True

    def seekable(self) -> bool:
        """True: any position can be read."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position counted from the start, from here or from the end.

        Raises:
            ValueError: before the start, or counted from nothing that is known.
        """
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}
        if whence not in base:
            raise ValueError(f"unknown whence {whence}")
        position = base[whence] + offset
        if position < 0:
            raise ValueError("negative seek position")
        self._position = position
        return position
