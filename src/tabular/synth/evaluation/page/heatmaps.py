"""Every pair of columns at a glance.

Strength is drawn as opacity over the page's own surface, so one drawing serves light and dark.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tabular.synth.evaluation.page.markup import Markup, element, join, short
from tabular.synth.evaluation.results import AssociationScores, PairScores

MOST = 40
_LEFT, _TOP, _SIDE, _FOOT = 118, 96, 560, 46
_READABLE = 28  # a cell narrower than this has no room for its number


@dataclass(frozen=True, slots=True)
class _Look:
    """How the number of a pair is drawn and said."""

    strength: Callable[[float], float]
    shade: Callable[[float], str]
    digits: Callable[[float], str]
    spoken: str
    legend: Markup


def pair_map(scores: PairScores) -> Markup:
    """Similarity of pairs; stronger colour is less alike."""
    least = min(0.8, scores.minimum)
    look = _Look(
        strength=lambda value: (1 - value) / (1 - least),
        shade=lambda _: "heat",
        digits=lambda value: f"{value:.2f}".removeprefix("0"),
        spoken=f"Similarity of column pairs, mean {scores.mean:.3f}, least {scores.minimum:.3f}.",
        legend=_legend([("heat", 0.0), ("heat", 1.0)], ["1, the same", f"{least:.2f}"]),
    )
    order = _order(scores.matrix, sum)
    return _draw(scores.columns, scores.matrix, order, look)


def association_map(scores: AssociationScores) -> Markup:
    """Change of ties; one hue stronger, the other weaker."""
    most = max(0.2, scores.max_difference)
    look = _Look(
        strength=lambda value: abs(value) / most,
        shade=lambda value: "up" if value > 0 else "down",
        digits=lambda value: "0" if abs(value) < 0.005 else f"{value:+.2f}".replace("0.", "."),
        spoken=f"Change of association of column pairs, mean {scores.mean_difference:.3f}.",
        legend=_legend(
            [("down", 1.0), ("down", 0.0), ("up", 1.0)],
            [f"-{most:.2f}", "0, unchanged", f"+{most:.2f}"],
        ),
    )
    order = _order(scores.difference, lambda row: -sum(abs(value) for value in row))
    return _draw(scores.columns, scores.difference, order, look)


def _order(
    matrix: Sequence[Sequence[float]], rank: Callable[[Sequence[float]], float]
) -> list[int]:
    """The columns to draw: all in their order, or the worst where there are too many."""
    worst = sorted(range(len(matrix)), key=lambda index: rank(matrix[index]))
    return sorted(worst[:MOST])


def _draw(
    names: Sequence[str], matrix: Sequence[Sequence[float]], order: Sequence[int], look: _Look
) -> Markup:
    cell = min(_SIDE / len(order), 44.0)
    side = cell * len(order)
    parts = []
    for place, index in enumerate(order):
        middle = (place + 0.5) * cell
        label = short(names[index], 16)
        across = _LEFT + middle
        parts += [
            element("text", label, class_="end", x=_LEFT - 8, y=_TOP + middle + 4),
            element("text", label, x=across, y=_TOP - 8,
                    transform=f"rotate(-50 {across:.1f} {_TOP - 8})"),
        ]  # fmt: skip
        for other, column in enumerate(order):
            x, y = _LEFT + other * cell, _TOP + place * cell
            parts.append(_cell((x, y, cell), names, (index, column), matrix, look))
    legend = element("g", look.legend, transform=f"translate({_LEFT} {_TOP + side + 18:.1f})")
    width = max(_LEFT + side + 60, _LEFT + 330)
    return element(
        "svg", join(parts), legend, role="img", aria_label=look.spoken,
        viewBox=f"0 0 {width:.0f} {_TOP + side + _FOOT:.0f}",
        style=f"max-width:{max(width, 420):.0f}px",
    )  # fmt: skip


def _cell(
    box: tuple[float, float, float],
    names: Sequence[str],
    pair: tuple[int, int],
    matrix: Sequence[Sequence[float]],
    look: _Look,
) -> Markup:
    x, y, size = box
    inner = {"x": x + 0.5, "y": y + 0.5, "width": size - 1, "height": size - 1, "rx": 2.0}
    if pair[0] == pair[1]:
        return element("rect", class_="empty", **inner)
    value = matrix[pair[0]][pair[1]]
    strength = min(max(look.strength(value), 0.0), 1.0)
    title = element("title", f"{names[pair[0]]} with {names[pair[1]]}: {value:.3f}")
    parts = [
        element("rect", class_="empty", fill_opacity=0.15, **inner),
        element("rect", title, class_=look.shade(value), fill_opacity=strength, **inner),
    ]
    if size >= _READABLE:
        kind = "cell on" if strength > 0.6 else "cell"
        words = look.digits(value)
        parts.append(
            element("text", words, class_=kind, x=x + size / 2, y=y + size / 2 + 4,
                    pointer_events="none")
        )  # fmt: skip
    return join(parts)


def _legend(stops: Sequence[tuple[str, float]], words: Sequence[str]) -> Markup:
    """A strip of shades from the first stop to the last, with a word at each."""
    wide, steps = 300.0, 30
    parts = []
    for step in range(steps):
        along = step / (steps - 1) * (len(stops) - 1)
        before = min(int(along), len(stops) - 2)
        part = along - before
        (shade, start), (last, end) = stops[before], stops[before + 1]
        parts.append(
            element("rect", class_=shade if part == 0 or start > 0 else last, y=0, height=8,
                    shape_rendering="crispEdges",
                    x=step * wide / steps, width=wide / steps,
                    fill_opacity=start + (end - start) * part)
        )  # fmt: skip
    for index, word in enumerate(words):
        kind = ("", "mid", "end")[0 if index == 0 else 2 if index == len(words) - 1 else 1]
        x = wide * index / (len(words) - 1)
        parts.append(element("text", word, class_=f"quiet {kind}".strip(), x=x, y=22))
    return join(parts)
