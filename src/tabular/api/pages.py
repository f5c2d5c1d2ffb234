"""What a browser sees: a landing page, and the API's documentation made from its own document.

The usual documentation pages load scripts from somebody else's server. A platform that runs
where there is no way out, and whose pages may execute nothing, needs one that is plain HTML.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from html import escape
from typing import Any

from fastapi.responses import HTMLResponse

from tabular.infra.config import Settings
from tabular.version import __version__

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
code, pre { font: .9rem/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid #8886; border-radius: .4rem; }
details { border-bottom: 1px solid #8884; padding: .4rem 0; } summary { cursor: pointer; }
summary b { display: inline-block; min-width: 4.5rem; font-family: ui-monospace, monospace; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .2rem 1rem .2rem 0;
vertical-align: top; } .quiet { opacity: .75; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
)


def landing(settings: Settings) -> HTMLResponse:
    """The page at ``/``."""
    body = f"""
<h1>inferloop-tabular</h1>
<p>Synthetic tables: upload a real one, fit a model, generate rows, see how good they are.</p>
<ul>
<li><a href="/console">The console</a>, to do so in this browser</li>
<li><a href="/docs">The API</a>, also <a href="/openapi.json">as an OpenAPI document</a></li>
<li><a href="/health">health</a>, <a href="/ready">readiness</a>, <a href="/metrics">metrics</a>
</li>
</ul>
<p class="quiet">release {escape(settings.release)}, version {__version__},
{escape(settings.provider)} {escape(settings.region)}, {escape(settings.environment)}</p>
"""
    return _page("inferloop-tabular", body)


def documentation(document: Mapping[str, Any]) -> HTMLResponse:
    """The page at ``/docs``.

    Args:
        document: the OpenAPI document.
    """
    info = document["info"]
    parts = [
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        f"<p>{escape(info['description'])}</p>",
        '<p>The same as data: <a href="/openapi.json">openapi.json</a>.</p>',
    ]
    for tag in document.get("tags", ()):
        operations = list(_operations(document, tag["name"]))
        if operations:
            parts.append(f"<h2>{escape(tag['name'])}</h2>")
            parts.append(f"<p>{escape(tag['description'])}</p>")
            parts += operations
    parts.append("<h2>Shapes</h2>")
    for name, schema in sorted(document["components"]["schemas"].items()):
        shown = escape(json.dumps(schema, indent=2, ensure_ascii=False))
        parts.append(
            f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
            f"<pre>{shown}</pre></details>"
        )
    return _page(info["title"], "\n".join(parts))


def _operations(document: Mapping[str, Any], tag: str) -> list[str]:
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation.get("tags", ()):
                found.append(_operation(path, method, operation))
    return found


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    head = f"<b>{method.upper()}</b> <code>{escape(path)}</code>"
    text = [f"<p>{escape(operation.get('description', operation.get('summary', '')))}</p>"]
    if operation.get("parameters"):
        text.append("<table><tr><th>parameter</th><th>in</th><th></th></tr>")
        text += map(_parameter, operation["parameters"])
        text.append("</table>")
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        text.append(f"<p>body: <code>{escape(kind)}</code> {_reference(content)}</p>")
    for status, answer in operation["responses"].items():
        shapes = " ".join(_reference(content) for content in answer.get("content", {}).values())
        text.append(f"<p>{escape(status)}: {escape(answer['description'])} {shapes}</p>")
    return f"<details><summary>{head}</summary>{''.join(text)}</details>"


def _parameter(parameter: Mapping[str, Any]) -> str:
    required = "required" if parameter.get("required") else "optional"
    about = f"{required}. {parameter.get('description', '')}"
    return (
        f"<tr><td><code>{escape(parameter['name'])}</code></td>"
        f"<td>{escape(parameter['in'])}</td><td>{escape(about)}</td></tr>"
    )


def _reference(content: Mapping[str, Any]) -> str:
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    return f'<a href="#{escape(name)}"><code>{escape(name)}</code></a>' if name else ""


def _page(title: str, body: str) -> HTMLResponse:
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>"
    )
    return HTMLResponse(html, headers={"Content-Security-Policy": _POLICY})
