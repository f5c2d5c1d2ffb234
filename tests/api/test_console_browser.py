"""What people do in the console: a real browser, a real API, a real worker."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.api.test_signin_directory import settings_of
from tests.platform import Processes, environment, finished, submit, table, upload
from tests.testbed.browser import Scheme, Watched, accessibility, chromium, watched
from tests.testbed.slapd import password_of, slapd_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, WebSocketRoute

pytestmark = pytest.mark.debian

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "test-output" / "console"
CENSUS = ROOT / "examples" / "data" / "census.csv"
HOLDOUT = ROOT / "examples" / "data" / "census-holdout.csv"
HOSTILE_NAME = "<img src=x onerror=alert(1)>.csv"
HOSTILE_COLUMN = '"><script>alert(2)</script>'
HOSTILE_VALUE = "<svg onload=alert(3)>"
NEVER_DONE = 80_000_000  # rows, of which the job is cancelled
JOB_TIME = 45_000  # milliseconds
CONTRAST = 4.5  # of text, by WCAG 2.2, 1.4.3
WIDE_NAMES = ("hours_per_week", "W" * 14, "a", "i" * 60, "a.b_c", "列の名前" * 5, "b", "W" * 40)
# Text of plots that is not wholly within its plot.
CLIPPED = """() => [...document.querySelectorAll("main svg text")].filter(text => {
  const [inner, outer] = [text, text.ownerSVGElement].map(e => e.getBoundingClientRect());
  return inner.left < outer.left - 0.5 || inner.right > outer.right + 0.5
    || inner.top < outer.top - 0.5 || inner.bottom > outer.bottom + 0.5;
}).map(text => text.textContent)"""
# Contrast of each number in a heatmap; axe does not look through shades that lie on each other.
CONTRASTS = """() => {
  const linear = part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255)
    + 0.0722 * linear(b / 255);
  const over = (below, shape) => {
    const { fill, fillOpacity } = getComputedStyle(shape);
    return below.map((part, i) => part + (parts(fill)[i] - part) * fillOpacity);
  };
  return [...document.querySelectorAll("svg.map .cell")].map(text => {
    const shade = text.previousElementSibling;
    const card = parts(getComputedStyle(text.closest(".card")).backgroundColor).slice(0, 3);
    const [one, other] = [
      light([shade.previousElementSibling, shade].reduce(over, card)),
      light(parts(getComputedStyle(text).fill)),
    ];
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  });
}"""
# Names in the first column that are broken where no word ends.
BROKEN = """() => [...document.querySelectorAll("main tbody th")].filter(th => {
  const walker = document.createTreeWalker(th, NodeFilter.SHOW_TEXT);
  let [before, line, broken] = ["", null, false];
  while (walker.nextNode()) for (let at = 0; at < walker.currentNode.length; at += 1) {
    const range = document.createRange();
    range.setStart(walker.currentNode, at);
    range.setEnd(walker.currentNode, at + 1);
    const { top } = range.getBoundingClientRect();
    broken ||= line !== null && top > line + 4 && !/[\\s_.-]/.test(before);
    [before, line] = [walker.currentNode.data[at], top];
  }
  return broken;
}).map(th => th.textContent)"""
# Tables of which a part is beyond the right edge.
BEYOND = """() => [...document.querySelectorAll("main .scroll")]
  .filter(box => box.scrollWidth > box.clientWidth).map(box => box.ariaLabel)"""


@dataclass
class Served:
    """A platform as its users know it."""

    processes: Processes
    key: str
    client: httpx.Client
    browser: Browser

    def watched(
        self, scheme: Scheme = "light", width: int = 1200
    ) -> AbstractContextManager[Watched]:
        return watched(self.browser, self.processes.url, scheme=scheme, width=width)

    def open(self, page: Page, view: str = "") -> None:
        page.goto(f"{self.processes.url}/console#/{view}")

    def issue(self, role: str, name: str = "someone") -> tuple[str, str]:
        """Id and text of a key of this role."""
        answer = self.client.post("/v1/keys", json={"name": name, "role": role}).json()
        return answer["id"], answer["key"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("console")
    processes = Processes(folder, environment(folder))
    try:
        processes.run("tabular.api", "migrate")
        made = processes.run(
            "tabular.api", "create-key", "--name", "ada", "--scopes", "admin", "--json"
        )
        key = json.loads(made)["key"]
        processes.api()
        processes.worker()
        with httpx.Client(
            base_url=processes.url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
            trust_env=False,
        ) as client:
            yield Served(processes, key, client, browser)
    finally:
        processes.close()


@pytest.fixture(scope="module")
def hostile(one: Served) -> dict[str, str]:
    """Addresses of views about a table whose names are meant to become markup."""
    rows = [f"{HOSTILE_VALUE if i % 3 else 'plain'},{i * 7 % 53},{i % 11}" for i in range(600)]
    quoted = HOSTILE_COLUMN.replace('"', '""')
    data = "\n".join([f'kind,"{quoted}",<b>bold</b>', *rows]).encode()
    dataset = upload(one.client, data, HOSTILE_NAME)
    fit = finished(one.client, submit(one.client, "/v1/models", {"dataset_id": dataset})["id"])
    body = {
        "model_id": fit["model_id"],
        "rows": 500,
        "where": [f"kind={HOSTILE_VALUE}"],
    }
    rows_job = finished(one.client, submit(one.client, "/v1/generate", body)["id"])
    body = {"dataset_id": dataset, "job_id": rows_job["id"]}
    judged = finished(one.client, submit(one.client, "/v1/evaluations", body)["id"])
    assert judged["status"] == "succeeded", judged
    return {
        "dataset": f"datasets/{dataset}",
        "model": f"models/{fit['model_id']}",
        "job": f"jobs/{rows_job['id']}",
        "comparison": f"comparisons/{judged['evaluation_id']}",
    }


def sign_in(one: Served, page: Page, key: str | None = None) -> None:
    one.open(page)
    page.get_by_label("API key", exact=True).fill(key or one.key)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()


def heading(page: Page, name: str | re.Pattern[str], level: int = 1) -> None:
    page.get_by_role("heading", name=name, level=level).wait_for(timeout=JOB_TIME)


def settled(page: Page, view: str) -> None:
    """The view is drawn."""
    page.locator(f'main[data-view="{view}"]:not([aria-busy])').wait_for(timeout=JOB_TIME)


def shot(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def test_the_whole_way(one: Served, tmp_path: Path) -> None:
    upload(one.client, HOLDOUT.read_bytes(), "census-holdout.csv")
    with one.watched() as seen:
        page = seen.page
        sign_in(one, page)
        assert one.key not in page.content()
        assert one.key not in json.dumps(page.evaluate("[{...localStorage}, location.href]"))
        assert page.evaluate("document.cookie") == ""  # scripts cannot read the session

        heading(page, "Datasets")
        page.locator("#file").set_input_files(CENSUS)
        heading(page, "census.csv")
        page.get_by_role("row", name=re.compile("^age integer")).wait_for()
        page.get_by_role("button", name="Show the first rows").click()
        first = page.get_by_role("region", name="The first 100 rows")
        first.wait_for()
        assert first.get_by_role("row").count() == 101

        page.get_by_text("Engine, seed and name").click()
        page.get_by_label("Seed").fill("7")
        page.get_by_role("button", name="Fit the model").click()
        heading(page, "census")
        heading(page, "Generate rows", level=2)
        assert page.get_by_role("definition").filter(has_text=re.compile("^7$")).count() == 1

        page.get_by_label("Rows", exact=True).fill("3000")
        page.get_by_role("button", name="Add a condition").click()
        group = page.get_by_role("group", name="Condition")
        group.get_by_label("Column").select_option("age")
        group.get_by_label("Comparison").select_option(">=")
        group.get_by_label("Value").fill("30")
        page.get_by_role("button", name="Generate").click()
        heading(page, "3,000 rows, csv")
        heading(page, "Download", level=2)
        with page.expect_download() as coming:
            page.get_by_role("link", name="Download csv").click()
        coming.value.save_as(tmp_path / "rows.csv")
        made = (tmp_path / "rows.csv").read_bytes()
        assert hashlib.sha256(made).hexdigest() in page.locator("main").inner_text()
        rows = list(csv.DictReader(made.decode().splitlines()))
        assert len(rows) == 3000
        assert min(int(row["age"]) for row in rows) >= 30

        assert page.get_by_label("Holdout").input_value()  # a table with the same columns
        page.get_by_role("button", name="Compare").click()
        heading(page, "Real and synthetic")
        heading(page, "Verdict", level=2)
        page.get_by_role("definition").get_by_text("age>=30", exact=True).wait_for()
        page.get_by_text("compared with all real rows").wait_for()
        columns = len(rows[0])
        assert page.get_by_role("img", name=re.compile("^Distribution of ")).count() == columns
        for name in ("Real", "Synthetic", "Change"):
            map_ = page.get_by_role("img", name=re.compile(rf"^{name}\."))
            assert map_.locator("rect[fill-opacity]").count() == columns * (columns - 1)
        assert page.evaluate(CLIPPED) == []
        assert min(page.evaluate(CONTRASTS)) >= CONTRAST
        page.get_by_text("As numbers").first.click()
        page.get_by_role("region", name=re.compile("share of the rows")).wait_for()
        with page.context.expect_page() as opening:
            page.get_by_role("link", name="Full report").click()
        assert opening.value.get_by_role("heading", level=1).inner_text()
        opening.value.close()

        page.get_by_role("button", name="Sign out").click()
        heading(page, "Sign in")
        assert page.context.cookies() == []
        page.go_back()
        heading(page, "Sign in")
        assert len(seen.sockets) >= 3  # fit, generate and compare were followed live


def test_with_the_keyboard_alone(one: Served) -> None:
    data = table(400)
    with one.watched() as seen:
        page, press = seen.page, seen.page.keyboard.press

        def tab_to(name: str, most: int = 25) -> None:
            for _ in range(most):
                press("Tab")
                focused = page.evaluate(
                    "(e => (e.labels?.[0] ?? e).textContent.trim() || e.ariaLabel)"
                    "(document.activeElement)"
                )
                if focused == name:
                    ring = page.evaluate(
                        "getComputedStyle(document.activeElement.closest('.unseen') "
                        "? document.activeElement.previousElementSibling "
                        ": document.activeElement).outlineStyle"
                    )
                    assert ring != "none", name
                    return
            raise AssertionError(f"the focus does not come to {name!r}")

        one.open(page)
        heading(page, "Sign in")
        press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        tab_to("API key")
        page.keyboard.type(one.key)
        press("Enter")
        heading(page, "Datasets")
        assert page.evaluate("document.activeElement.tagName") == "H1"
        tab_to("Choose a file")
        with page.expect_file_chooser() as choosing:
            press("Enter")
        choosing.value.set_files({"name": "keys.csv", "mimeType": "text/csv", "buffer": data})
        heading(page, "keys.csv")
        tab_to("BalancedRare people are not copied; rare values are left out.")
        press("ArrowUp")
        assert page.get_by_role("radio", name=re.compile("^Fidelity")).is_checked()
        tab_to("Fit the model")
        press("Enter")
        heading(page, "Generate rows", level=2)
        tab_to("Rows")
        press("Control+A")
        page.keyboard.type("250")
        press("Enter")
        heading(page, "250 rows, csv")
        heading(page, "Download", level=2)
        tab_to("Jobs")
        press("Enter")
        heading(page, "Jobs")
        tab_to("Sign out")
        press("Enter")
        heading(page, "Sign in")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(one: Served, hostile: dict[str, str], scheme: Scheme) -> None:
    with one.watched(scheme) as seen:
        page = seen.page
        one.open(page)
        heading(page, "Sign in")
        assert accessibility(page) == []
        shot(page, f"{scheme}-sign-in")
        sign_in(one, page)
        views = {
            name: name for name in ("datasets", "models", "jobs", "comparisons", "keys", "status")
        }
        for name, view in {**views, **hostile}.items():
            one.open(page, view)
            settled(page, view)
            assert page.get_by_role("heading", level=1).count() == 1, name
            assert accessibility(page) == [], name
            shot(page, f"{scheme}-{name}")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 360)])
def test_heatmaps_of_any_names_and_ties_can_be_read(
    one: Served, hostile: dict[str, str], scheme: Scheme, width: int
) -> None:
    found = one.client.get(f"/v1/evaluations/{hostile['comparison'].partition('/')[2]}").json()
    size = len(WIDE_NAMES)
    steps = iter(range(size * size))
    ties = [[next(steps) / (size**2 - 1) for _ in WIDE_NAMES] for _ in WIDE_NAMES]
    change = [[0.6 * tie - 0.3 for tie in row] for row in ties]
    found["report"]["association"] |= {
        "columns": WIDE_NAMES,
        "real": ties,
        "synthetic": [[-tie for tie in row] for row in ties],
        "difference": change,
    }
    found["report"]["shapes"]["columns"][0]["histogram"]["labels"][0] = "W" * 30
    with one.watched(scheme, width) as seen:
        page = seen.page
        sign_in(one, page)
        page.route(f"**/v1/evaluations/{found['id']}", lambda route: route.fulfill(json=found))
        one.open(page, hostile["comparison"])
        settled(page, hostile["comparison"])
        assert page.evaluate(CLIPPED) == []
        for now in (scheme, "light" if scheme == "dark" else "dark"):
            page.emulate_media(color_scheme=now)
            page.evaluate("new Promise(requestAnimationFrame)")  # media queries are told before
            contrasts = page.evaluate(CONTRASTS)
            assert len(contrasts) == 3 * size * (size - 1)
            assert min(contrasts) >= CONTRAST, now
        page.emulate_media(color_scheme=scheme)
        for name, matrix in (("Real", ties), ("Change", change)):
            figure = page.get_by_role("figure").filter(
                has=page.get_by_role("img", name=re.compile(rf"^{name}\."))
            )
            figure.get_by_text("As numbers").click()
            rows = figure.get_by_role("region", name=re.compile(f"^{name}: ")).get_by_role("row")
            rows.first.wait_for()
            assert rows.nth(0).get_by_role("columnheader").all_inner_texts() == [
                "Column",
                *WIDE_NAMES,
            ]
            shown = rows.nth(1).get_by_role("cell").all_inner_texts()
            assert shown[1:] == [f"{tie:.3f}" for tie in matrix[0][1:]]
        assert accessibility(page) == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        shot(page, f"{scheme}-{width}-wide-names")


@pytest.mark.parametrize("width", [1200, 360])
def test_names_break_where_a_word_ends(one: Served, width: int) -> None:
    names = ("education_num", "marital_status", "hours_per_week", "shipping.address.postal_code")
    long = "an answer that leaves the names no more room than they need"
    lines = [",".join(names), *(f"{long} {i % 5},{i % 3},{i % 7},{i % 11}" for i in range(200))]
    view = f"datasets/{upload(one.client, chr(10).join(lines).encode(), 'names.csv')}"
    with one.watched(width=width) as seen:
        page = seen.page
        sign_in(one, page)
        one.open(page, view)
        settled(page, view)
        assert page.get_by_role("rowheader").all_inner_texts() == list(names)
        assert page.evaluate(BROKEN) == []


def test_nothing_overflows_a_small_screen(one: Served, hostile: dict[str, str]) -> None:
    with one.watched(width=360) as seen:
        page = seen.page
        sign_in(one, page)
        body = {"model_id": hostile["model"].partition("/")[2], "rows": NEVER_DONE}
        running = submit(one.client, "/v1/generate", body)["id"]
        lists = ("datasets", "models", "jobs", "comparisons", "keys")
        for name, view in {**{name: name for name in lists}, **hostile}.items():
            one.open(page, view)
            settled(page, view)
            if view == "jobs":
                page.locator(".badge.running").first.wait_for()
            over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert over <= 0, name
            shot(page, f"narrow-{name}")
            assert name not in lists or page.evaluate(BEYOND) == [], name
        one.client.post(f"/v1/jobs/{running}/cancel").raise_for_status()


def test_names_and_values_stay_text(one: Served, hostile: dict[str, str]) -> None:
    with one.watched() as seen:  # fails when a dialog opens, or a policy is violated
        page = seen.page
        sign_in(one, page)
        for view in ("datasets", "models", "jobs", "comparisons"):
            one.open(page, view)
            page.get_by_text(HOSTILE_NAME).first.wait_for()
        one.open(page, hostile["dataset"])
        heading(page, HOSTILE_NAME)
        page.get_by_role("button", name="Show the first rows").click()
        page.get_by_role("cell", name=HOSTILE_VALUE).first.wait_for()
        page.get_by_role("button", name="Delete…").click()
        page.get_by_role("dialog").get_by_text(HOSTILE_NAME).wait_for()
        page.get_by_role("button", name="Keep it").click()
        one.open(page, hostile["model"])
        page.get_by_role("button", name="Add a condition").click()
        page.get_by_label("Column", exact=True).select_option(HOSTILE_COLUMN)
        one.open(page, hostile["job"])
        page.get_by_text(f"kind={HOSTILE_VALUE}").wait_for()
        one.open(page, hostile["comparison"])
        page.get_by_role("img", name=f"Distribution of {HOSTILE_COLUMN}").wait_for()
        assert (
            page.evaluate(
                "document.querySelectorAll('main script, main [onerror], main [onload]').length"
            )
            == 0
        )
        page.evaluate("document.body.setAttribute('style', 'color: red')")  # the policy is alive
        assert page.evaluate("window.violations.splice(0)") != []
        seen.errors.clear()


def test_a_viewer_sees_what_a_viewer_may(one: Served, hostile: dict[str, str]) -> None:
    _, key = one.issue("viewer")
    with one.watched() as seen:
        page = seen.page
        sign_in(one, page, key)
        sections = page.get_by_role("navigation", name="Sections").get_by_role("link")
        assert sections.all_inner_texts() == ["Datasets", "Models", "Jobs", "Status"]
        assert page.locator("#file").count() == 0
        one.open(page, hostile["dataset"])
        heading(page, HOSTILE_NAME)
        assert page.get_by_role("button").all_inner_texts() == ["Sign out", "Show the first rows"]
        one.open(page, hostile["model"])
        heading(page, "Columns", level=2)
        assert page.get_by_role("button", name="Generate").count() == 0
        one.open(page, hostile["job"])
        heading(page, re.compile("500 rows"))
        assert page.get_by_role("link", name=re.compile("Download")).count() == 0
        seen.expected = (403,)
        one.open(page, "keys")
        heading(page, "You may not see this")
        page.get_by_text("admin").first.wait_for()


def test_what_goes_wrong_is_said_with_what_to_do(one: Served) -> None:
    with one.watched() as seen:
        seen.expected = (401, 422)
        page = seen.page
        one.open(page)
        page.get_by_label("API key", exact=True).fill("ift.wrong")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("alert").wait_for()
        assert page.get_by_label("API key", exact=True).input_value() == ""

        key_id, key = one.issue("user")
        sign_in(one, page, key)
        page.locator("#file").set_input_files(
            {"name": "bad.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,2\n1,2,3\n"}
        )
        alert = page.get_by_role("alert")
        alert.get_by_text("bad.csv:3").wait_for()

        one.open(page, "jobs")
        heading(page, "Jobs")
        one.client.delete(f"/v1/keys/{key_id}").raise_for_status()
        one.open(page, "models")
        page.get_by_text("Your session has ended").first.wait_for()
        page.get_by_label("API key", exact=True).fill(one.key)
        page.get_by_role("button", name="Sign in").click()
        heading(page, "Models")  # where one was


def test_a_file_can_be_dropped(one: Served) -> None:
    with one.watched() as seen:
        page = seen.page
        sign_in(one, page)
        heading(page, "Datasets")
        page.evaluate(
            """text => {
              const data = new DataTransfer();
              data.items.add(new File([text], "dropped.csv"));
              const zone = document.querySelector(".drop");
              for (const type of ["dragover", "drop"])
                zone.dispatchEvent(new DragEvent(type, {dataTransfer: data, cancelable: true}));
            }""",
            table(50).decode(),
        )
        heading(page, "dropped.csv")


def test_limits_and_what_is_gone(one: Served, hostile: dict[str, str]) -> None:
    with one.watched() as seen:
        seen.expected = (410, 429, 503)
        page = seen.page
        sign_in(one, page)
        answers = [429]

        def limited(route: object) -> None:
            if answers:
                body = {"title": "Too many requests", "status": answers.pop()}
                route.fulfill(status=429, json=body, headers={"Retry-After": "1"})  # type: ignore[attr-defined]
            else:
                route.continue_()  # type: ignore[attr-defined]

        page.route("**/v1/models*", limited)
        one.open(page, "models")
        heading(page, "Models")  # came by itself, after the second that was asked for
        assert answers == []
        gone = {
            "title": "Gone",
            "detail": "the rows were removed",
            "hint": "generate them again",
            "status": 410,
        }
        page.route("**/v1/jobs/*/result", lambda route: route.fulfill(status=410, json=gone))
        one.open(page, hostile["job"])
        page.get_by_role("link", name="Download csv").click()
        page.get_by_role("alert").get_by_text("generate them again").wait_for()
        down = {
            "status": "unavailable",
            "checks": {
                "queue": {"status": "failed", "code": "unavailable.timeout", "milliseconds": 3000}
            },
        }
        page.route("**/ready", lambda route: route.fulfill(status=503, json=down))
        one.open(page, "status")
        page.get_by_text("A part does not answer").wait_for()
        page.get_by_text("unavailable.timeout").wait_for()
        down["status"] = "degraded"
        page.get_by_role("button", name="Look again").click()
        page.get_by_text("jobs may have to wait").wait_for()


def test_without_websockets_it_asks(one: Served, hostile: dict[str, str]) -> None:
    with one.watched() as seen:
        page = seen.page
        page.route_web_socket("**/progress*", lambda socket: socket.close())
        sign_in(one, page)
        one.open(page, hostile["model"])
        page.get_by_label("Rows", exact=True).fill(str(NEVER_DONE))
        page.get_by_role("button", name="Generate", exact=True).click()
        page.get_by_text("asking every few seconds").wait_for()
        page.get_by_role("button", name="Cancel").click()
        page.get_by_text("This job was cancelled").wait_for()


def test_status_tells_parts_and_usage(one: Served) -> None:
    paths = one.client.get("/openapi.json").json()["paths"]
    with one.watched() as seen:
        page = seen.page
        sign_in(one, page)
        one.open(page, "status")
        for part in ("database", "storage", "cache", "queue"):
            page.get_by_role("row", name=re.compile(f"^{part} ✓ answers")).wait_for()
        counted = page.get_by_role("heading", name="Usage", level=2).count()
        assert counted == ("/v1/usage" in paths)
        if counted:
            page.get_by_role("region", name="Everybody this month").wait_for()
        shot(page, "light-usage")


def test_a_broken_websocket_is_taken_up_where_it_ended(
    one: Served, hostile: dict[str, str]
) -> None:
    asked: list[str] = []

    def breaking(socket: WebSocketRoute) -> None:
        asked.append(socket.url)
        if len(asked) == 1:
            socket.send(json.dumps({"status": "running", "progress": 0.25, "event_id": 7}))
            socket.close()
        else:
            socket.connect_to_server()

    with one.watched() as seen:
        page = seen.page
        page.route_web_socket("**/progress*", breaking)
        sign_in(one, page)
        one.open(page, hostile["model"])
        page.get_by_label("Rows", exact=True).fill(str(NEVER_DONE))
        page.get_by_role("button", name="Generate", exact=True).click()
        while len(asked) < 2:
            page.wait_for_timeout(50)
        page.get_by_role("button", name="Cancel").click()
        page.get_by_text("This job was cancelled").wait_for()
    assert asked[0].endswith("/progress")
    assert asked[1].endswith("/progress?last_event_id=7")


def test_people_of_the_directory_sign_in(browser: Browser, tmp_path: Path) -> None:
    with slapd_server(tmp_path) as slapd:
        processes = Processes(tmp_path, environment(tmp_path, **settings_of(slapd, tmp_path)))
        try:
            processes.run("tabular.api", "migrate")
            processes.api()
            with watched(browser, processes.url) as seen:
                seen.expected = (401,)
                page = seen.page
                page.goto(f"{processes.url}/console")
                card = page.get_by_role("region", name="With your account")
                card.get_by_label("User name").fill("alice")
                for password in ("not hers", password_of("alice")):
                    card.get_by_label("Password").fill(password)
                    card.get_by_role("button", name="Sign in").click()
                    if password == "not hers":
                        card.get_by_role("alert").wait_for()
                        assert card.get_by_label("User name").input_value() == "alice"
                heading(page, "Datasets")
                page.get_by_role("link", name="Status").click()
                page.get_by_role("definition").get_by_text("account", exact=True).wait_for()
        finally:
            processes.close()


def test_a_key_is_shown_once_and_revoked(one: Served) -> None:
    with one.watched() as seen:
        page = seen.page
        sign_in(one, page)
        one.open(page, "keys")
        page.get_by_label("Name").fill("for a test")
        page.get_by_label("Role").select_option("viewer")
        page.get_by_role("button", name="Make a key").click()
        key = page.locator(".copy code").inner_text()
        headers = {"Authorization": f"Bearer {key}"}
        asked = httpx.get(f"{one.processes.url}/v1/whoami", headers=headers, trust_env=False)
        assert asked.json()["roles"] == ["viewer"]
        page.get_by_role("button", name="I have kept it").click()
        revoke = page.get_by_role("button", name="Revoke for a test")
        revoke.wait_for()
        assert key not in page.content()
        revoke.click()
        page.get_by_role("button", name="Revoke", exact=True).click()
        page.get_by_role("row", name=re.compile("for a test")).get_by_text("revoked").wait_for()
        asked = httpx.get(f"{one.processes.url}/v1/whoami", headers=headers, trust_env=False)
        assert asked.status_code == 401
