"""References to secrets, and errors that never repeat a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from tabular.errors import ConfigError
from tabular.infra.secrets import is_reference, resolve


def test_from_the_environment() -> None:
    assert resolve("env:DB_PASSWORD", environ={"DB_PASSWORD": "s3cret"}) == "s3cret"


@pytest.mark.parametrize(
    ("written", "value"), [(b"s3cret\n", "s3cret"), (b"s3cret\r\n", "s3cret"), (b" a\n\n", " a\n")]
)
def test_from_a_file_without_its_last_line_break(
    tmp_path: Path, written: bytes, value: str
) -> None:
    (tmp_path / "secret").write_bytes(written)
    assert resolve(f"file:{tmp_path}/secret") == value


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "empty"), (b"\n", "empty"), (b"\xff", "UTF-8"), (b"x" * 70_000, "larger than 64 KiB")],
)
def test_files_that_hold_no_secret(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(ConfigError, match=says):
        resolve(f"file:{tmp_path}/secret")


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("env:NOT_SET", "NOT_SET is not set"),
        ("file:/no/such/file", "cannot be read"),
        ("file:relative", "must be absolute"),
        ("file:/", "cannot be read"),
    ],
)
def test_references_that_lead_nowhere(reference: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        resolve(reference, environ={})


@pytest.mark.parametrize("text", ["canary-Hunter2", "http://canary-Hunter2", "env:", "vault:x", ""])
def test_what_is_no_reference_is_not_repeated(text: str) -> None:
    assert not is_reference(text)
    with pytest.raises(ConfigError, match="not a reference") as caught:
        resolve(text, environ={})
    assert "canary" not in str(caught.value)
