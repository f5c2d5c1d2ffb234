"""Single numbers on the scale they are judged by, and a few of them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tabular.synth.evaluation.page.markup import Markup, element, join

_WIDTH = 480
_LEFT, _RIGHT = 12, 468


class Zone(NamedTuple):
    """A stretch of the scale and how it is judged."""

    start: float
    end: float
    level: str


def gauge(
    value: float, zones: Sequence[Zone], *, ideal: float, spoken: str,
    interval: tuple[float, float] | None = None,
) -> Markup:  # fmt: skip
    """A number on its scale, with its interval, the ideal and the stretches good to poor."""
    low, high = zones[0].start, zones[-1].end

    def at(point: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * (min(max(point, low), high) - low) / (high - low)

    parts = [
        element("rect", element("title", f"{zone.level}: {zone.start:g} to {zone.end:g}"),
                class_=f"zone-{zone.level}", x=at(zone.start), y=30,
                width=at(zone.end) - at(zone.start), height=14)
        for zone in zones
    ]  # fmt: skip
    parts += [
        element("path", class_="axis", d=f"M{at(ideal):.1f} 26V50", style="stroke:var(--ink)"),
        element("text", f"ideal {ideal:g}", class_="quiet mid", x=max(at(ideal), 36), y=64),
    ]
    for edge in sorted({zone.start for zone in zones} | {high}):
        if abs(at(edge) - max(at(ideal), 36)) > 44:
            parts.append(element("text", f"{edge:g}", class_="quiet mid", x=at(edge), y=64))
    if interval is not None:
        parts.append(
            element("path", class_="whisker", d=f"M{at(interval[0]):.1f} 37H{at(interval[1]):.1f}")
        )
    parts += [
        element("circle", class_="mark", cx=at(value), cy=37, r=8),
        element("text", f"{value:.3f}", class_="mid", font_weight="650", font_size=14,
                x=min(max(at(value), 24), _WIDTH - 24), y=18),
    ]  # fmt: skip
    return element("svg", join(parts), viewBox=f"0 0 {_WIDTH} 72", role="img", aria_label=spoken)


class Bar(NamedTuple):
    """One bar: what it is, how long, how that is written, and whose colour it wears."""

    label: str
    value: float
    written: str
    kind: str


def bars(items: Sequence[Bar], *, full: float, spoken: str) -> Markup:
    """Lying bars over one scale.

    Args:
        items: from top to bottom.
        full: the value that fills the width.
        spoken: what a screen reader says.
    """
    parts = []
    for index, item in enumerate(items):
        y = index * 44
        wide = (_RIGHT - _LEFT - 64) * min(max(item.value, 0) / full, 1.0) if full > 0 else 0.0
        parts += [
            element("text", item.label, class_="quiet", x=_LEFT, y=y + 13),
            element("rect", class_=item.kind, x=_LEFT, y=y + 18, width=max(wide, 1.5),
                    height=16, rx=2),
            element("text", item.written, x=_LEFT + max(wide, 1.5) + 8, y=y + 31,
                    font_weight="650"),
        ]  # fmt: skip
    return element(
        "svg", join(parts), viewBox=f"0 0 {_WIDTH} {len(items) * 44}", role="img",
        aria_label=spoken,
    )  # fmt: skip
