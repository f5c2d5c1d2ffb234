// How the platform is, and what of it was used.

import { ROOT, get } from "./api.js";
import { h } from "./dom.js";
import { moment, size, value } from "./format.js";
import { facts, page, section, table } from "./ui.js";

export async function status(context) {
  const [health, ready, usage] = await Promise.all([get("health", context.signal), readiness(context.signal), used(context)]);
  const checks = Object.entries(ready.checks).map(([name, check]) => ({ name, ...check }));
  const state = (check) => (check.status === "ok"
    ? h("span", { class: "badge succeeded" }, "✓ answers")
    : h("span", { class: "badge failed" }, `✕ ${check.code ?? check.status}`));
  const again = h("button", { type: "button", onclick: () => context.again() }, "Look again");
  const well = ready.status === "ready";
  return page("Status", { actions: [again] },
    h("p", { class: "headline" }, well ? "All parts answer." : "A part does not answer: new work is refused until it does."),
    section("Parts", table("The parts that the service needs", [
      { label: "Part", cell: (check) => check.name },
      { label: "State", cell: state },
      { label: "Answered in", number: true, cell: (check) => `${check.milliseconds} ms` },
    ], checks)),
    usage && section("Usage", counts(usage, "")),
    section("Signed in", facts([["Name", context.who.name], ["Kind", context.who.kind === "key" ? "API key" : "account"],
      ["Roles", context.who.roles.join(", ") || null], ["May", context.who.scopes.join(", ")], ["Plan", context.who.plan]])),
    section("Platform", facts([["Version", health.version], ["Release", health.release], ["Provider", health.provider],
      ["Region", health.region], ["Environment", health.environment]])));
}

/** Asked without `get`: an answer of 503 is an answer here. */
async function readiness(signal) {
  const answer = await fetch(new URL("ready", ROOT), { signal, cache: "no-store" });
  return answer.json();
}

async function used(context) {
  if (!context.settings.usage) return null; // a service that does not count
  try {
    return await get("v1/usage", context.signal);
  } catch (problem) {
    if (problem.status === 404 || problem.status === 403) return null;
    throw problem;
  }
}

/** Counts as the service names them: numbers and texts as facts, lists as tables, groups below. */
function counts(given, title) {
  if (Array.isArray(given)) {
    const names = Object.keys(given[0] ?? {}).filter((name) => !nested(given[0][name]));
    return names.length > 0 && table(title, names.map((name) => ({
      label: words(name), number: typeof given[0][name] === "number", cell: (row) => written(name, row[name]),
    })), given, { shown: true });
  }
  const entries = Object.entries(given);
  const plain = entries.filter(([, one]) => !nested(one)).map(([name, one]) => [words(name), written(name, one)]);
  return [plain.length > 0 && h("div", null, title && h("h3", { class: "group" }, title), facts(plain)),
    entries.filter(([, one]) => nested(one)).map(([name, one]) => counts(one, title ? `${title}, ${words(name)}` : words(name)))];
}

const nested = (one) => typeof one === "object" && one !== null;
const words = (name) => name.replaceAll("_", " ");

function written(name, one) {
  if (typeof one === "number") return /bytes|storage|size/.test(name) ? size(one) : value(one);
  return /_at$|since|until|start|end/.test(name) && !Number.isNaN(Date.parse(one)) ? moment(one) : value(one);
}
