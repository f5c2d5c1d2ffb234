"""The soak in a few lines of Markdown."""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter

from tests.soak.chaos import Chaos
from tests.soak.clients import Ledger


def report(
    ledger: Ledger,
    chaos: Chaos,
    checked: dict[str, str],
    *,
    clients: int,
    seconds: float,
    seed: int,
    load: float,
) -> str:
    """Requests, errors, faults, ends of jobs, and the verdict."""
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    ends = Counter(state["status"] for state in ledger.ended.values())
    reasons = Counter(
        state["error"]["code"] for state in ledger.ended.values() if state["status"] == "failed"
    )
    total = sum(map(len, ledger.seconds.values()))
    lines = [
        f"\n## {now}: soak\n",
        f"{clients} clients for {seconds:g} s, seed {seed}; {os.cpu_count()} cores shared by all "
        f"processes, clients included, load {load:.1f} at the start. Times are of answers of any "
        "status, faults included.\n",
        "| route | answers | p50 ms | p99 ms |",
        "|---|---|---|---|",
        *(_row(route, times) for route, times in sorted(ledger.seconds.items())),
        "",
        f"- requests answered: {total}; messages of progress: {ledger.messages}",
        f"- asked again after: {_counts(ledger.errors)}",
        f"- faults: {_counts(chaos.done)}",
        f"- jobs: {_counts(ends)}; reasons of failure: {_counts(reasons)}",
        *(f"- {name}: {text}" for name, text in checked.items()),
        f"- verdict: {'PASSED' if not ledger.wrong else f'FAILED, {len(ledger.wrong)} things'}",
        *(f"  - {what}" for what in ledger.wrong[:30]),
    ]
    return "\n".join(lines) + "\n"


def _row(route: str, times: list[float]) -> str:
    ordered = sorted(times)
    middle, high = (
        ordered[len(ordered) // 2],
        ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
    )
    return f"| {route} | {len(ordered)} | {middle * 1000:.0f} | {high * 1000:.0f} |"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common()) or "none"
