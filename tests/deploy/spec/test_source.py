"""Whatever is no deployment file is told apart early, in words, within bounds."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from tabular.deploy.spec import load, load_text
from tabular.errors import SpecError
from tests.deploy.spec.files import PORTABLE, problems


def refused(tmp_path: Path, raw: bytes) -> str:
    file = tmp_path / "d.yaml"
    file.write_bytes(raw)
    with pytest.raises(SpecError) as caught:
        load(file)
    return str(caught.value).replace(str(file), "d.yaml")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "d.yaml: the file is empty"),
        (b"# only a comment\n", "d.yaml: the file is empty"),
        (PORTABLE.encode("utf-16"), "UTF-16"),
        (PORTABLE.encode("utf-16-le"), "U+0000"),
        ("name: tabul\u00e4r\n".encode("latin-1"), "d.yaml:1:12: byte 0xe4 is not UTF-8"),
        (b"a: b\nc: \x00d\n", "d.yaml:2:4: character U+0000 may not stand"),
        (b"a: \x1b[31mred\n", "d.yaml:1:4: character U+001B may not stand"),
        (b"a:\n\tb: c\n", "use spaces"),
        (b"- a\n- b\n", "expected a block of keys, got a list"),
        (b"text\n", "expected a block of keys, got text 'text'"),
        (b"a: b\n---\nc: d\n", "d.yaml:2:1: a second document begins here"),
        (b"a: !!python/object/apply:os.system [ls]\n", "the tag !!python/object/apply:os.system"),
        (b"a: !env HOME\n", "the tag !env is not supported"),
        (b"a: &x 1\nb:\n  <<: *x\n", "d.yaml:3:3: b.<<: merge keys are not part of YAML 1.2"),
        (b"1: a\n", "d.yaml:1:1: a key must be text, this is 1"),
        (b"true: a\n", "a key must be text"),
        (b"? [a, b]\n: c\n", "a key must be text, this is a list"),
        (b"a: *nowhere\n", "d.yaml:1:4: there is no anchor &nowhere above"),
        (b"a: &a [*a]\n", "*a refers to what it is part of"),
        (b"a: 1" + b"0" * 40 + b"\n", "a number of 41 characters is too long"),
        (b"a: 1e999\n", "the number is too large"),
        (b"%YAML 1.1\n---\na: yes\n", "only YAML 1.2 is read"),
        (b'a: "\\x00"\n', "an escape makes a character"),
        (b'a: "\\uD800"\n', "an escape makes a character"),
        (b"? " + b"x" * 400 + b"\n: 1\n", "d.yaml:1:3: a key is longer than 300 characters"),
        (b"a: 'open\n", "not YAML: found unexpected end of stream"),
        (b"a: b: c\n", "d.yaml:1:5: not YAML: mapping values are not allowed here"),
        (b"a: 1\nb: 2\na: 3\n", "d.yaml:3:1: a: the key is there twice, first in line 1"),
        (b"a: " + b"[" * 5000, "nested more than 40 levels deep"),
        (b"{a: " * 5000, "nested more than 40 levels deep"),
        (b"a: " + b"x" * 300_000, "larger than 256 KiB"),
    ],
)
def test_what_is_no_deployment_file(tmp_path: Path, raw: bytes, said: str) -> None:
    assert said in refused(tmp_path, raw)


def test_a_byte_order_mark_and_windows_lines_are_fine(tmp_path: Path) -> None:
    file = tmp_path / "d.yaml"
    text = PORTABLE + "metadata: {name: bom}\n"
    file.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert load(file).deployment.metadata.name == "bom"


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="this is a folder"):
        load(tmp_path)
    with pytest.raises(SpecError, match="no such file") as caught:
        load(tmp_path / "none.yaml")
    assert caught.value.code == "spec.missing"
    assert "init" in (caught.value.hint or "")
    with pytest.raises(SpecError, match="not an ordinary file"):
        load("/dev/zero")
    with pytest.raises(SpecError, match="cannot be read"):
        load("a\0b")
    with pytest.raises(SpecError, match="cannot be read"):
        load("x" * 5000)


def bomb(width: int, depth: int) -> str:
    lines = ["a0: &a0 [" + ", ".join(["x"] * width) + "]"]
    for level in range(1, depth):
        lines.append(f"a{level}: &a{level} [" + ", ".join([f"*a{level - 1}"] * width) + "]")
    return "\n".join(lines)


def test_a_bomb_costs_no_more_than_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "d.yaml"
    file.write_text(bomb(9, 30), encoding="utf-8")
    tracemalloc.start()
    started = time.perf_counter()
    with pytest.raises(SpecError, match="more than 20000 values, aliases expanded"):
        load(file)
    seconds, (_, peak) = time.perf_counter() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 10
    assert peak < 32 * 2**20


def test_ten_megabytes_are_not_read(tmp_path: Path) -> None:
    file = tmp_path / "d.yaml"
    file.write_bytes(b"a: b\n" * 2_000_000)
    tracemalloc.start()
    with pytest.raises(SpecError, match="larger than 256 KiB"):
        load(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 2**20


def test_anchors_are_fine_within_bounds() -> None:
    text = PORTABLE + (
        "spec:\n  topology: multi-cloud-active-active\n  providers:\n"
        "    aws: {regions: &r [one, two]}\n    gcp: {regions: *r}\n"
    )
    placed = load_text(text).deployment.spec.providers
    assert placed["gcp"].regions == placed["aws"].regions == ("one", "two")


def test_everything_wrong_is_told_at_once_in_the_order_of_lines() -> None:
    listed = problems("b: !x 1\na: 1\na: 2\n3: c\n")
    assert [line.split()[0] for line in listed] == ["1:4", "3:1", "4:1"]


def test_many_problems_are_told_in_few_lines() -> None:
    text = PORTABLE + "spec:\n" + "".join(f"  wrong{i}: 1\n" for i in range(500))
    with pytest.raises(SpecError) as caught:
        load_text(text, "f.yaml")
    assert str(caught.value).startswith("f.yaml: 500 problems\n")
    assert "… and 480 more" in str(caught.value)
    assert len(str(caught.value).splitlines()) < 25
