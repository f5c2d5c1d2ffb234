"""Starting up is quick because nothing heavy is imported until it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("boto3", "botocore", "azure", "google.cloud", "kubernetes", "pandas", "polars", "sklearn")


HELP = """
import sys
sys.argv = ["inferloop-tabular", "--help"]
try:
    from tabular.cli.app import main
    main()
except SystemExit:
    pass
"""


@pytest.mark.parametrize("code", ["import tabular", "import tabular.deploy", HELP])
def test_no_cloud_sdk_and_no_table_library_at_start(code: str) -> None:
    probe = f"{code}\nimport sys\nprint('LOADED', [m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"
