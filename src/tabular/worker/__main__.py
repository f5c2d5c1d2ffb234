"""``python -m tabular.worker``: run jobs until told to stop.

SIGTERM and SIGINT let the present job finish within a few seconds, or give it back unharmed.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from tabular.errors import TabularError
from tabular.infra.config import load_settings
from tabular.infra.logs import configure_logging, log_uncaught
from tabular.infra.telemetry import open_telemetry
from tabular.worker.assembly import build_runner, worker_metrics
from tabular.worker.exposed import Exposed, Pulse
from tabular.worker.heart import Heart


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 after a stop, 1 when the settings do not allow a start."""
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings()
        configure_logging(settings.log_level, secrets=settings.secret_values())
        log_uncaught()
        telemetry = open_telemetry(settings, "worker")
        metrics = worker_metrics(settings, telemetry)
        pulse, mark = Pulse(), _marker(options.heartbeat)

        def sign() -> None:
            pulse.beat()
            mark()

        heart = Heart(sign)
        runner = build_runner(settings, alive=heart.turn, telemetry=telemetry, metrics=metrics)
        if settings.metrics_port:
            Exposed(settings, metrics, pulse)
    except TabularError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1

    def stop(_signal: int, _frame: FrameType | None) -> None:
        runner.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    heart.start()
    try:
        runner.run()
    finally:
        heart.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tabular.worker", description=__doc__)
    parser.add_argument(
        "--heartbeat",
        type=Path,
        help="file whose time is moved as long as the worker does not hang; it must be there",
    )
    return parser


def _marker(file: Path | None) -> Callable[[], None]:
    def beat() -> None:
        if file is None:
            return
        try:
            os.utime(file)
        except OSError as error:
            # Whoever watches it may take this worker for hung; the job is none the worse.
            logging.getLogger(__name__).warning("no sign of life: %s", error)

    return beat


if __name__ == "__main__":
    sys.exit(main())
