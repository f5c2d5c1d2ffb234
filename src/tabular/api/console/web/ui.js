// The parts that every view is made of.

import { address, ask, post } from "./api.js";
import { announce, breakable, button, h, unique } from "./dom.js";
import { count, duration, moment, percent } from "./format.js";
import { follow, isEnded } from "./progress.js";

const WORDS = { succeeded: "ready" }; // where it is not the service's
const SIGNS = { queued: "○", running: "◐", succeeded: "✓", failed: "✕", cancelled: "–" };
export const KINDS = { fit: "Fit", generate: "Generate", evaluate: "Compare" };

/** A state in a word and a sign; colour only repeats it. */
export function badge(status, text = WORDS[status] ?? status) {
	return h(
		"span",
		{ class: `badge ${status}` },
		h("span", { "aria-hidden": "true" }, `${SIGNS[status] ?? "•"}\u00a0`),
		text,
	);
}

/** What a view returns: a heading, what it is about, and sections. */
export function page(title, { trail = [], lead, actions = [] } = {}, ...content) {
	document.title = `${title} · inferloop-tabular`;
	const steps = trail
		.filter(Boolean)
		.map(([text, href]) => h("li", null, href ? h("a", { href }, text) : text));
	return h(
		"div",
		{ class: "page" },
		steps.length > 0 &&
			h("nav", { "aria-label": "Where this comes from", class: "trail" }, h("ol", null, steps)),
		h(
			"div",
			{ class: "head" },
			h("h1", { tabindex: "-1" }, breakable(title)),
			actions.length > 0 && h("div", { class: "actions" }, actions),
		),
		lead && h("p", { class: "lead" }, lead),
		content,
	);
}

export function section(title, ...content) {
	const id = unique("section");
	return h("section", { "aria-labelledby": id }, h("h2", { id }, title), content);
}

export const card = (...content) => h("div", { class: "card" }, content);

/** Pairs of a word and a value. */
export function facts(pairs) {
	const shown = pairs.filter(([, value]) => value !== null && value !== undefined);
	return h(
		"dl",
		{ class: "facts" },
		shown.map(([key, value]) => h("div", null, h("dt", null, key), h("dd", null, value))),
	);
}

/**
 * A table that scrolls by itself; columns are `{label, cell, number, wide}`.
 * Its caption is only read out where a heading says the same; `shown` shows it.
 */
export function table(caption, columns, rows, { shown = false } = {}) {
	const kind = (column) =>
		[column.number && "number", column.wide && "wide"].filter(Boolean).join(" ") || null;
	const head = columns.map((column) => h("th", { scope: "col", class: kind(column) }, column.label));
	const line = (row) =>
		h(
			"tr",
			null,
			columns.map((column, index) =>
				h(
					index === 0 ? "th" : "td",
					{ class: kind(column), scope: index === 0 ? "row" : null },
					breakable(column.cell(row)),
				),
			),
		);
	const body = h("tbody", null, rows.map(line));
	const box = h(
		"div",
		{ class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
		h(
			"table",
			null,
			h("caption", null, h("span", { class: shown ? null : "unseen" }, caption)),
			h("thead", null, h("tr", null, head)),
			body,
		),
	);
	box.add = (more) => body.append(...more.map(line));
	return box;
}

/** A list from the service, page by page; `empty` says what to do while nothing is there. */
export function listing(caption, columns, path, first, empty, signal) {
	if (first.items.length === 0) return empty;
	const shown = table(caption, columns, first.items);
	let following = first.next;
	const more = button(
		"Show more",
		busy(async () => {
			const separator = path.includes("?") ? "&" : "?";
			const next = await ask("GET", `${path}${separator}cursor=${following}`, { signal });
			shown.add(next.items);
			following = next.next;
			more.hidden = !following;
			announce(`${next.items.length} more`);
		}),
		{ hidden: !following },
	);
	return h("div", null, shown, more);
}

/** What to do next, where there is nothing yet. */
export function empty(title, text, ...actions) {
	return h("div", { class: "empty" }, h("p", { class: "title" }, title), h("p", null, text), actions);
}

/** A labelled control. */
export function field(label, control, hint) {
	control.id ||= unique("field");
	const about = hint ? h("p", { class: "hint", id: `${control.id}-hint` }, hint) : null;
	if (about) control.setAttribute("aria-describedby", about.id);
	return h("div", { class: "field" }, h("label", { for: control.id }, label), control, about);
}

export function select(name, options, chosen) {
	return h(
		"select",
		{ name },
		options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)),
	);
}

