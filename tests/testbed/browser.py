"""Chromium from Debian's package, driven by Playwright, and a watch over all that a page does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from tests.testbed import npm, parts

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AXE = "4.14.1"
Scheme = Literal["light", "dark"]
# What the page's policy forbids is told by an event; this keeps what it tells.
_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation",
  (event) => window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
"""


@dataclass
class Watched:
    """A page, and what it did that it should not.

    Attributes:
        page: Playwright's page.
        origin: the only place that it may ask.
        expected: statuses of answers that the test provokes; browsers report each as an error.
        errors: of scripts and the console.
        foreign: addresses outside of the origin that were asked.
        sockets: addresses of websockets.
    """

    page: Page
    origin: str
    expected: tuple[int, ...] = ()
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    sockets: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Begin."""
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._on_console)
        self.page.on("request", lambda request: self._on_address(request.url))
        self.page.on("websocket", lambda socket: self._on_socket(socket.url))
        self.page.on("dialog", self._on_dialog)
        self.page.add_init_script(_WATCH)

    def check(self) -> None:
        """Fail when the page has done anything that it should not."""
        assert self.errors == []
        assert self.foreign == []
        assert self.page.evaluate("window.violations") == []

    def _on_console(self, message: Any) -> None:
        provoked = any(f"status of {status} " in message.text for status in self.expected)
        if message.type in ("error", "warning") and not provoked:
            self.errors.append(f"{message.type}: {message.text}")

    def _on_address(self, url: str) -> None:
        if not url.startswith((f"{self.origin}/", "data:", "blob:")):
            self.foreign.append(url)

    def _on_socket(self, url: str) -> None:
        self.sockets.append(url)
        if urlsplit(url).netloc != urlsplit(self.origin).netloc:
            self.foreign.append(url)

    def _on_dialog(self, dialog: Any) -> None:
        self.errors.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser for the time of the block."""
    program = parts.debian("chromium", package="chromium")
    driver = parts.module("playwright.sync_api", package="playwright")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(program), args=["--headless=new", "--no-sandbox"]
        )
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def watched(
    browser: Browser, origin: str, *, scheme: Scheme = "light", width: int = 1200
) -> Iterator[Watched]:
    """A page with cookies of its own; it is checked when the block ends well."""
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 850}, locale="en-GB"
    )
    context.set_default_timeout(20_000)
    try:
        found = Watched(context.new_page(), origin)
        found.watch()
        yield found
        found.check()
    finally:
        context.close()


def accessibility(page: Page) -> list[str]:
    """What axe finds serious or critical in the page as it is."""
    source = npm.package("axe-core", AXE) / "node_modules" / "axe-core" / "axe.min.js"
    page.evaluate(source.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']} ({one['impact']}): {node['html']} {node['failureSummary']}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
