"""Whole renderings as files, so that a change of a template shows what it changes.

After a change that is meant: ``python -m tests.deploy.onprem.chart.golden``, and look at the diff.
"""

from __future__ import annotations

import io
from pathlib import Path

from ruamel.yaml import YAML

from tests.deploy.onprem.chart.cases import CASES, objects

FOLDER = Path(__file__).with_name("golden")
RENDERINGS = {
    "external-1.19": ("external", "1.19"),
    "external-1.30": ("external", "1.30"),
    "published-1.30": ("published", "1.30"),
    "openshift-1.30": ("openshift", "1.30"),
    "files-1.21": ("files", "1.21"),
    "gateway-1.30": ("gateway", "1.30"),
    "scaled-1.23": ("scaled", "1.23"),
}
AGAIN = "python -m tests.deploy.onprem.chart.golden"


def text(name: str) -> str:
    """A rendering as YAML, one document an object."""
    case, version = RENDERINGS[name]
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.width = 4096
    out = io.StringIO()
    for one in objects(CASES[case], version):
        out.write("---\n")
        yaml.dump(one, out)
    return out.getvalue()


def path(name: str) -> Path:
    return FOLDER / f"{name}.yaml"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.glob("*.yaml"):
        file.unlink()
    for name in RENDERINGS:
        path(name).write_text(text(name), encoding="utf-8")