/** One of a few, each explained. */
export function choices(legend, name, options, chosen) {
	return h(
		"fieldset",
		{ class: "choices" },
		h("legend", null, legend),
		h(
			"div",
			{ class: "cards" },
			options.map(([value, title, text]) =>
				h(
					"label",
					{ class: "choice" },
					h("input", { type: "radio", name, value, checked: value === chosen }),
					h("span", null, h("b", null, title), h("span", { class: "hint" }, text)),
				),
			),
		),
	);
}

/** A form whose problems are said above its button; `send` gets its fields. */
export function form(label, send, ...fields) {
	const said = h("div", { class: "said" });
	const submit = h("button", { class: "primary", type: "submit" }, label);
	const made = h(
		"form",
		{
			onsubmit: async (event) => {
				event.preventDefault();
				if (submit.getAttribute("aria-disabled")) return;
				said.replaceChildren();
				submit.setAttribute("aria-disabled", "true");
				try {
					await send(new FormData(made), made);
				} catch (problem) {
					if (problem.name !== "AbortError") said.replaceChildren(failure(problem));
				} finally {
					submit.removeAttribute("aria-disabled");
				}
			},
		},
		fields,
		said,
		h("div", { class: "actions" }, submit),
	);
	return made;
}

const SOON = 600; // seconds: a longer wait is that of a quota, which has a hint of its own

/** A problem as the service told it: what, where, what to do. */
export function failure(problem) {
	const soon = problem.status === 429 && problem.retryAfter <= SOON;
	const wait = soon ? `Try again in ${problem.retryAfter} s.` : null;
	const title = problem.status === 403 ? "You may not do this" : problem.title;
	const what = problem.message === title ? null : problem.message;
	return h(
		"div",
		{ class: "notice bad", role: "alert" },
		h("p", { class: "title" }, title || "That did not work"),
		what && h("p", null, what),
		problem.where && h("p", { class: "where" }, "Where: ", h("code", null, problem.where)),
		(problem.hint || wait) && h("p", null, wait ?? problem.hint),
		problem.requestId &&
			problem.status >= 500 &&
			h("p", { class: "hint" }, "Request ", h("code", null, problem.requestId)),
	);
}

export const notice = (title, ...text) =>
	h(
		"div",
		{ class: "notice" },
		h("p", { class: "title" }, title),
		text.map((line) => h("p", null, line)),
	);

/** A listener that is deaf while it works, and shows what went wrong beside the button. */
export function busy(work) {
	return async (event) => {
		const pressed = event.currentTarget;
		if (pressed.getAttribute("aria-disabled")) return;
		pressed.setAttribute("aria-disabled", "true");
		pressed.parentElement.querySelector(":scope > .notice.bad")?.remove();
		try {
			await work(event);
		} catch (problem) {
			if (problem.name !== "AbortError") pressed.after(failure(problem));
		} finally {
			pressed.removeAttribute("aria-disabled");
		}
	};
}

/** Asks before something is lost; resolves to whether it shall be done. */
export function confirm(title, text, action) {
	return new Promise((resolve) => {
		const id = unique("dialog");
		const box = h(
			"dialog",
			{
				"aria-labelledby": id,
				onclose: () => {
					box.remove();
					resolve(box.returnValue === "yes");
				},
			},
			h("h2", { id }, title),
			h("p", null, text),
			h(
				"div",
				{ class: "actions" },
				button("Keep it", () => box.close("no"), { autofocus: true }),
				button(action, () => box.close("yes"), { class: "danger" }),
			),
		);
		document.body.append(box);
		box.showModal();
	});
}

/** A button that deletes something, and then goes elsewhere. */
export function removal(what, text, path, after) {
	return button(
		"Delete…",
		busy(async () => {
			if (!(await confirm(`Delete ${what}?`, text, "Delete"))) return;
			await ask("DELETE", path);
			announce(`${what} is deleted`);
			location.hash = after;
		}),
		{ class: "quiet" },
	);
}

