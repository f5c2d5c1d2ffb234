"""What each section of the page shows, and the sentence that explains it."""

from __future__ import annotations

from collections.abc import Sequence

from tabular.synth.evaluation.page import columns as column_plots
from tabular.synth.evaluation.page.gauges import Bar, Zone, bars, gauge
from tabular.synth.evaluation.page.heatmaps import MOST, association_map, pair_map
from tabular.synth.evaluation.page.markup import Markup, element, join, name
from tabular.synth.evaluation.report import Report
from tabular.synth.evaluation.results import ColumnScore, Finding, NotMeasured, PairScore
from tabular.synth.evaluation.verdict import NOT_DIFFERENTIAL

_PLOTTED = 60
_LISTED = 500
_SIGNS = {"good": "✓ good", "fair": "~ fair", "poor": "✕ poor", "unknown": "? not judged"}


def verdict(report: Report) -> Markup:
    """A card per measure, and what none of them can promise."""
    parts = [element("p", report.headline, class_="headline")]
    for group in ("quality", "privacy"):
        cards = [_finding(finding) for finding in report.findings if finding.group == group]
        parts.append(element("p", group, class_="group"))
        parts.append(element("div", *cards, class_="grid findings"))
    parts.append(element("div", element("p", NOT_DIFFERENTIAL), class_="card statement"))
    return join(parts)


def _finding(finding: Finding) -> Markup:
    measured = bool(finding.scale)
    return element(
        "article",
        element(
            "div",
            element("h3", finding.measure),
            element("span", _SIGNS[finding.level], class_=f"badge {finding.level}"),
            class_="top",
        ),
        element("p", finding.value, class_="value" if measured else "value none"),
        element("p", finding.meaning.removeprefix("not measured: ")),
        element("p", finding.scale, class_="note") if measured else "",
        class_="card",
    )


def privacy(report: Report) -> Markup:
    """Nearer to training or to the holdout, and copied rows."""
    lead = element(
        "p",
        "A synthesizer that learned the population, not the rows, puts its rows as near to "
        "people it never saw as to people it did.",
        class_="lead",
    )
    cards = [_nearest(report), _exact(report)]
    return join([lead, element("div", *cards, class_="grid halves")])


def _nearest(report: Report) -> Markup:
    title = "Share of synthetic rows nearer to training than to holdout"
    result = report.nearest
    if isinstance(result, NotMeasured):
        return _absent(title, result)
    zones = [
        Zone(0.0, 0.45, "unknown"), Zone(0.45, 0.55, "good"), Zone(0.55, 0.6, "fair"),
        Zone(0.6, 1.0, "poor"),
    ]  # fmt: skip
    spoken = f"{result.share:.1%} nearer to training; 50% is ideal."
    drawn = gauge(result.share, zones, ideal=0.5, spoken=spoken, interval=(result.low, result.high))
    words = (
        f"{result.queries:,} synthetic rows, each against {result.searched:,} training and as "
        f"many holdout rows; 95% interval {result.low:.3f} to {result.high:.3f}."
    )
    return _figure(title, drawn, words)


def _exact(report: Report) -> Markup:
    result = report.exact
    items = [Bar("Synthetic rows that are training rows", result.synthetic_in_training,
                 f"{result.synthetic_in_training:.2%}", "synthetic-bar")]  # fmt: skip
    if result.holdout_in_training is not None:
        items.append(Bar("Holdout rows that are training rows: chance alone",
                         result.holdout_in_training, f"{result.holdout_in_training:.2%}",
                         "real"))  # fmt: skip
    if result.synthetic_in_holdout is not None:
        items.append(Bar("Synthetic rows that are holdout rows", result.synthetic_in_holdout,
                         f"{result.synthetic_in_holdout:.2%}", "zone-unknown"))  # fmt: skip
    spoken = "; ".join(f"{item.label}: {item.written}" for item in items)
    drawn = bars(items, full=max(item.value for item in items), spoken=spoken)
    words = f"{result.columns:,} columns compared, numbers to six decimals."
    return _figure("Exact matches", drawn, words)


def models(report: Report) -> Markup:
    """What trained models say."""
    lead = element(
        "p", "Gradient-boosted trees, trained twice over: to tell the tables apart, and to do "
        "the work the table is meant for.", class_="lead",
    )  # fmt: skip
    return join([lead, element("div", _detection(report), _utility(report), class_="grid halves")])


def _detection(report: Report) -> Markup:
    title = "Telling real from synthetic"
    result = report.detection
    if isinstance(result, NotMeasured):
        return _absent(title, result)
    zones = [Zone(0.4, 0.65, "good"), Zone(0.65, 0.8, "fair"), Zone(0.8, 1.0, "poor")]
    drawn = gauge(result.auc, zones, ideal=0.5, spoken=f"AUC {result.auc:.3f}; 0.5 is ideal.")
    words = f"Area under the ROC curve; {result.rows:,} rows of each side, half of them to score."
    return _figure(title, drawn, words)


def _utility(report: Report) -> Markup:
    title = "Trained on synthetic, scored on real"
    result = report.utility
    if isinstance(result, NotMeasured):
        return _absent(title, result)
    items = [
        Bar("trained on synthetic rows", result.synthetic, f"{result.synthetic:.3f}",
            "synthetic-bar"),
        Bar("trained on real rows", result.real, f"{result.real:.3f}", "real"),
    ]  # fmt: skip
    metric = {"auc": "AUC", "accuracy": "accuracy", "r2": "R²"}[result.metric]
    spoken = f"{metric}: " + "; ".join(f"{item.label} {item.written}" for item in items)
    words = element(
        "span", f"{metric} of a {result.task} of ", name(result.target),
        f", scored on {result.rows:,} rows of {result.scored_on}.",
    )  # fmt: skip
    return _figure(title, bars(items, full=1.0, spoken=spoken), words)


