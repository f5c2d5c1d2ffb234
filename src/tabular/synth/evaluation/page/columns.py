"""A column drawn: its real values as filled bars, the synthetic ones laid over them."""

from __future__ import annotations

from tabular.synth.evaluation.page.markup import Markup, element, join, short
from tabular.synth.evaluation.results import ColumnScore, Histogram

WIDTH, HEIGHT = 320, 178
_BOTTOM = 20
_GAP = 14
_MISSING_WIDTH = 24
_LABEL_WIDTH = 122
_VALUE_WIDTH = 40


def plot(score: ColumnScore) -> Markup:
    """The histogram of one column as an image with a spoken description."""
    spoken = f"Distribution of {score.name}, real and synthetic; similarity {score.similarity:.3f}."
    drawn = _line(score.histogram) if score.histogram.edges else _bars(score.histogram)
    return element("svg", drawn, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=spoken)


def _told(histogram: Histogram, index: int) -> str:
    return (
        f"{histogram.labels[index]}: real {histogram.real[index]:.2%}, "
        f"synthetic {histogram.synthetic[index]:.2%}"
    )


def _line(histogram: Histogram) -> Markup:
    """Upright bars along a number line, missing values in a bar set apart."""
    bars = len(histogram.edges) - 1
    missing = len(histogram.labels) > bars
    across = WIDTH - (_MISSING_WIDTH + _GAP if missing else 0)
    wide = across / bars
    spots = [(index * wide, wide) for index in range(bars)]
    if missing:
        spots.append((WIDTH - _MISSING_WIDTH, _MISSING_WIDTH))
    top = max(*histogram.real, *histogram.synthetic, 1e-9)
    floor = HEIGHT - _BOTTOM
    scale = (floor - 6) / top
    parts = [
        element(
            "rect", class_="real", x=x, y=floor - share * scale, width=max(w - 1, 1),
            height=share * scale,
        )
        for (x, w), share in zip(spots, histogram.real, strict=True)
    ]  # fmt: skip
    heights = [floor - share * scale for share in histogram.synthetic]
    parts.append(_steps(spots[:bars], heights[:bars], floor))
    if missing:
        parts.append(_steps(spots[bars:], heights[bars:], floor))
    parts.append(element("path", class_="axis", d=f"M0 {floor + 0.5}H{across:.1f}"))
    parts.extend(_ticks(histogram, across, missing))
    parts.extend(
        element("rect", element("title", _told(histogram, index)), class_="hit", x=x, y=0,
                width=w, height=floor)
        for index, (x, w) in enumerate(spots)
    )  # fmt: skip
    return join(parts)


def _steps(spots: list[tuple[float, float]], heights: list[float], floor: float) -> Markup:
    path = f"M{spots[0][0]:.1f} {floor}"
    for (x, w), y in zip(spots, heights, strict=True):
        path += f"L{x:.1f} {y:.1f}H{x + w:.1f}"
    return element("path", class_="synthetic", d=f"{path}V{floor}")


def _ticks(histogram: Histogram, across: float, missing: bool) -> list[Markup]:
    bars = len(histogram.edges) - 1
    single = histogram.labels[0] == histogram.edges[0]  # a bar per whole number
    ends = histogram.labels[:bars] if single else histogram.edges
    words = [(0.0, ends[0], "quiet")]
    if ends[-1] != ends[0]:
        words.append((across, ends[-1], "quiet end"))
    if len(ends) > 2 and sum(len(word) for _, word, _ in words) < 26:
        middle = len(ends) // 2
        x = across * (middle + 0.5 * single) / bars
        words.append((x, ends[middle], "quiet mid"))
    if missing:
        words.append((WIDTH, "none", "quiet end"))
    return [element("text", word, class_=kind, x=x, y=HEIGHT - 5) for x, word, kind in words]


def _bars(histogram: Histogram) -> Markup:
    """Lying bars, one row per category, so that names can be read."""
    tall = min(HEIGHT / len(histogram.labels), 34.0)
    top = max(*histogram.real, *histogram.synthetic, 1e-9)
    scale = (WIDTH - _LABEL_WIDTH - _VALUE_WIDTH) / top
    parts = []
    for index, label in enumerate(histogram.labels):
        y = index * tall
        real, synthetic = histogram.real[index] * scale, histogram.synthetic[index] * scale
        longest = _LABEL_WIDTH + max(real, synthetic)
        parts += [
            element("text", short(label, 17), class_="end", x=_LABEL_WIDTH - 8, y=y + tall * 0.68),
            element("rect", class_="real", x=_LABEL_WIDTH, y=y + 1, width=real, height=tall - 2),
            element("rect", class_="synthetic-bar", x=_LABEL_WIDTH, y=y + tall * 0.36,
                    width=synthetic, height=tall * 0.28),
            element("text", f"{histogram.real[index]:.0%}", class_="quiet", x=longest + 5,
                    y=y + tall * 0.68),
            element("rect", element("title", _told(histogram, index)), class_="hit", x=0, y=y,
                    width=WIDTH, height=tall),
        ]  # fmt: skip
    return join(parts)


def legend() -> Markup:
    """What fill and line stand for, once for all columns."""
    real = element("rect", class_="real", x=0, y=0, width=26, height=14)
    over = join([
        element("rect", class_="synthetic-bar", x=0, y=5, width=12, height=4),
        element("path", class_="synthetic", d="M14 13V3H25V13"),
    ])  # fmt: skip
    return element(
        "div",
        element("span", _swatch(real), "real"),
        element("span", _swatch(over), "synthetic"),
        class_="legend",
    )


def _swatch(drawn: Markup) -> Markup:
    return element("svg", drawn, viewBox="0 0 26 14", aria_hidden="true")
