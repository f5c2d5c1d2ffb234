"""Types of CSV columns: joined over blocks, and never at the cost of a digit."""

from __future__ import annotations

import io

import pyarrow as pa
import pytest

from tabular.errors import TooLargeError
from tabular.synth import Synthesizer
from tabular.synth.tables import read_table

BLOCK = 17 << 20
"""More than one block of the reader."""


def column(*cells: str) -> pa.ChunkedArray:
    return read_table(io.BytesIO("\n".join(["a", *cells, ""]).encode()), "csv")["a"]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (("10000000000000000299", "10000000000000000298"), "string"),
        (("-10000000000000000299", "7"), "string"),
        (("00123", "12345"), "string"),
        (('"007"', "8"), "string"),
        (("01", "1.5"), "string"),
        (("-01", "5"), "string"),
        (("0x1F", "0x20"), "string"),
        (("9223372036854775807", "-9223372036854775808"), "int64"),
        (("0", "-0", "100", "20"), "int64"),
        (("0.05", "10.0", "-0.01", "1e05"), "double"),
        (("1e300", "0"), "double"),
        (("2024-01-05", "2024-02-01"), "date32[day]"),
        (("09:30:00", "10:00:00"), "time32[s]"),
    ],
)
def test_digits_are_kept(cells: tuple[str, ...], kind: str) -> None:
    found = column(*cells)
    assert str(found.type) == kind
    if kind == "string":
        assert found.to_pylist() == [cell.strip('"') for cell in cells]


@pytest.mark.parametrize(
    ("first", "last", "kind", "head"),
    [
        ("1", "1.5", "double", 1.0),
        ("1", "x", "string", "1"),
        ("12", "007", "string", "12"),
        ("1.50", "x", "string", "1.50"),
        ("", "7", "int64", None),
        ("1", "", "int64", 1),
        ("2024-01-02", "2024-01-02 03:04:05", "timestamp[s]", None),
        ("true", "1.5", "string", "true"),
    ],
)
def test_types_are_joined_over_blocks(first: str, last: str, kind: str, head: object) -> None:
    row = f"{first},{'y' * 90}\n"
    text = "a,b\n" + row * (BLOCK // len(row)) + f"{last},z\n"
    table = read_table(io.BytesIO(text.encode()), "csv")
    assert [str(found) for found in table.schema.types] == [kind, "string"]
    if head is not None:
        assert table["a"][0].as_py() == head
        assert table["a"][-2].as_py() == head
    assert table.num_rows == BLOCK // len(row) + 1


def test_a_csv_larger_than_allowed_is_refused_while_it_is_read() -> None:
    text = "a\n" + "1\n" * 1_000_000
    with pytest.raises(TooLargeError, match="1,000,000 allowed"):
        read_table(io.BytesIO(text.encode()), "csv", max_bytes=1_000_000)


def test_account_numbers_and_postal_codes_keep_their_shape() -> None:
    rows = "".join(f"{10**19 + 299 * i},{i % 40 * 7:05d},{i}\n" for i in range(2000))
    table = read_table(io.BytesIO(f"account,zip,n\n{rows}".encode()), "csv")
    drawn = Synthesizer().fit(table).sample(500)
    accounts, zips = drawn["account"].to_pylist(), drawn["zip"].to_pylist()
    assert len(set(accounts)) == 500
    assert all(len(account) == 20 and account.isdecimal() for account in accounts)
    assert set(zips) <= set(table["zip"].to_pylist())
    assert "00007" in zips
