"""The page put together: verdict first, then privacy, models, columns, pairs, and the method."""

from __future__ import annotations

from tabular.synth.evaluation.page.markup import Markup, element, join
from tabular.synth.evaluation.page.sections import (
    associations,
    columns,
    method,
    models,
    pairs,
    privacy,
    verdict,
)
from tabular.synth.evaluation.page.style import STYLE
from tabular.synth.evaluation.report import Report

_TITLE = "Synthetic data report"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(report: Report) -> str:
    """A whole HTML document that fetches nothing and runs nothing."""
    sections = [
        ("verdict", "Verdict", verdict(report)),
        ("privacy", "Privacy", privacy(report)),
        ("models", "Models", models(report)),
        ("columns", "Columns", columns(report)),
        ("pairs", "Pairs", pairs(report)),
        ("associations", "Associations", associations(report)),
        ("method", "Method", method(report)),
    ]
    links = [element("a", title, href=f"#{place}") for place, title, _ in sections]
    body = element(
        "body",
        element("a", "Skip to the verdict", class_="skip", href="#verdict"),
        element("header", element("h1", _TITLE), _facts(report), element("nav", *links)),
        element("main", *(_section(*section) for section in sections)),
        element("footer", element("p", "Made by inferloop-tabular. This file stands alone.")),
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", _TITLE),
        element("style", Markup(STYLE)),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _section(place: str, title: str, content: Markup) -> Markup:
    heading = element("h2", title, id=f"{place}-title")
    return element("section", heading, content, id=place, aria_labelledby=f"{place}-title")


def _facts(report: Report) -> Markup:
    facts = [
        ("synthetic rows", f"{report.synthetic_rows:,}"),
        ("real rows, trained on", f"{report.real_rows:,}"),
        ("holdout rows", "none" if report.holdout_rows is None else f"{report.holdout_rows:,}"),
        ("columns", f"{len(report.shapes.columns):,}"),
        ("seed", str(report.seed)),
    ]
    pairs_ = [element("div", element("dt", key), element("dd", value)) for key, value in facts]
    return element("dl", join(pairs_), class_="facts")
