// Real tables: upload, look at, learn from.

import { all, get, post, upload } from "./api.js";
import { announce, breakable, button, h } from "./dom.js";
import { count, moment, percent, plural, size, value } from "./format.js";
import {
	begun,
	busy,
	card,
	choices,
	empty,
	facts,
	failure,
	field,
	form,
	listing,
	liveBadge,
	notice,
	page,
	removal,
	section,
	select,
	table,
} from "./ui.js";

const ACCEPTED = ".csv,.parquet,.jsonl,.ndjson";

export async function datasets(context) {
	const path = "v1/datasets";
	const first = await get(path, context.signal);
	const writes = context.can("datasets:write");
	const columns = [
		{ label: "Name", cell: (row) => h("a", { href: `#/datasets/${row.id}` }, breakable(row.name)) },
		{ label: "Rows", number: true, cell: (row) => count(row.rows) },
		{ label: "Columns", number: true, cell: (row) => count(row.columns.length) },
		{ label: "File", wide: true, cell: (row) => `${row.format}, ${size(row.size)}` },
		begun("Uploaded"),
	];
	const none = empty(
		"No tables yet",
		writes
			? "Upload one above: a row for each person, order or event, and a header line with the columns’ names. Then it goes on like this:"
			: "Somebody who may upload has to begin; you may only read here. It goes like this:",
		h(
			"ol",
			{ class: "steps" },
			["Upload a real table", "Fit a model to it", "Generate rows", "Compare and download"].map((step) =>
				h("li", null, step),
			),
		),
	);
	return page(
		"Datasets",
		{ lead: "Real tables. They stay on this platform; models learn from them." },
		writes && dropzone(context),
		listing("Datasets, newest first", columns, path, first, none, context.signal),
	);
}

