"""Starting up is quick because nothing heavy is imported until it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tabular.cli.export import NAMES
from tabular.deploy.aws.export import FORMATS as of_aws
from tabular.deploy.export import FORMATS, VENDOR_FORMATS
from tabular.deploy.onprem.export import FORMATS as of_onprem

HEAVY = ("boto3", "botocore", "azure", "google.cloud", "kubernetes", "pandas", "polars", "sklearn")
# Ours, and needed by some command, but by no help text.
NOT_FOR_HELP = (
    *("alembic", "cryptography", "fastapi", "httpx", "kombu", "numpy", "obstore", "pyarrow"),
    *("ruamel.yaml", "sqlalchemy", "tabular.deploy.spec", "tabular.infra.config"),
)

HELP = """
import sys
sys.argv = ["inferloop-tabular", *{arguments!r}]
try:
    from tabular.cli.app import main
    main()
except SystemExit:
    pass
"""


def loaded(code: str, names: tuple[str, ...]) -> str:
    """Which of these modules are there after a piece of code."""
    probe = f"{code}\nimport sys\nprint('LOADED', [m for m in {names!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("code", ["import tabular", "import tabular.deploy"])
def test_no_cloud_sdk_and_no_table_library_at_start(code: str) -> None:
    assert loaded(code, HEAVY) == "LOADED []"


@pytest.mark.parametrize("provider", ["aws", "onprem"])
def test_a_provider_far_away_needs_no_database_here(provider: str) -> None:
    code = f"import tabular.deploy.{provider}.provider"
    assert loaded(code, (*HEAVY, "alembic", "kombu", "sqlalchemy")) == "LOADED []"


@pytest.mark.parametrize(
    "arguments", [("--version",), ("--help",), ("fit", "--help"), ("deploy", "--help")]
)
def test_a_help_text_waits_for_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert loaded(HELP.format(arguments=arguments), (*HEAVY, *NOT_FOR_HELP)) == "LOADED []"


def test_formats_of_export_are_named_without_importing_them() -> None:
    assert (*(found.name for found in FORMATS), *VENDOR_FORMATS) == NAMES
    for provider, own in (("aws", of_aws), ("onprem", of_onprem)):
        named = [name for name, whose in VENDOR_FORMATS.items() if provider in whose]
        # A format with flavours has a key for each.
        assert named == list(dict.fromkeys(key.partition("/")[0] for key in own))
