"""``python -m tabular.deploy.onprem.failover``: the watcher's process, as the chart starts it."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path

from tabular.errors import TabularError
from tabular.infra.logs import configure_logging

from .cluster import Access, Cluster
from .members import Members, read_members
from .watch import Watch, run

_INTERVAL = 2.0
_BEAT = Path(tempfile.gettempdir()) / "alive"  # the pod's liveness asks for its age


def main() -> int:
    """Watch until the pod ends; 2 if the arguments or files are wrong."""
    parser = argparse.ArgumentParser(prog="python -m tabular.deploy.onprem.failover")
    parser.add_argument("--name", required=True, help="the Service that clients write to")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--instance", required=True, help="the release that they belong to")
    parser.add_argument("--record", required=True, help="the Lease and the ConfigMap, made if gone")
    parser.add_argument("--members", required=True, type=Path, help="file: NAME HOST PORT")
    parser.add_argument("--password", required=True, type=Path, help="file: of `replicator`")
    parser.add_argument("--after", required=True, type=float, help="seconds without a primary")
    given = parser.parse_args()
    configure_logging("INFO")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of each request, in each round
    try:
        cluster = Cluster(
            Access.of_pod(os.environ),
            namespace=given.namespace,
            instance=given.instance,
            record=given.record,
            service=given.name,
            holder=os.environ["HOLDER"],
        )
        members = Members(read_members(given.members), given.password)
    except TabularError as error:
        print(error, file=sys.stderr)
        return 2
    run(Watch(cluster, members, after=given.after), interval=_INTERVAL, beat=_BEAT.touch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
