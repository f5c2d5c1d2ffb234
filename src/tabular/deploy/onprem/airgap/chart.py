"""The chart as one file, as `helm package` lays it out, and the same bytes each time."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

from tabular.deploy.image.code import files_in
from tabular.deploy.onprem.names import CHART, CHART_NAME
from tabular.version import __version__

from .archive import TIME

FILE = f"{CHART_NAME}-{__version__}.tgz"


def packed(chart: Path = CHART) -> bytes:
    """A chart's folder as Helm takes it: `helm install NAME FILE.tgz`."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in files_in(chart):
            info = tarfile.TarInfo(f"{CHART_NAME}/{name}")
            info.size, info.mode, info.mtime = len(content), 0o644, TIME
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)
