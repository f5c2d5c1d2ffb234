"""How the console's files are handed out; what they do is in `test_console_browser`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from tabular.api.console import Console
from tests.platform import Platform, platform

MOST = 100_000  # bytes of all files together
WEB = Path(str(files("tabular.api.console").joinpath("web")))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("console")
    with platform(folder, TABULAR_CLIENT_RATE_LIMIT="30/hour") as opened:
        opened.client.headers.pop("authorization")
        yield opened


def assets(one: Platform) -> list[str]:
    return re.findall(r'(?:href|src)="(/console/assets/[^"]+)"', one.client.get("/console").text)


def test_the_page_needs_no_key_and_is_asked_for_again(one: Platform) -> None:
    page = one.client.get("/console")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "{{" not in page.text
    again = one.client.get("/console", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == page.headers["etag"]
    assert one.client.get("/console", headers={"If-None-Match": '"other"'}).status_code == 200
    assert '<a href="/console">' in one.client.get("/").text


def test_what_the_page_loads_is_kept_for_ever_and_not_counted(one: Platform) -> None:
    found = sorted(set(assets(one)))
    assert {path.rpartition("/")[2] for path in found} == {
        file.name for file in WEB.iterdir() if file.name != "index.html"
    }
    for _ in range(3):  # together more than the limit of an address
        for path in found:
            answer = one.client.get(path)
            assert answer.status_code == 200, path
            assert "immutable" in answer.headers["cache-control"]
            known = one.client.get(path, headers={"If-None-Match": f"W/{answer.headers['etag']}"})
            assert known.status_code == 304
    types = {
        path.rpartition(".")[2]: one.client.get(path).headers["content-type"] for path in found
    }
    assert types == {
        "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
    }


def test_another_version_is_answered_and_not_kept(one: Platform) -> None:
    answer = one.client.get("/console/assets/0123456789abcdef/main.js")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"
    for name in ("none.js", "index.html", "..%2f..%2fapp.py", "__init__.py"):
        missing = one.client.get(f"/console/assets/0123456789abcdef/{name}")
        assert missing.status_code == 404, name


def test_all_files_together_are_small() -> None:
    assert sum(file.stat().st_size for file in WEB.iterdir()) < MOST


def test_no_text_can_become_markup_or_script() -> None:
    for file in WEB.iterdir():
        text = file.read_text(encoding="utf-8")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                     "new Function", " style=", "http://", "sessionStorage"):  # fmt: skip
            allowed = word == "http://" and file.name in ("icon.svg", "dom.js")  # names, not links
            assert allowed or word not in text, (file.name, word)


def test_settings_are_text_and_the_address_follows_the_content() -> None:
    hostile = Console({"environment": '"><script>alert(1)</script>'})
    assert b"<script>alert" not in hostile.page.content
    plain = Console({"environment": "dev"})
    assert plain.version == hostile.version
    assert plain.page.etag != hostile.page.etag
