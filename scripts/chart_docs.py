"""Writes the table of values into the chart's README from the comments of its values.yaml, so that
it cannot fall behind (`make docs`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

CHART = Path(__file__).resolve().parent.parent / "src" / "tabular" / "deploy" / "onprem" / "chart"
TARGET = CHART / "README.md"
BEGIN, END = "<!-- values: written by `make docs` -->", "<!-- end of values -->"
_KEY = re.compile(r"(?P<space> *)(?P<key>[A-Za-z_][\w.-]*):(?: .*)?$")
_COMMENT = re.compile(r" *# ?(?P<text>.*)$")
_LONGEST = 60


def documented(text: str) -> dict[str, str]:
    """The documentation of each value that has some, by its path with dots."""
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    said: list[str] | None = None
    for line in text.splitlines():
        comment = _COMMENT.match(line)
        if comment is not None:
            words = comment["text"]
            if words.startswith("-- "):
                said = [words[3:].strip()]
            elif said is not None:
                said.append(words.strip())
            continue
        key = _KEY.match(line)
        if key is not None:
            depth = len(key["space"])
            path = [*((d, k) for d, k in path if d < depth), (depth, key["key"])]
            if said is not None:
                found[".".join(k for _, k in path)] = " ".join(said)
        said = None
    return found


def bare(values: Mapping[str, Any], known: Mapping[str, str], path: str = "") -> Iterator[str]:
    """Values that no documentation tells of: neither their own nor that of what they are in."""
    for key, value in values.items():
        here = f"{path}.{key}" if path else key
        if here in known:
            continue
        if isinstance(value, Mapping) and value:
            yield from bare(value, known, here)
        else:
            yield here


def _at(values: Any, path: str) -> Any:
    for key in path.split("."):
        values = values[key]
    return values


def _default(value: Any) -> str:
    text = json.dumps(value)
    return f"`{text}`" if len(text) <= _LONGEST else "see values.yaml"


def table() -> str:
    """The rows, with a head."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    values = YAML(typ="safe").load(text)
    known = documented(text)
    missing = sorted(bare(values, known))
    if missing:
        raise SystemExit(f"values.yaml says nothing of {', '.join(missing)}: write `# -- …` there")
    rows = [
        f"| `{path}` | {_default(_at(values, path))} | {said.replace('|', chr(92) + '|')} |"
        for path, said in known.items()
    ]
    return "\n".join(["| value | default | |", "|---|---|---|", *rows])


def render() -> str:
    """The README with the table as it should be."""
    before, _, rest = TARGET.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
