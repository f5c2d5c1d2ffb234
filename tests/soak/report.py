"""The soak in a few lines of Markdown."""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from collections.abc import Mapping

from tests.soak.chaos import Chaos
from tests.soak.ledger import Ledger


def report(
    ledger: Ledger,
    chaos: Chaos,
    checked: Mapping[str, str],
    *,
    clients: int,
    seconds: float,
    seed: int,
    load: float,
    took: Mapping[str, float],
) -> str:
    """Requests, errors, faults, ends of jobs, and the verdict."""
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    ends = Counter(f"{state['kind']} {state['status']}" for state in ledger.ended.values())
    reasons = Counter(
        state["error"]["code"]
        for state in ledger.ended.values()
        if state["status"] == "failed" and state["error"]
    )
    total, silent = sum(map(len, ledger.times.values())), sum(ledger.unanswered.values())
    lines = [
        f"\n## {now}: soak\n",
        f"{clients} clients for {seconds:g} s, seed {seed}; {os.cpu_count()} cores shared by all "
        f"processes, clients included, load {load:.1f} at the start. Times are of requests of any "
        "status, faults included; one without an answer counts with the seconds it was waited "
        "for. The last two columns are of the time until a client had its yes or no, all its "
        "tries and pauses included.\n",
        "| request | number | no answer | p50 ms | p99 ms | p50 ms, tries | p99 ms, tries |",
        "|---|---|---|---|---|---|---|",
        *(_row(ledger, kind) for kind in sorted(ledger.times)),
        "",
        f"- requests: {total}, {silent} without an answer; messages of progress: "
        f"{ledger.messages}, of {len(ledger.followed)} jobs to their end",
        f"- the clients' own event loop was late by {_late(ledger)}, which is part of these times",
        f"- asked again after: {_counts(ledger.errors)}",
        f"- codes of refusals: {_counts(ledger.codes)}",
        f"- faults: {_counts(chaos.done)}",
        f"- requests that met them, or lines of the log: {_counts(chaos.met)}",
        *(f"- left out: {kind}: {why}" for kind, why in chaos.left_out.items()),
        f"- jobs: {_counts(ends)}; reasons of failure: {_counts(reasons)}",
        *(f"- {name}: {text}" for name, text in checked.items()),
        "- took: " + ", ".join(f"{what} {spent:.0f} s" for what, spent in took.items()),
        f"- verdict: {'PASSED' if not ledger.wrong else f'FAILED, {len(ledger.wrong)} things'}",
        *(f"  - {what}" for what in ledger.wrong[:30]),
    ]
    return "\n".join(lines) + "\n"


def _row(ledger: Ledger, kind: str) -> str:
    times, waits = sorted(ledger.times[kind]), sorted(ledger.waits.get(kind, ()))
    spans = [quantile(times, 0.5), quantile(times, 0.99)]
    spans += [quantile(waits, 0.5), quantile(waits, 0.99)]
    shown = " | ".join("" if one is None else f"{one * 1000:.0f}" for one in spans)
    return f"| {kind} | {len(times)} | {ledger.unanswered[kind]} | {shown} |"


def _late(ledger: Ledger) -> str:
    late = sorted(ledger.late)
    middle, high = (quantile(late, share) or 0.0 for share in (0.5, 0.99))
    return f"{middle * 1000:.0f} ms (p50), {high * 1000:.0f} ms (p99)"


def quantile(ordered: list[float], share: float) -> float | None:
    """The value below which that share lies, of values in order; None of none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common()) or "none"
