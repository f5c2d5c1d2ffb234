"""HTML and SVG that cannot be injected into.

Column names and values come from strangers. Text becomes markup only by `element`, which
escapes whatever is not markup already, so a forgotten escape is not something one can write.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]"
)


class Markup(str):
    """Text that is markup already; made by `element` and `join`, or written by us."""

    __slots__ = ()


def escape(value: str) -> Markup:
    """Text as markup: angle brackets, quotes, control and direction characters made harmless."""
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(_UNPRINTABLE.sub("\ufffd", value), quote=True))


def element(tag: str, *children: str, **attributes: str | float | None) -> Markup:
    """One element.

    Args:
        tag: its name, from our own code.
        children: text, which is escaped, or markup.
        attributes: values are escaped, None leaves one out; ``class_`` is class and other
            underscores are hyphens. Numbers are written with at most two decimals.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_written(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if tag in ("meta", "br"):
        return Markup(f"<{tag}{given}>")
    return Markup(f"<{tag}{given}>{join(children)}</{tag}>")


def join(parts: Sequence[str]) -> Markup:
    """Pieces one after another, each escaped unless it is markup."""
    return Markup("".join(escape(part) for part in parts))


def name(text: str) -> Markup:
    """A column name or value, kept from turning the direction of the text around it."""
    return element("bdi", text)


def short(text: str, length: int) -> str:
    """Text cut to a length, with an ellipsis where something was cut."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _written(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