/** Text to copy, with a button for it. */
export function copyable(text) {
	const copy = button("Copy", async () => {
		await navigator.clipboard.writeText(text);
		copy.textContent = "Copied";
		announce("Copied");
	});
	return h("div", { class: "copy" }, h("code", { tabindex: "0" }, text), copy);
}

/** The progress of a job, with a button to cancel it; `onEnd` gets the job's last state. */
export function jobPanel(context, job, title, onEnd) {
	const bar = h("progress", { max: 1, value: job.progress, "aria-label": title });
	const state = h("span", null, badge(job.status));
	const words = h("span", { class: "words" });
	const source = h("span", { class: "hint" });
	const cancel = button(
		"Cancel",
		busy(async () => {
			const now = await post(`v1/jobs/${job.id}/cancel`);
			cancel.hidden = true;
			words.textContent = isEnded(now.status) ? "" : "Cancelling…";
			announce("Cancelling");
		}),
	);
	cancel.hidden = !context.can("jobs:write");
	let told = -1;
	const show = (now) => {
		state.replaceChildren(badge(now.status));
		if (now.status === "running") {
			bar.value = now.progress;
			words.textContent = `${percent(now.progress)}, ${duration(job.started_at ?? job.created_at)}`;
		} else {
			bar.value = now.status === "succeeded" ? 1 : 0;
			words.textContent = now.status === "queued" ? "A worker will take it up." : "";
		}
		const quarter = isEnded(now.status) ? 9 : Math.floor(now.progress * 4);
		if (quarter !== told)
			announce(
				`${title}: ${WORDS[now.status] ?? now.status}${now.status === "running" ? `, ${percent(now.progress)}` : ""}`,
			);
		told = quarter;
	};
	show(job);
	follow(
		job.id,
		(now) => {
			show(now);
			if (isEnded(now.status)) onEnd(now);
		},
		context.signal,
		(how) => {
			source.textContent = how === "live" ? "live" : "asking every few seconds";
		},
	).catch((problem) => {
		if (problem.name !== "AbortError") panel.append(failure(problem));
	});
	const panel = h(
		"div",
		{ class: "card job" },
		h("div", { class: "row" }, h("b", null, title), state, words, source, cancel),
		bar,
	);
	return panel;
}

/** Why a job failed, as it says itself. */
export function jobError(error) {
	return failure({
		title: "This job failed",
		message: error?.message ?? "",
		where: error?.where,
		hint: error?.hint,
		status: 0,
	});
}

/** A link to rows; the service is asked first, so that a refusal is said here and not in a file. */
export function downloadLink(path, label) {
	const href = address(path);
	const link = h(
		"a",
		{
			href,
			class: "button primary",
			download: true,
			onclick: async (event) => {
				event.preventDefault();
				link.parentElement.querySelector(":scope > .notice.bad")?.remove();
				try {
					const answer = await fetch(href, { headers: { Range: "bytes=0-0" }, cache: "no-store" });
					if (!answer.ok) return await ask("GET", path); // the refusal in full
					const going = h("a", { href, download: "" });
					link.after(going);
					going.click();
					going.remove();
					announce("The download begins");
				} catch (problem) {
					link.after(failure(problem));
				}
			},
		},
		label,
	);
	return link;
}

/** A state that goes on by itself while the job runs. */
export function liveBadge(context, jobId, status, progress = 0) {
	const place = h("span", null, badge(status));
	if (!isEnded(status) && context.can("jobs:read") && context.following++ < 6) {
		follow(
			jobId,
			(now) =>
				place.replaceChildren(
					badge(now.status, now.status === "running" ? `running, ${percent(now.progress)}` : undefined),
				),
			context.signal,
		).catch((problem) => {
			if (problem.name !== "AbortError")
				place.append(" ", h("span", { class: "hint" }, "not followed: ", problem.message));
		});
	} else if (status === "running") {
		place.replaceChildren(badge(status, `running, ${percent(progress)}`));
	}
	return place;
}

/** A column that tells when. */
export const begun = (label) => ({ label, wide: true, cell: (row) => moment(row.created_at) });

/** What was asked of rows; null for nothing. */
export const conditionsOf = (job) => job?.params.where?.join(", ") || null;

export const rowsOf = (job) => `${count(job.params.rows)} rows, ${job.params.format}`;
