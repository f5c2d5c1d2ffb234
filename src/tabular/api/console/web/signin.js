// Signing in. What is typed is sent once and then taken out of the page.

import { signIn as exchange } from "./api.js";
import { h } from "./dom.js";
import { card, field, form, page } from "./ui.js";

export function signIn({ settings, onSignedIn, again }) {
	const byKey = form(
		"Sign in",
		async (data, made) => {
			made.reset();
			onSignedIn(await exchange({ key: data.get("key").trim() }));
		},
		field(
			"API key",
			h("input", {
				name: "key",
				type: "password",
				required: true,
				autocomplete: "off",
				spellcheck: "false",
				maxlength: 200,
			}),
			"It begins with “ift.”; the one that deploying showed will do.",
		),
	);
	const byName =
		settings.passwords &&
		form(
			"Sign in",
			async (data, made) => {
				made.elements.password.value = "";
				onSignedIn(await exchange({ username: data.get("username"), password: data.get("password") }));
			},
			field(
				"User name",
				h("input", { name: "username", required: true, autocomplete: "username", maxlength: 200 }),
			),
			field(
				"Password",
				h("input", {
					name: "password",
					type: "password",
					required: true,
					autocomplete: "current-password",
					maxlength: 1024,
				}),
			),
		);
	return h(
		"div",
		{ class: "signin" },
		page(
			"Sign in",
			{
				lead: "Synthetic tables: upload a real one, fit a model, generate rows, see how good and how private they are.",
			},
			again && h("p", { class: "notice", role: "status" }, again),
			byName &&
				h(
					"section",
					{ class: "card", "aria-labelledby": "by-name" },
					h("h2", { id: "by-name" }, "With your account"),
					byName,
				),
			byName
				? h(
						"section",
						{ class: "card", "aria-labelledby": "by-key" },
						h("h2", { id: "by-key" }, "With an API key"),
						byKey,
					)
				: card(byKey),
			h(
				"p",
				{ class: "hint" },
				"The key is exchanged for a session of this browser and kept nowhere. Without one, ask an administrator, or run ",
				h("code", null, "inferloop-tabular keys create NAME"),
				" where the platform was deployed.",
			),
		),
	);
}
