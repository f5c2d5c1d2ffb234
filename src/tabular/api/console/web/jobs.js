// What was asked for, how far it is, and what came of it.

import { all, get, post } from "./api.js";
import { h } from "./dom.js";
import { count, duration, moment, size } from "./format.js";
import { home, known, subject } from "./names.js";
import { isEnded } from "./progress.js";
import {
	KINDS,
	begun,
	card,
	conditionsOf,
	downloadLink,
	empty,
	facts,
	field,
	form,
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

const STATES = [
	["", "All"],
	["queued", "Queued"],
	["running", "Running"],
	["succeeded", "Ready"],
	["failed", "Failed"],
	["cancelled", "Cancelled"],
];
let wanted = "";

export async function jobs(context) {
	const path = `v1/jobs${wanted && `?status=${wanted}`}`;
	const [first, names] = await Promise.all([get(path, context.signal), known(context)]);
	const columns = [
		{
			label: "What",
			cell: (row) =>
				h(
					"a",
					{ href: home(row) },
					`${KINDS[row.kind]} ${row.kind === "generate" ? `${count(row.params.rows)} rows` : ""}`,
				),
		},
		{ label: "Of", cell: (row) => subject(row, names) },
		{ label: "State", cell: (row) => liveBadge(context, row.id, row.status, row.progress) },
		{
			label: "Took",
			number: true,
			wide: true,
			cell: (row) => (isEnded(row.status) ? duration(row.started_at, row.finished_at) : "–"),
		},
		begun("Asked for"),
	];
	const none = wanted
		? empty("No such jobs", "None is in this state.")
		: empty(
				"No jobs yet",
				"Fitting a model, generating rows and comparing them are jobs. They go on when you close this page.",
				context.can("datasets:read") &&
					h("a", { class: "button", href: "#/datasets" }, "Begin with a dataset"),
			);
	const filter = select("status", STATES, wanted);
	filter.addEventListener("change", () => {
		wanted = filter.value;
		context.again();
	});
	return page(
		"Jobs",
		{ lead: "Workers do them one after the other. They go on when you close this page." },
		h("div", { class: "filter" }, field("State", filter)),
		listing("Jobs, newest first", columns, path, first, none, context.signal),
	);
}

export async function job(context, id) {
	const found = await get(`v1/jobs/${id}`, context.signal);
	const names = await known(context);
	const model = names.models.get(found.model_id);
	const title = found.kind === "generate" ? rowsOf(found) : `${KINDS[found.kind]} ${subject(found, names)}`;
	const source = names.datasets.get(model?.dataset_id ?? found.dataset_id);
	const trail = [
		["Jobs", "#/jobs"],
		source && [source.name, `#/datasets/${source.id}`],
		model && [model.name, `#/models/${model.id}`],
		[title],
	];
	const actions =
		context.can("jobs:write") && isEnded(found.status) && found.kind === "generate"
			? [removal("this job", "The job is deleted, and its rows with it.", `v1/jobs/${id}`, "#/jobs")]
			: [];
	return page(
		title,
		{ trail, actions },
		facts([
			["Seed", found.params.seed === undefined ? null : String(found.params.seed)],
			["Conditions", conditionsOf(found)],
			["Asked for", moment(found.created_at)],
			["Took", isEnded(found.status) ? duration(found.started_at, found.finished_at) : null],
			["Tries", found.attempt > 1 ? count(found.attempt) : null],
			["File", found.result ? size(found.result.size) : null],
		]),
		await outcome(context, found, { model, source, names }),
	);
}

async function outcome(context, found, around) {
	if (!isEnded(found.status))
		return jobPanel(
			context,
			found,
			{ fit: "Fitting", generate: "Generating", evaluate: "Comparing" }[found.kind],
			() => context.again(),
		);
	if (found.status === "failed") return jobError(found.error);
	if (found.status === "cancelled")
		return notice("This job was cancelled", "Nothing came of it. Ask again where you began.");
	if (found.kind !== "generate")
		return h("p", null, h("a", { class: "button", href: home(found) }, "See what came of it"));
	if (found.expired_at) {
		return notice(
			`The rows were removed on ${moment(found.expired_at)}`,
			"Results are kept for a limited time. The same model, seed and conditions give the same rows again.",
			around.model ? h("a", { href: `#/models/${around.model.id}` }, "Generate them again") : "",
		);
	}
	return [
		context.can("generate") &&
			section(
				"Download",
				card(
					downloadLink(
						`v1/jobs/${found.id}/result`,
						`Download ${found.result.format}, ${size(found.result.size)}`,
					),
					found.result_expires_at &&
						h("p", { class: "hint" }, `Kept until ${moment(found.result_expires_at)}.`),
					h("p", { class: "hint sum" }, "SHA-256 ", h("code", null, found.result.sha256)),
				),
			),
		context.can("evaluate") &&
			section("Compare with the real table", await comparing(context, found, around)),
	];
}

async function comparing(context, found, { source, names }) {
	if (!source)
		return empty(
			"The real table is not there",
			"It was deleted, or you may not read it. Rows can only be compared with the table that the model learned from.",
		);
	const made = (await all("v1/evaluations", context.signal)).filter(
		(one) => one.generation_job_id === found.id,
	);
	const others = [...names.datasets.values()].filter(
		(one) => one.id !== source.id && sameColumns(one, source),
	);
	const holdout = select(
		"holdout",
		[["", "None"], ...others.map((one) => [one.id, one.name])],
		others[0]?.id ?? "",
	);
	const ask = form(
		"Compare",
		async (data) => {
			const answer = await post("v1/evaluations", {
				dataset_id: source.id,
				job_id: found.id,
				holdout_dataset_id: data.get("holdout") || null,
			});
			location.hash = `#/comparisons/${answer.evaluation.id}`;
		},
		h(
			"p",
			null,
			"How alike are these rows and ",
			h("b", null, source.name),
			", and do they give anybody away?",
		),
		field(
			"Holdout",
			holdout,
			others.length > 0
				? "Real rows that the model has not seen. Privacy is measured against them."
				: "Real rows that the model has not seen: upload some with the same columns, and privacy can be measured too.",
		),
	);
	return [
		card(ask),
		made.length > 0 &&
			table(
				"Comparisons of these rows",
				[
					{
						label: "Comparison",
						cell: (row) => h("a", { href: `#/comparisons/${row.id}` }, moment(row.created_at)),
					},
					{ label: "Holdout", cell: (row) => names.datasets.get(row.holdout_dataset_id)?.name ?? "none" },
					{ label: "State", cell: (row) => liveBadge(context, row.job_id, row.status) },
				],
				made,
				{ shown: true },
			),
	];
}

const sameColumns = (one, other) =>
	one.columns.map((column) => column.name).join("\0") ===
	other.columns.map((column) => column.name).join("\0");
