// What was used of the plan, and on which days.

import { all, get } from "./api.js";
import { h } from "./dom.js";
import { count, moment, percent, size } from "./format.js";
import { card, facts, section, table } from "./ui.js";

/** The section on usage; null where the service does not count. */
export async function usage(context) {
	if (!context.settings.usage) return null;
	const admin = context.can("admin");
	const [own, others, keys] = await Promise.all([
		get("v1/usage", context.signal),
		admin ? all("v1/usage/principals", context.signal) : [],
		admin ? all("v1/keys", context.signal) : [],
	]);
	const names = new Map(keys.map((key) => [key.id, key.name]));
	const { quotas } = own;
	return section(
		"Usage",
		card(
			meter(
				"Rows today",
				own.rows_today,
				quotas.rows_per_day,
				count,
				`Begins again ${moment(own.day_resets_at)}.`,
			),
			meter(
				"Rows this month",
				own.rows_this_month,
				quotas.rows_per_month,
				count,
				`Begins again ${moment(own.month_resets_at)}.`,
			),
			meter(
				"Storage",
				own.storage_bytes,
				quotas.storage_bytes,
				size,
				"Datasets, models and generated rows that are kept.",
			),
			meter("Jobs waiting or running", own.jobs_waiting_or_running, quotas.concurrent_jobs, count),
		),
		facts([
			["Plan", own.plan],
			["Requests", quotas.rate_limit],
			["Rows of one job", quotas.max_job_rows && `at most ${count(quotas.max_job_rows)}`],
			["One upload", quotas.max_upload_bytes && `at most ${size(quotas.max_upload_bytes)}`],
		]),
		own.days.length > 0 &&
			table(
				"Your days of this month (UTC)",
				[{ label: "Day", cell: (row) => row.day }, ...COUNTS],
				own.days,
				{ shown: true },
			),
		others.length > 0 &&
			table(
				"Everybody this month",
				[{ label: "Who", cell: (row) => names.get(row.principal_id) ?? row.principal_id }, ...COUNTS],
				others,
				{ shown: true },
			),
	);
}

const COUNTS = [
	{ label: "Rows", number: true, cell: (row) => count(row.rows) },
	{ label: "Jobs", number: true, cell: (row) => count(row.jobs) },
	{ label: "Uploaded", number: true, wide: true, cell: (row) => size(row.bytes_uploaded) },
	{ label: "Downloaded", number: true, wide: true, cell: (row) => size(row.bytes_downloaded) },
	{ label: "Stored", number: true, wide: true, cell: (row) => size(row.bytes_stored) },
];

/** An amount, and how much of what is allowed it is. */
function meter(label, used, allowed, written, hint) {
	const of = allowed
		? `${written(used)} of ${written(allowed)}, ${percent(used / allowed)}`
		: `${written(used)}, no limit`;
	return h(
		"div",
		{ class: "meter" },
		h("div", { class: "row spread" }, h("b", null, label), h("span", { class: "words" }, of)),
		allowed && h("progress", { max: allowed, value: Math.min(used, allowed), "aria-label": label }),
		hint && allowed && h("p", { class: "hint" }, hint),
	);
}
