"""Run the emulator with what it lacks; a script for the emulator's own interpreter.

Start it by its path: its folder then comes first on the import path, which is how the modules
beside it are found.
"""

from __future__ import annotations

import compute
import contexts
import drifting
import guard
import importing
import jobs
import living
import network
import offers
import quotas
import repairs
import replacement
import states
import tasks
from ministack.app import main

for part in (
    *(network, compute, guard, repairs, replacement, drifting, states, contexts, offers, living),
    jobs,
    quotas,
    tasks,
    importing,
):
    part.install()

if __name__ == "__main__":
    main()
