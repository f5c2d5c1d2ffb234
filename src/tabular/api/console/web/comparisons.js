// Real and synthetic side by side, from the report's own data.

import { address, get, getIfThere } from "./api.js";
import { breakable, button, h } from "./dom.js";
import { count, percent } from "./format.js";
import { known } from "./names.js";
import { distribution, heatmap, legend, scale } from "./plots.js";
import { isEnded } from "./progress.js";
import {
	begun,
	conditionsOf,
	empty,
	facts,
	field,
	jobError,
	jobPanel,
	listing,
	liveBadge,
	notice,
	page,
	removal,
	rowsOf,
	section,
	select,
	table,
} from "./ui.js";

const LEVELS = { good: "✓ good", fair: "~ fair", poor: "✕ poor", unknown: "? not judged" };
const FIRST = 24; // plots that are drawn at once; the rest when asked for
const WIDEST = 30; // columns that a heatmap of this page can show

export async function comparisons(context) {
	const path = "v1/evaluations";
	const [first, names] = await Promise.all([get(path, context.signal), known(context)]);
	const columns = [
		{
			label: "Compared with",
			cell: (row) =>
				h(
					"a",
					{ href: `#/comparisons/${row.id}` },
					breakable(names.datasets.get(row.dataset_id)?.name ?? row.dataset_id),
				),
		},
		{
			label: "Holdout",
			wide: true,
			cell: (row) => names.datasets.get(row.holdout_dataset_id)?.name ?? "none",
		},
		{ label: "State", cell: (row) => liveBadge(context, row.job_id, row.status) },
		begun("Asked for"),
	];
	const none = empty(
		"No comparisons yet",
		"Generate rows from a model, then compare them with the real table: how alike they are, and how private.",
		context.can("models:read") && h("a", { class: "button", href: "#/models" }, "Choose a model"),
	);
	return page(
		"Comparisons",
		{ lead: "How good and how private generated rows are." },
		listing("Comparisons, newest first", columns, path, first, none, context.signal),
	);
}

export async function comparison(context, id) {
	const found = await get(`v1/evaluations/${id}`, context.signal);
	const reads = context.can("jobs:read");
	const [names, rows, job] = await Promise.all([
		known(context),
		reads ? getIfThere(`v1/jobs/${found.generation_job_id}`, context.signal) : null,
		reads ? getIfThere(`v1/jobs/${found.job_id}`, context.signal) : null,
	]);
	const source = names.datasets.get(found.dataset_id);
	const model = names.models.get(rows?.model_id);
	const trail = [
		["Comparisons", "#/comparisons"],
		source && [source.name, `#/datasets/${source.id}`],
		model && [model.name, `#/models/${model.id}`],
		rows && [rowsOf(rows), `#/jobs/${rows.id}`],
		["comparison"],
	];
	const actions = [
		found.report_url &&
			!job?.expired_at &&
			h(
				"a",
				{ class: "button", href: address(`v1/evaluations/${id}/report`), target: "_blank", rel: "noopener" },
				"Full report",
				h("span", { class: "unseen" }, " (opens in a new tab)"),
			),
		isEnded(found.status) &&
			removal(
				"this comparison",
				"The report is deleted. The rows that it judged stay.",
				`v1/evaluations/${id}`,
				"#/comparisons",
			),
	].filter(Boolean);
	return page("Real and synthetic", { trail, actions }, ...body(context, found, rows, job));
}

function body(context, found, rows, job) {
	if (!isEnded(found.status))
		return [
			job
				? jobPanel(context, job, "Comparing", () => context.again())
				: liveBadge(context, found.job_id, found.status),
		];
	if (found.status === "failed") return [jobError(job?.error)];
	if (found.status === "cancelled")
		return [notice("This comparison was cancelled", "Ask for it again at the generated rows.")];
	if (!found.report)
		return [
			notice(
				"The report was removed",
				"Reports are kept for a limited time. Compare the rows again to see one.",
			),
		];
	const { report } = found;
	const asked = conditionsOf(rows);
	return [
		h("p", { class: "headline" }, report.headline),
		facts([
			["Synthetic rows", count(report.rows.synthetic)],
			["Real rows", count(report.rows.real)],
			["Holdout rows", report.rows.holdout === null ? "none" : count(report.rows.holdout)],
			["Columns", count(report.shapes.columns.length)],
			["Conditions", asked],
		]),
		asked &&
			notice(
				`Only rows with ${asked} were generated`,
				"They are compared with all real rows: part of each difference is what was asked for, not the model’s fault.",
			),
		verdict(report),
		distributions(report.shapes),
		ties(report, context.signal),
		report.notes.length > 0 &&
			section(
				"Notes",
				h(
					"ul",
					null,
					report.notes.map((note) => h("li", null, note)),
				),
			),
	];
}

function verdict(report) {
	const finding = (one) =>
		h(
			"article",
			{ class: "card finding" },
			h(
				"div",
				{ class: "top" },
				h("h4", null, one.measure),
				h("span", { class: `badge ${one.level}` }, LEVELS[one.level]),
			),
			h("p", { class: one.scale ? "value" : "value none" }, one.value),
			h("p", null, one.meaning.replace(/^not measured: /, "")),
			one.scale && h("p", { class: "hint" }, one.scale),
		);
	const group = (name, title) => [
		h("h3", { class: "group" }, title),
		h("div", { class: "grid" }, report.verdict.filter((one) => one.group === name).map(finding)),
	];
	return section(
		"Verdict",
		group("quality", "Quality"),
		group("privacy", "Privacy"),
		h("p", { class: "notice" }, report.privacy.statement),
	);
}

