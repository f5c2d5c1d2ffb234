"""Holds the API's listening socket while no supervisor does, and hands it to the next one.

A supervisor may be killed at any moment. Were it the only holder besides the API's processes, its
successor could not get the socket back: they may hang, or end meanwhile. This process does nothing
else, knows no part of the package, and so has no reason to fail when a release does.
"""

from __future__ import annotations

import socket
import sys


def keep(listening: int, control: int) -> None:
    """Give the socket to whoever asks, for ever.

    Args:
        listening: descriptor of the socket that is kept.
        control: descriptor of a listening UNIX socket in a folder of this user alone.
    """
    with socket.socket(fileno=control) as door:
        door.setblocking(True)
        while True:
            asking, _ = door.accept()
            with asking:
                try:
                    socket.send_fds(asking, [b"."], [listening])
                except OSError as error:
                    # It was killed while it asked; the next one asks anew.
                    print(f"not handed over: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    keep(int(sys.argv[1]), int(sys.argv[2]))
