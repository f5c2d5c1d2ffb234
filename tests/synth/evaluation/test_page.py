"""The HTML report: whole, self-contained, and safe whatever the columns are called."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabular.synth.evaluation import evaluate
from tabular.synth.evaluation.page.markup import Markup, element, escape, join, short

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style><b>",
    "a & b &amp; c",
    "' onload='x",
    "]]>--><!--",
    "\x00\x1b[31m\u202etxt",
    "-->",
]
VOID = {"meta", "br"}


class Reader(HTMLParser):
    """Checks nesting as it reads, and keeps what a test asks about."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture
def page(make_table) -> str:
    tables = (make_table(600, seed) for seed in (1, 2, 3))
    real, synthetic, holdout = tables
    return evaluate(real, synthetic, holdout=holdout).to_html()


def test_the_page_is_one_document_that_fetches_and_runs_nothing(page):
    reader = read(page)
    assert page.startswith("<!doctype html>\n<html")
    assert not reader.tags & {"script", "link", "img", "iframe", "object", "image", "use", "base"}
    for tag, name, value in reader.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name not in ("src", "srcset", "action", "xlink:href"), (tag, name)
        if name == "href":
            assert value.startswith("#")
            assert value.removeprefix("#") in reader.ids
    assert "url(" not in page
    assert "@import" not in page
    assert "http:" not in page
    assert "https:" not in page
    assert "default-src 'none'" in "".join(value for *_, value in reader.attributes)


def test_the_page_can_be_read_without_seeing_it(page):
    reader = read(page)
    assert ("html", "lang", "en") in reader.attributes
    drawings = [item for item in re.findall(r"<svg[^>]*>", page) if "aria-hidden" not in item]
    assert len(drawings) == 10 + 2 + 2 + 2
    for drawing in drawings:
        assert 'role="img"' in drawing
        assert re.search(r'aria-label="[^"]{20,}"', drawing)
    assert len(reader.ids) == len(set(reader.ids))
    for tag, name, value in reader.attributes:
        if name == "aria-labelledby":
            assert value in reader.ids, tag


def test_the_page_follows_light_and_dark(page):
    assert "prefers-color-scheme: dark" in page
    light, dark = (set(re.findall(r"--([a-z-]+): #", part)) for part in _themes(page))
    assert dark <= light
    assert {"page", "surface", "ink", "muted", "real", "synthetic", "heat", "good"} <= dark


def _themes(page: str) -> tuple[str, str]:
    style = page[page.index("<style>") : page.index("</style>")]
    light, _, rest = style.partition("@media (prefers-color-scheme: dark)")
    return light, rest[: rest.index("* {")]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "behind", "least"),
    [
        ("ink", "page", 7), ("ink", "surface", 7), ("muted", "page", 4.5),
        ("muted", "surface", 4.5), ("good", "good-soft", 4.5), ("fair", "fair-soft", 4.5),
        ("poor", "poor-soft", 4.5), ("unknown", "unknown-soft", 4.5), ("on-heat", "heat", 4.5),
        ("down", "surface", 4.5), ("synthetic", "surface", 3), ("synthetic", "real-fill", 2),
    ],
)  # fmt: skip
def test_contrast_meets_wcag(page, theme, text, behind, least):
    colours = dict(re.findall(r"--([a-z-]+): #([0-9a-f]{6})", _themes(page)[theme]))
    lights = sorted(_luminance(colours[name]) for name in (text, behind))
    assert (lights[1] + 0.05) / (lights[0] + 0.05) >= least


def _luminance(colour: str) -> float:
    parts = [int(colour[index : index + 2], 16) / 255 for index in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_hostile_names_and_values_stay_text():
    generator = np.random.default_rng(0)
    table = pa.table(
        {name: np.array(HOSTILE)[generator.integers(0, 8, 300)] for name in HOSTILE}
        | {"n": generator.normal(size=300)}
    )
    page = evaluate(table, table, holdout=table, target=HOSTILE[0]).to_html()
    reader = read(page)
    assert not reader.tags & {"script", "img", "b"}
    assert not any(name.startswith("on") for _, name, _ in reader.attributes)
    assert HOSTILE[0] in "".join(reader.text)
    assert not set("\x00\x1b\u202e") & set(page)
    page.encode("utf-8")


def test_a_rare_category_is_not_named():
    table = pa.table({"who": ["common"] * 100 + ["Jane Doe"] * 19})
    report = evaluate(table, table)
    assert "common" in report.to_html()
    assert "Jane Doe" not in report.to_html()
    assert "Jane Doe" not in report.to_json()


def test_what_was_not_measured_shows_no_number(make_table):
    page = evaluate(make_table(30, 1), make_table(30, 2)).to_html()
    text = " ".join(read(page).text)
    assert "needs a holdout" in text
    assert "needs at least 50 rows" in text
    assert "nan" not in text


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1))
def test_text_that_can_be_shown_comes_back_as_it_went_in(text):
    reader = read(element("p", text, title=text))
    assert "".join(reader.text) == text
    assert reader.attributes == [("p", "title", text)]


@given(st.text())
def test_no_text_opens_an_element(text):
    reader = read(element("p", text, title=text))
    assert reader.tags == {"p"}
    element("p", text).encode("utf-8")


def test_markup_is_not_escaped_twice():
    inner = element("b", "1 < 2")
    assert inner == "<b>1 &lt; 2</b>"
    assert element("p", inner, " & ", class_="x") == '<p class="x"><b>1 &lt; 2</b> &amp; </p>'
    assert isinstance(join([inner, "<"]), Markup)
    assert escape("'\"") == "&#x27;&quot;"
    assert element("rect", x=1.0, y=0.126, rx=None) == '<rect x="1" y="0.13"></rect>'


def test_long_names_are_cut():
    assert short("abcdef", 6) == "abcdef"
    assert short("abcdefg", 6) == "abcde…"