function distributions(shapes) {
	const orders = {
		worst: [...shapes.columns].sort((one, other) => one.similarity - other.similarity),
		table: shapes.columns,
	};
	const place = h("div", { class: "grid plots" });
	const more = button("", () => draw(Infinity));
	const choose = select(
		"order",
		[
			["worst", "least alike first"],
			["table", "as in the table"],
		],
		"worst",
	);
	const draw = (most) => {
		const columns = orders[choose.value];
		place.replaceChildren(...columns.slice(0, most).map(plotted));
		more.hidden = columns.length <= most;
		more.textContent = `Show all ${columns.length}`;
	};
	choose.addEventListener("change", () => draw(FIRST));
	draw(FIRST);
	return section(
		"Columns, one by one",
		h("div", { class: "row spread" }, legend(), h("div", { class: "filter" }, field("Order", choose))),
		place,
		more,
	);
}

/** What a plot shows, as a table that is made when it is asked for. */
function asNumbers(made) {
	const numbers = h("details", null, h("summary", null, "As numbers"));
	numbers.addEventListener("toggle", () => {
		if (numbers.open && numbers.children.length === 1) numbers.append(made());
	});
	return numbers;
}

function plotted(column) {
	const other = column.reference === null ? "" : `, holdout ${column.reference.toFixed(3)}`;
	return h(
		"figure",
		{ class: "card plot" },
		h(
			"figcaption",
			null,
			h("b", null, column.name),
			h("span", { class: "hint" }, `similarity ${column.similarity.toFixed(3)}${other}`),
		),
		distribution(column),
		asNumbers(() => asTable(column)),
	);
}

function asTable(column) {
	const { labels, real, synthetic } = column.histogram;
	return table(
		`${column.name}: share of the rows`,
		[
			{ label: "Value", cell: (bar) => labels[bar] },
			{ label: "Real", number: true, cell: (bar) => percent(real[bar], 1) },
			{ label: "Synthetic", number: true, cell: (bar) => percent(synthetic[bar], 1) },
		],
		[...labels.keys()],
	);
}

function ties(report, signal) {
	const { association, pairs } = report;
	if (association.measured === false)
		return section("Columns, two by two", notice("Not measured", association.reason));
	const names = association.columns;
	const kept = strongest(association, WIDEST);
	const map = (title, spoken, matrix, kind) =>
		h(
			"figure",
			{ class: "card plot" },
			h("figcaption", null, h("b", null, title), h("span", { class: "hint" }, spoken)),
			heatmap(`${title}. ${spoken}`, names, matrix, kept, kind, signal),
			scale(kind),
			asNumbers(() => matrixTable(`${title}: ${spoken}`, names, matrix, kept)),
		);
	const worst = table(
		"Pairs whose tie changed most",
		[
			{ label: "Columns", cell: (row) => `${row.first} and ${row.second}` },
			{ label: "Change", number: true, cell: (row) => `${row.value > 0 ? "+" : ""}${row.value.toFixed(3)}` },
		],
		association.worst,
	);
	const alike =
		pairs.measured === false
			? ""
			: ` Taken together, pairs are alike to ${pairs.mean.toFixed(3)} on the average, the least alike to ${pairs.minimum.toFixed(3)}.`;
	return section(
		"Columns, two by two",
		h(
			"p",
			{ class: "lead" },
			`How strongly each column is tied to each other: correlation of ranks between numbers, association between categories.${alike}`,
		),
		h(
			"div",
			{ class: "grid maps" },
			map("Real", "ties in the real table", association.real, "strength"),
			map("Synthetic", "ties in the generated rows", association.synthetic, "strength"),
			map(
				"Change",
				`${association.mean_difference.toFixed(3)} on the average, ${association.max_difference.toFixed(3)} at most`,
				association.difference,
				"change",
			),
			association.worst.length > 0 &&
				h(
					"figure",
					{ class: "card plot" },
					h(
						"figcaption",
						null,
						h("b", null, "Changed most"),
						h("span", { class: "hint" }, "the pairs whose tie moved most, synthetic minus real"),
					),
					worst,
				),
		),
		names.length > kept.length &&
			h(
				"p",
				{ class: "hint" },
				`The ${kept.length} columns whose ties changed most, of ${names.length}; the full report has more.`,
			),
	);
}

const matrixTable = (caption, names, matrix, kept) =>
	table(
		caption,
		[
			{ label: "Column", cell: (row) => names[row] },
			...kept.map((column) => ({
				label: names[column],
				number: true,
				cell: (row) => (row === column ? "–" : matrix[row][column].toFixed(3)),
			})),
		],
		kept,
	);

/** Positions of the columns to draw, in the table's order. */
function strongest({ columns, difference }, most) {
	const weight = (index) => difference[index].reduce((sum, one) => sum + Math.abs(one), 0);
	const order = columns.map((_, index) => index).sort((one, other) => weight(other) - weight(one));
	return order.slice(0, most).sort((one, other) => one - other);
}
