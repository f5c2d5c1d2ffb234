// What was learned, and rows made from it.

import { all, get, getIfThere, post } from "./api.js";
import { announce, breakable, button, h, unique } from "./dom.js";
import { count, size } from "./format.js";
import { known } from "./names.js";
import { isEnded } from "./progress.js";
import {
	begun,
	card,
	conditionsOf,
	empty,
	facts,
	field,
	form,
	jobError,
	jobPanel,
	listing,
	liveBadge,
	page,
	removal,
	rowsOf,
	section,
	select,
	table,
} from "./ui.js";

const SIGNS = [
	["=", "is"],
	["!=", "is not"],
	["<", "is below"],
	["<=", "is at most"],
	[">", "is above"],
	[">=", "is at least"],
];

export async function models(context) {
	const path = "v1/models";
	const [first, names] = await Promise.all([get(path, context.signal), known(context)]);
	const columns = [
		{ label: "Name", cell: (row) => h("a", { href: `#/models/${row.id}` }, breakable(row.name)) },
		{
			label: "Learned from",
			wide: true,
			cell: (row) => names.datasets.get(row.dataset_id)?.name ?? "deleted",
		},
		{ label: "Preset", cell: (row) => row.preset },
		{ label: "State", cell: (row) => liveBadge(context, row.job_id, row.status) },
		begun("Begun"),
	];
	const none = empty(
		"No models yet",
		"A model is fitted to a dataset, and makes as many rows as you like.",
		context.can("datasets:read") && h("a", { class: "button", href: "#/datasets" }, "Choose a dataset"),
	);
	return page(
		"Models",
		{ lead: "What was learned from real tables. Rows are made from them." },
		listing("Models, newest first", columns, path, first, none, context.signal),
	);
}

export async function model(context, id) {
	const found = await get(`v1/models/${id}`, context.signal);
	const source =
		found.dataset_id && context.can("datasets:read")
			? await getIfThere(`v1/datasets/${found.dataset_id}`, context.signal)
			: null;
	const trail = [["Models", "#/models"], source && [source.name, `#/datasets/${source.id}`], [found.name]];
	const actions =
		context.can("models:write") && isEnded(found.status)
			? [
					removal(
						`“${found.name}”`,
						"The model is deleted. Rows that it made stay.",
						`v1/models/${id}`,
						"#/models",
					),
				]
			: [];
	return page(found.name, { trail, actions }, await body(context, found, source));
}

async function body(context, found, source) {
	const reads = context.can("jobs:read");
	const job = reads ? await get(`v1/jobs/${found.job_id}`, context.signal) : null;
	const details = found.details ?? {};
	const about = facts([
		["Preset", found.preset],
		["Engine", found.engine],
		["Seed", String(found.seed)],
		["Learned from", details.training_rows === undefined ? null : `${count(details.training_rows)} rows`],
		["Smallest group", details.privacy ? `${count(details.privacy.smallest_leaf)} rows` : null],
		["Size", found.size === null ? null : size(found.size)],
	]);
	if (!isEnded(found.status)) {
		return [
			about,
			job
				? jobPanel(context, job, "Fitting", () => context.again())
				: liveBadge(context, found.job_id, found.status),
		];
	}
	if (found.status !== "succeeded") {
		return [
			about,
			found.status === "failed"
				? jobError(job?.error)
				: h("p", { class: "notice" }, "The fit was cancelled."),
			source &&
				context.can("models:write") &&
				h("p", null, h("a", { class: "button", href: `#/datasets/${source.id}` }, "Fit it again")),
		];
	}
	const made = reads
		? (await all("v1/jobs", context.signal)).filter(
				(one) => one.kind === "generate" && one.model_id === found.id,
			)
		: [];
	return [
		about,
		context.can("generate") && section("Generate rows", card(generateForm(found))),
		made.length > 0 &&
			section(
				"Rows made so far",
				table(
					"Generations from this model",
					[
						{ label: "Rows", cell: (row) => h("a", { href: `#/jobs/${row.id}` }, rowsOf(row)) },
						{ label: "Seed", number: true, cell: (row) => String(row.params.seed) },
						{ label: "Conditions", wide: true, cell: (row) => conditionsOf(row) ?? "none" },
						{ label: "State", cell: (row) => liveBadge(context, row.id, row.status, row.progress) },
						begun("Begun"),
					],
					made,
				),
			),
		section(
			"Columns",
			table(
				"Columns of the model",
				[
					{ label: "Column", cell: (column) => column.name },
					{ label: "Taken as", cell: (column) => column.role },
					{ label: "Type", cell: (column) => column.type },
				],
				details.columns ?? [],
			),
		),
	];
}

function generateForm(found) {
	const columns = (found.details?.columns ?? []).filter(
		(column) => column.role !== "id" && column.role !== "text",
	);
	const rows = h("input", {
		name: "rows",
		type: "number",
		min: 1,
		max: 1e9,
		value: found.details?.training_rows ?? 1000,
		required: true,
	});
	return form(
		"Generate",
		async (data, made) => {
			const where = [...made.querySelectorAll(".condition")].map(condition);
			const answer = await post("v1/generate", {
				model_id: found.id,
				rows: Number(data.get("rows")),
				seed: Number(data.get("seed")),
				format: data.get("format"),
				where,
			});
			location.hash = `#/jobs/${answer.job.id}`;
		},
		h(
			"div",
			{ class: "fields" },
			field("Rows", rows),
			field(
				"Seed",
				h("input", {
					name: "seed",
					type: "number",
					min: 0,
					max: Number.MAX_SAFE_INTEGER,
					value: 1,
					required: true,
				}),
				"Same seed, same rows.",
			),
			field(
				"Format",
				select(
					"format",
					[
						["csv", "CSV"],
						["parquet", "Parquet"],
						["jsonl", "JSON lines"],
					],
					"csv",
				),
			),
		),
		conditions(columns),
	);
}

function conditions(columns) {
	const list = h("div", { class: "conditions" });
	const add = button(
		"+ Add a condition",
		() => {
			const one = h(
				"div",
				{ class: "condition", role: "group", "aria-label": "Condition" },
				named(
					"Column",
					select(
						null,
						columns.map((column) => [column.name, column.name]),
					),
				),
				named("Comparison", select(null, SIGNS)),
				named("Value", h("input", { required: true, maxlength: 400 })),
				button(
					"✕",
					() => {
						one.remove();
						announce("Condition removed");
						add.focus();
					},
					{ class: "quiet", "aria-label": "Remove this condition" },
				),
			);
			list.append(one);
			one.querySelector("select").focus();
		},
		{ class: "quiet" },
	);
	return h(
		"fieldset",
		null,
		h("legend", null, "Only rows where"),
		h(
			"p",
			{ class: "hint" },
			"Every row fulfils every condition; without any, rows are as in the real table.",
		),
		list,
		add,
	);
}

function named(label, control) {
	control.id = unique("condition");
	control.setAttribute("aria-label", label);
	return control;
}

const condition = (box) => {
	const [column, sign] = box.querySelectorAll("select");
	return `${column.value}${sign.value}${box.querySelector("input").value}`;
};
