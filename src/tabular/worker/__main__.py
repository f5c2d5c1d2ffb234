"""``python -m tabular.worker``: run jobs until told to stop.

SIGTERM and SIGINT let the present job finish within a few seconds, or give it back unharmed.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

from tabular.errors import TabularError
from tabular.infra.config import load_settings
from tabular.infra.monitoring import configure_logging
from tabular.worker.assembly import build_runner


def main() -> int:
    """The exit code: 0 after a stop, 1 when the settings do not allow a start."""
    try:
        settings = load_settings()
        configure_logging(settings.log_level, secrets=settings.secret_values())
        runner = build_runner(settings)
    except TabularError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1

    def stop(_signal: int, _frame: FrameType | None) -> None:
        runner.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    runner.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
