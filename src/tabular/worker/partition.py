"""``python -m tabular.worker.partition STEP incoming/NAME.json``: one step of an order.

A large generation is done by many containers that know nothing of each other but the order: first
``fit`` (only where it names a table), then ``draw``, each container its share of the parts, and at
last ``join``. ``all`` does everything at once.

Which share it is comes from the variables that AWS Batch sets in each child of an array job; the
bytes that come out are the same for any number of children.

Exit code 1: another try may help. 2: it cannot, and the results say why.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from tabular.errors import InputError, TabularError, UnavailableError
from tabular.infra.config import load_settings
from tabular.infra.logs import configure_logging, log_uncaught
from tabular.infra.storage.backend import Backend
from tabular.infra.storage.plain import open_plain
from tabular.worker import orders

AGAIN, FINAL = 1, 2
_INDEX, _SIZE = "AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"
_LOG = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """The exit code."""
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(environ)
        configure_logging(settings.log_level, secrets=settings.secret_values())
        log_uncaught()
        blobs = open_plain(settings.storage_url)
        steps = _steps(blobs, options.order, settings.part_rows, environ)
    except TabularError as error:
        print(f"error: {error}", file=sys.stderr)
        return FINAL
    try:
        steps[options.step]()
    except UnavailableError as error:
        _LOG.warning("%s of %s: %s", options.step, options.order, error)
        return AGAIN
    except TabularError as error:
        _LOG.error("%s of %s: %s", options.step, options.order, error)
        return _refused(blobs, options.order, error)
    _LOG.info("%s of %s is done", options.step, options.order)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tabular.worker.partition", description="One step of an order."
    )
    parser.add_argument("step", choices=("all", "fit", "draw", "join"))
    parser.add_argument("order", help="incoming/NAME.json")
    return parser


def _steps(
    blobs: Backend, order: str, part_rows: int, environ: Mapping[str, str]
) -> Mapping[str, Callable[[], None]]:
    def share() -> None:
        index, size = _place(environ)
        parts = orders.parts_of(orders.read(blobs, order), part_rows)
        orders.draw(blobs, order, parts[index::size])

    return {
        "all": lambda: orders.whole(blobs, order),
        "fit": lambda: orders.fit(blobs, order),
        "draw": share,
        "join": lambda: orders.join_parts(blobs, order, part_rows),
    }


def _place(environ: Mapping[str, str]) -> tuple[int, int]:
    """Which of how many containers this is; the only one where nothing is said."""
    index, size = environ.get(_INDEX, "0"), environ.get(_SIZE, "1")
    if not (index.isdecimal() and size.isdecimal() and int(index) < int(size)):
        raise InputError(f"{_INDEX}={index} and {_SIZE}={size} are no place in an array")
    return int(index), int(size)


def _refused(blobs: Backend, order: str, error: TabularError) -> int:
    try:
        orders.fail(blobs, order, error)
    except UnavailableError as failure:
        _LOG.warning("the results cannot say it: %s", failure)
        return AGAIN
    except InputError:
        return FINAL  # there is no order of such a name, and so nobody who would look
    return FINAL


if __name__ == "__main__":
    sys.exit(main())
