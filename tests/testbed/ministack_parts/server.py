"""Run the emulator with more resource types; a script for the emulator's own interpreter."""

from __future__ import annotations

from ministack.app import main

if __name__ == "__main__":
    main()