function dropzone(context) {
	const input = h("input", {
		type: "file",
		accept: ACCEPTED,
		id: "file",
		class: "unseen",
		onchange: () => start(input.files[0]),
	});
	const said = h("div", { class: "said" });
	const zone = h(
		"div",
		{ class: "card drop" },
		h("label", { for: "file", class: "button primary" }, "Choose a file"),
		input,
		h(
			"p",
			null,
			"or drop one here: CSV, Parquet or JSON lines, up to ",
			size(context.settings.maxUpload),
			".",
		),
		said,
	);
	const over = (on) => (event) => {
		event.preventDefault();
		zone.classList.toggle("over", on);
	};
	zone.addEventListener("dragover", over(true));
	zone.addEventListener("dragleave", over(false));
	zone.addEventListener("drop", (event) => {
		over(false)(event);
		start(event.dataTransfer.files[0]);
	});

	let running = null;
	async function start(file) {
		if (!file || running) return;
		running = new AbortController();
		context.signal.addEventListener("abort", () => running?.abort());
		const bar = h("progress", { max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
		const words = h("span", { class: "words" }, "0 %");
		const stop = button("Cancel", () => running?.abort());
		said.replaceChildren(h("div", { class: "row" }, h("b", null, file.name), words, stop), bar);
		announce(`Uploading ${file.name}`);
		try {
			if (file.size > context.settings.maxUpload) throw tooLarge(file, context.settings.maxUpload);
			const made = await upload(
				file,
				(share) => {
					words.textContent = share < 1 ? percent(share) : "Sent. The whole table is being read…";
					if (share < 1) bar.value = share;
					else bar.removeAttribute("value");
				},
				running.signal,
			);
			announce(`${made.name} is uploaded: ${plural(made.rows, "row")}`);
			location.hash = `#/datasets/${made.id}`;
		} catch (problem) {
			if (problem.name === "AbortError") {
				said.replaceChildren();
				announce("The upload was cancelled");
			} else said.replaceChildren(failure(problem));
		} finally {
			running = null;
			input.value = "";
		}
	}
	return zone;
}

const tooLarge = (file, most) => ({
	title: "The file is too large",
	message: `${file.name} has ${size(file.size)}; up to ${size(most)} are taken here.`,
	hint: "Upload fewer rows, or the same table as Parquet.",
});

export async function dataset(context, id) {
	const [found, profile] = await Promise.all([
		get(`v1/datasets/${id}`, context.signal),
		get(`v1/datasets/${id}/profile`, context.signal),
	]);
	const problems = found.columns.filter((column) => column.problem);
	const learned = context.can("models:read")
		? (await all("v1/models", context.signal)).filter((model) => model.dataset_id === id)
		: [];
	const actions = context.can("datasets:write")
		? [
				removal(
					`“${found.name}”`,
					"The table and the comparisons with it are deleted. Models that learned from it stay.",
					`v1/datasets/${id}`,
					"#/datasets",
				),
			]
		: [];
	return page(
		found.name,
		{ trail: [["Datasets", "#/datasets"], [found.name]], actions },
		facts([
			["Rows", count(found.rows)],
			["Columns", count(found.columns.length)],
			["File", `${found.format}, ${size(found.size)}`],
			["Uploaded", moment(found.created_at)],
		]),
		problems.length > 0 &&
			notice(
				"No model can learn from this table yet",
				...problems.map((column) => `${column.name}: ${column.problem}`),
				"Change or drop these columns and upload it again.",
			),
		context.can("models:write") &&
			problems.length === 0 &&
			section("Fit a model", card(fitForm(context, found))),
		learned.length > 0 &&
			section(
				"Models",
				table(
					"Models that learned from this table",
					[
						{ label: "Name", cell: (row) => h("a", { href: `#/models/${row.id}` }, breakable(row.name)) },
						{ label: "Preset", cell: (row) => row.preset },
						{ label: "Engine", wide: true, cell: (row) => row.engine },
						{ label: "State", cell: (row) => liveBadge(context, row.job_id, row.status) },
						begun("Begun"),
					],
					learned,
				),
			),
		section("Columns", profileTable(profile)),
		section("Rows", preview(context, id)),
	);
}

function fitForm(context, found) {
	const { engines } = context.settings;
	const advanced = h(
		"details",
		null,
		h("summary", null, "Engine, seed and name"),
		h(
			"div",
			{ class: "fields" },
			field(
				"Engine",
				select(
					"engine",
					engines.map((name) => [name, name]),
					engines.includes("trees") ? "trees" : engines[0],
				),
			),
			field(
				"Seed",
				h("input", {
					name: "seed",
					type: "number",
					min: 0,
					max: Number.MAX_SAFE_INTEGER,
					value: 0,
					required: true,
				}),
				"Same seed, same model.",
			),
			field(
				"Name",
				h("input", { name: "name", value: found.name.replace(/\.\w+$/, ""), maxlength: 200, required: true }),
			),
		),
	);
	return form(
		"Fit the model",
		async (data) => {
			const made = await post("v1/models", {
				dataset_id: found.id,
				name: data.get("name"),
				engine: data.get("engine"),
				preset: data.get("preset"),
				seed: Number(data.get("seed")),
			});
			location.hash = `#/models/${made.model.id}`;
		},
		choices(
			"How close to the real rows may it come?",
			"preset",
			[
				["fidelity", "Fidelity", "As close as can be; for data that identifies nobody."],
				["balanced", "Balanced", "Rare people are not copied; rare values are left out."],
				["private", "Private", "No real row is copied; coarser for it."],
			],
			"balanced",
		),
		advanced,
	);
}

function profileTable(profile) {
	const span = (column) => {
		if (column.minimum !== null) return `${value(column.minimum)} to ${value(column.maximum)}`;
		return (
			column.top
				.slice(0, 4)
				.map((top) => `${top.value} ${percent(top.share)}`)
				.join(", ") || "–"
		);
	};
	const shown = table(
		"Each column in numbers; none is a single row’s value",
		[
			{ label: "Column", cell: (column) => column.name },
			{ label: "Taken as", cell: (column) => column.role },
			{
				label: "Missing",
				number: true,
				cell: (column) => percent(column.missing_share, column.missing ? 1 : 0),
			},
			{ label: "Different", number: true, wide: true, cell: (column) => count(column.distinct) },
			{ label: "Range, or most frequent values", cell: span },
			{ label: "Mean", number: true, wide: true, cell: (column) => value(column.mean) },
		],
		profile.columns,
		{ shown: true },
	);
	const warned = profile.columns.filter((column) => column.warnings.length > 0);
	return [
		shown,
		warned.length > 0 &&
			h(
				"ul",
				{ class: "hint" },
				warned.map((column) => h("li", null, `${column.name}: ${column.warnings.join("; ")}`)),
			),
	];
}

function preview(context, id) {
	const place = h("div", null);
	place.append(
		h("p", { class: "hint" }, "These are real rows: show them only where real people’s data may be seen."),
		button(
			"Show the first rows",
			busy(async (event) => {
				const pressed = event.currentTarget;
				const { columns, rows } = await get(`v1/datasets/${id}/preview`, context.signal);
				const shown = columns.map((name, index) => ({
					label: name,
					cell: (row) => value(row[index]),
					number: typeof rows[0]?.[index] === "number",
				}));
				const made = table(`The first ${plural(rows.length, "row")}`, shown, rows, { shown: true });
				pressed.replaceWith(made);
				made.focus();
			}),
		),
	);
	return place;
}
