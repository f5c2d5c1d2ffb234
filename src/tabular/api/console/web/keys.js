// API keys, for administrators.

import { ask, get, post } from "./api.js";
import { announce, button, h } from "./dom.js";
import { moment } from "./format.js";
import { badge, busy, card, confirm, copyable, field, form, listing, page, section, select } from "./ui.js";

const ROLES = [
	["user", "user: uploads, fits, generates, compares"],
	["viewer", "viewer: only looks"],
	["operator", "operator: also cancels and deletes jobs"],
	["admin", "admin: everything, keys too"],
];

export async function keys(context) {
	const path = "v1/keys";
	const first = await get(path, context.signal);
	const columns = [
		{ label: "Name", cell: (row) => row.name },
		{ label: "May", cell: (row) => row.role ?? row.scopes.join(", ") },
		{
			label: "Last used",
			wide: true,
			cell: (row) => (row.last_used_at ? moment(row.last_used_at) : "never"),
		},
		{ label: "Ends", wide: true, cell: (row) => (row.expires_at ? moment(row.expires_at) : "never") },
		{ label: "State", cell: (row) => state(context, row) },
	];
	return page(
		"API keys",
		{ lead: "For programs and for people without an account. A key is shown once, when it is made." },
		section("New key", card(creation(context))),
		section(
			"Keys",
			listing("Keys, newest first", columns, path, first, h("p", null, "There are none."), context.signal),
		),
	);
}

function state(context, row) {
	if (row.revoked_at) return badge("cancelled", "revoked");
	if (row.expires_at && new Date(row.expires_at) < new Date()) return badge("cancelled", "expired");
	if (row.id === context.who.id) return badge("succeeded", "yours");
	const place = h(
		"span",
		null,
		button(
			"Revoke…",
			busy(async () => {
				if (
					!(await confirm(
						`Revoke “${row.name}”?`,
						"Whoever uses this key is signed out at once. It cannot be made valid again.",
						"Revoke",
					))
				)
					return;
				await ask("DELETE", `v1/keys/${row.id}`);
				place.replaceChildren(badge("cancelled", "revoked"));
				announce(`${row.name} is revoked`);
			}),
			{ class: "quiet", "aria-label": `Revoke ${row.name}` },
		),
	);
	return place;
}

function creation(context) {
	const shown = h("div", { class: "said" });
	const ends = h("input", {
		name: "expires",
		type: "date",
		min: new Date(Date.now() + 864e5).toISOString().slice(0, 10),
	});
	return [
		form(
			"Make a key",
			async (data, made) => {
				const until = data.get("expires");
				const issued = await post("v1/keys", {
					name: data.get("name"),
					role: data.get("role"),
					expires_at: until ? `${until}T23:59:59Z` : null,
				});
				made.reset();
				const done = button("I have kept it", () => context.again());
				const box = h(
					"div",
					{ class: "notice once", role: "group", "aria-label": "The new key", tabindex: "-1" },
					h("p", { class: "title" }, `The key ${issued.name}`),
					h("p", null, "Copy it now: it is shown this once, and kept nowhere."),
					copyable(issued.key),
					h("div", { class: "actions" }, done),
				);
				shown.replaceChildren(box);
				box.focus();
			},
			h(
				"div",
				{ class: "fields" },
				field(
					"Name",
					h("input", { name: "name", required: true, maxlength: 200, autocomplete: "off" }),
					"What it is for.",
				),
				field("Role", select("role", ROLES, "user")),
				field("Ends on", ends, "Leave it empty for a key that does not end."),
			),
		),
		shown,
	];
}