def columns(report: Report) -> Markup:
    """Every column drawn, least alike first, and listed."""
    scores = sorted(report.shapes.columns, key=lambda score: score.similarity)
    lead = element(
        "p", "Least alike first. A category is named when at least 20 real rows hold it; the "
        "outer bars of a number line hold all that lies beyond.", class_="lead",
    )  # fmt: skip
    cards = element("div", *(_column(score) for score in scores[:_PLOTTED]), class_="grid plots")
    rest = ""
    if len(scores) > _PLOTTED:
        rest = element("p", f"The {len(scores) - _PLOTTED:,} columns most alike are not drawn.")
    return join([lead, column_plots.legend(), cards, rest, _column_table(scores)])


def _column(score: ColumnScore) -> Markup:
    gap = score.missing_difference
    missing = f"missing {gap:+.1%}" if abs(gap) >= 0.0005 else ""
    words = " · ".join(item for item in (f"{score.similarity:.3f}", missing) if item)
    head = element(
        "div", element("h3", name(score.name)), element("span", words, class_="score"),
        class_="top",
    )  # fmt: skip
    return element("article", head, column_plots.plot(score), class_="card")


def _column_table(scores: Sequence[ColumnScore]) -> Markup:
    titles = ["column", "kind", "similarity", "holdout's", "missing, real", "missing, synthetic"]
    head = element(
        "tr",
        *(
            element("th", title, scope="col", class_="number" if index > 1 else None)
            for index, title in enumerate(titles)
        ),
    )
    rows = [
        element(
            "tr",
            element("th", name(score.name), scope="row"),
            element("td", "key or free text" if score.identifier else score.family),
            *_numbers(
                f"{score.similarity:.3f}",
                "" if score.reference is None else f"{score.reference:.3f}",
                f"{score.missing_real:.2%}",
                f"{score.missing_synthetic:.2%}",
            ),
        )
        for score in scores[:_LISTED]
    ]
    cut = f"the {_LISTED} least alike of {len(scores):,}" if len(scores) > _LISTED else "all"
    table = element(
        "table",
        element("caption", f"Columns, least alike first ({cut})"),
        element("thead", head),
        element("tbody", *rows),
    )
    return element(
        "details",
        element("summary", "All columns as a table"),
        element("div", table, class_="scroll", tabindex="0"),
    )


def _numbers(*values: str) -> list[Markup]:
    return [element("td", value, class_="number") for value in values]


def pairs(report: Report) -> Markup:
    """Similarity of every two columns."""
    scores = report.pairs
    if isinstance(scores, NotMeasured):
        return _absent("Column pairs", scores)
    words = (
        "Each cell compares how two columns fall together, in 16 by 16 cells of equal share: "
        "the stronger the colour, the less alike."
    )
    if scores.reference_mean is not None:
        words += f" Real rows kept aside average {scores.reference_mean:.3f}."
    table = _pair_table("Least alike", scores.worst, "{:.3f}")
    return _mapped(words, pair_map(scores), table, len(scores.columns))


def associations(report: Report) -> Markup:
    """How ties between columns changed."""
    scores = report.association
    if isinstance(scores, NotMeasured):
        return _absent("Associations", scores)
    words = (
        "The change of the tie between two columns, synthetic minus real: rank correlation "
        "between numbers, correlation ratio between a number and a category, Cramér's V "
        "between categories."
    )
    table = _pair_table("Changed most", scores.worst, "{:+.3f}")
    return _mapped(words, association_map(scores), table, len(scores.columns))


def _mapped(words: str, drawn: Markup, table: Markup, count: int) -> Markup:
    if count > MOST:
        words += f" Drawn are the {MOST} columns, of {count:,}, that fare worst."
    figure = element("div", drawn, class_="card scroll", tabindex="0")
    side = element("div", table, class_="card")
    split = element("div", figure, side, class_="grid split")
    return join([element("p", words, class_="lead"), split])


def _pair_table(title: str, worst: Sequence[PairScore], shape: str) -> Markup:
    rows = [
        element(
            "tr",
            element("th", name(pair.first), " with ", name(pair.second), scope="row"),
            *_numbers(shape.format(pair.value)),
        )
        for pair in worst
    ]
    return element("table", element("caption", title), element("tbody", *rows))


def method(report: Report) -> Markup:
    """How each number comes about, and what was cut."""
    lines = [
        "Column shapes: 1 minus the total variation distance over 20 bins of equal real share, "
        "or the 50 most frequent categories and the rest, and missing values.",
        "Column pairs: the same over two columns at once, 10 bins or 14 categories and the "
        "rest, and missing values, averaged over all pairs.",
        "Nearer to training: Euclidean distance over quantiles of numbers and indicators of "
        "categories; a tie counts half; the interval is Wilson's and covers the choice of "
        "synthetic rows, not of the holdout.",
        "Exact matches: rows that agree in every column but keys and free text.",
        "Detection and utility: histogram gradient boosting with its standard settings.",
        f"Every random choice follows from seed {report.seed}: the same tables give the same "
        "report.",
    ]
    items = [element("li", line) for line in (*lines, *report.notes)]
    return join([element("ul", *items), element("p", NOT_DIFFERENTIAL)])


def _figure(title: str, drawn: Markup, words: str) -> Markup:
    return element(
        "article", element("h3", title), drawn, element("p", words, class_="note"), class_="card"
    )


def _absent(title: str, why: NotMeasured) -> Markup:
    return element(
        "article",
        element("h3", title),
        element("p", "not measured", class_="value none"),
        element("p", why.reason.removeprefix("not measured: ")),
        class_="card",
    )
