// How the platform is, and what of it was used.

import { ROOT, get } from "./api.js";
import { button, h } from "./dom.js";
import { facts, page, section, table } from "./ui.js";
import { usage } from "./usage.js";

const VERDICTS = {
	ready: "All parts answer.",
	degraded: "Requests are answered, but a part does not answer: jobs may have to wait for it.",
	unavailable: "A part does not answer: new work is refused until it does.",
};

export async function status(context) {
	const [health, ready, used] = await Promise.all([
		get("health", context.signal),
		readiness(context.signal),
		usage(context),
	]);
	const checks = Object.entries(ready.checks).map(([name, check]) => ({ name, ...check }));
	const state = (check) =>
		check.status === "ok"
			? h("span", { class: "badge succeeded" }, "✓ answers")
			: h(
					"span",
					{ class: `badge ${check.status === "degraded" ? "fair" : "failed"}` },
					`✕ ${check.code ?? check.status}`,
				);
	const again = button("Look again", () => context.again());
	return page(
		"Status",
		{ actions: [again] },
		h("p", { class: "headline" }, VERDICTS[ready.status] ?? ready.status),
		section(
			"Parts",
			table(
				"The parts that the service needs",
				[
					{ label: "Part", cell: (check) => check.name },
					{ label: "State", cell: state },
					{ label: "Answered in", number: true, cell: (check) => `${check.milliseconds} ms` },
				],
				checks,
			),
		),
		used,
		section(
			"Signed in",
			facts([
				["Name", context.who.name],
				["Kind", context.who.kind === "key" ? "API key" : "account"],
				["Roles", context.who.roles.join(", ") || null],
				["May", context.who.scopes.join(", ")],
				["Plan", context.who.plan],
			]),
		),
		section(
			"Platform",
			facts([
				["Version", health.version],
				["Release", health.release],
				["Provider", health.provider],
				["Region", health.region],
				["Environment", health.environment],
			]),
		),
	);
}

/** Asked without `get`: an answer of 503 is an answer here. */
async function readiness(signal) {
	const answer = await fetch(new URL("ready", ROOT), { signal, cache: "no-store" });
	return answer.json();
}
