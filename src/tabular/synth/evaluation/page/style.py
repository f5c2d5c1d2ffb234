"""The look of the page: one style sheet, readable by day, by night and on paper."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --surface: #ffffff; --ink: #17202b; --muted: #566270; --line: #dde2e8;
  --real: #3f7cc4; --real-fill: #a9c8ea; --synthetic: #c8500a; --heat: #b8430a; --on-heat: #ffffff;
  --up: #b8430a; --down: #2563ab;
  --good: #1a7544; --good-soft: #e2f3e9; --fair: #8a5a00; --fair-soft: #fcf0d4;
  --poor: #b3261e; --poor-soft: #fde7e5; --unknown: #566270; --unknown-soft: #eceff2;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1317; --surface: #181d23; --ink: #e9edf2; --muted: #a3afbb; --line: #303943;
    --real: #7db4f0; --real-fill: #2f5580; --synthetic: #ff9d5c; --heat: #ff9d5c;
    --on-heat: #14181d; --up: #ff9d5c; --down: #7db4f0;
    --good: #74d39c; --good-soft: #173526; --fair: #f0c058; --fair-soft: #3a2d0e;
    --poor: #ff9a92; --poor-soft: #451d1a; --unknown: #a3afbb; --unknown-soft: #262e36;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
header, main, footer { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 40px; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 8px; letter-spacing: -0.01em; }
h2 { font-size: 1.3rem; margin: 48px 0 4px; letter-spacing: -0.005em; }
h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
p { margin: 0 0 12px; max-width: 76ch; }
.lead, .note { color: var(--muted); }
.facts { display: flex; flex-wrap: wrap; gap: 4px 28px; margin: 16px 0 0; padding: 0; }
.facts div { display: flex; gap: 6px; align-items: baseline; }
.facts dt { color: var(--muted); } .facts dd { margin: 0; font-weight: 600; }
nav { display: flex; flex-wrap: wrap; gap: 4px 20px; margin-top: 20px; padding: 8px 0;
  border-block: 1px solid var(--line); }
a { color: var(--down); }
a:focus-visible, summary:focus-visible, [tabindex]:focus-visible {
  outline: 3px solid var(--down); outline-offset: 2px;
}
.skip { position: absolute; left: -9999px; }
.skip:focus { left: 12px; top: 12px; background: var(--surface); padding: 8px 12px; }
.grid { display: grid; gap: 16px; margin-top: 16px; }
.findings { grid-template-columns: repeat(auto-fill, minmax(min(320px, 100%), 1fr)); }
.plots { grid-template-columns: repeat(auto-fill, minmax(min(320px, 100%), 1fr)); }
.halves { grid-template-columns: repeat(auto-fill, minmax(min(440px, 100%), 1fr)); }
.halves svg { margin: 12px 0; font-size: 12.5px; }
.headline { font-size: 1.15rem; font-weight: 550; margin-top: 8px; }
.group { text-transform: uppercase; letter-spacing: 0.06em; font-size: 0.78rem; font-weight: 650;
  color: var(--muted); margin: 20px 0 -8px; }
.split { grid-template-columns: minmax(0, 7fr) minmax(0, 4fr); align-items: start; }
@media (max-width: 860px) { .split { grid-template-columns: minmax(0, 1fr); } }
.card {
  background: var(--surface); border: 1px solid var(--line); border-radius: 10px; padding: 16px;
  min-width: 0; break-inside: avoid;
}
.card .top { display: flex; justify-content: space-between; gap: 12px; align-items: baseline; }
.card .value { font-size: 1.75rem; font-weight: 650; line-height: 1.25; margin: 2px 0 6px;
  font-variant-numeric: tabular-nums; }
.card p { font-size: 0.92rem; margin-bottom: 6px; }
.card p.note { font-size: 0.82rem; margin: 0; }
.value.none { font-size: 1.1rem; color: var(--muted); }
.badge { font-size: 0.8rem; font-weight: 650; border-radius: 99px; padding: 1px 10px;
  white-space: nowrap; }
.good { color: var(--good); background: var(--good-soft); }
.fair { color: var(--fair); background: var(--fair-soft); }
.poor { color: var(--poor); background: var(--poor-soft); }
.unknown { color: var(--unknown); background: var(--unknown-soft); }
.statement { border-left: 4px solid var(--fair); margin-top: 16px; }
.statement p { margin: 0; font-size: 1rem; }
.score { color: var(--muted); font-size: 0.85rem; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; font-size: 0.9rem; margin: 8px 0 0;
  align-items: center; }
.legend svg { width: 26px; height: 14px; vertical-align: -2px; margin-right: 6px; }
svg { display: block; width: 100%; height: auto; font: 11px system-ui, sans-serif; }
.legend svg { display: inline-block; }
svg text { fill: var(--ink); } svg .quiet { fill: var(--muted); }
.axis { stroke: var(--line); stroke-width: 1; fill: none; }
.real { fill: var(--real-fill); } .real-edge { stroke: var(--real); fill: none; }
.synthetic { stroke: var(--synthetic); stroke-width: 2; fill: none; stroke-linejoin: round; }
.synthetic-bar { fill: var(--synthetic); }
.hit { fill: transparent; } .hit:hover { fill: var(--ink); fill-opacity: 0.08; }
.heat { fill: var(--heat); } .up { fill: var(--up); } .down { fill: var(--down); }
.empty { fill: var(--line); fill-opacity: 0.5; }
svg text.on { fill: var(--on-heat); }
svg text.cell { font-size: 10px; text-anchor: middle; font-variant-numeric: tabular-nums; }
.zone-good { fill: var(--good); fill-opacity: 0.35; }
.zone-fair { fill: var(--fair); fill-opacity: 0.35; }
.zone-poor { fill: var(--poor); fill-opacity: 0.35; }
.zone-unknown { fill: var(--unknown); fill-opacity: 0.25; }
.mark { fill: var(--ink); stroke: var(--surface); stroke-width: 2; }
.whisker { stroke: var(--ink); stroke-width: 3; stroke-linecap: round; }
.end { text-anchor: end; } .mid { text-anchor: middle; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
caption { text-align: left; color: var(--muted); padding-bottom: 6px; }
th, td { text-align: left; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: anywhere; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
details { margin-top: 16px; } summary { cursor: pointer; font-weight: 600; }
ul { padding-left: 20px; } li { margin-bottom: 4px; max-width: 76ch; }
footer { margin-top: 56px; padding-bottom: 40px; color: var(--muted); font-size: 0.88rem; }
@media print {
  :root { --page: #ffffff; }
  nav, .skip { display: none; }
  .card { border-color: #bbbbbb; }
}
"""
