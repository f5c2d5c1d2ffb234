// The frame: who is signed in, which view is shown, and what happens when one of them fails.

import { get, mayBeSignedIn, session, signOut } from "./api.js";
import { announce, button, byId, h } from "./dom.js";
import { comparison, comparisons } from "./comparisons.js";
import { dataset, datasets } from "./datasets.js";
import { job, jobs } from "./jobs.js";
import { keys } from "./keys.js";
import { model, models } from "./models.js";
import { signIn } from "./signin.js";
import { status } from "./status.js";
import { failure, page } from "./ui.js";

const SETTINGS = JSON.parse(document.documentElement.dataset.settings);
const SECTIONS = [
	["datasets", "Datasets", "datasets:read"],
	["models", "Models", "models:read"],
	["jobs", "Jobs", "jobs:read"],
	["comparisons", "Comparisons", "evaluate"],
	["keys", "Keys", "admin"],
	["status", "Status", null],
];
const ROUTES = [
	[/^datasets$/, datasets],
	[/^datasets\/(ds_\w+)$/, dataset],
	[/^models$/, models],
	[/^models\/(mdl_\w+)$/, model],
	[/^jobs$/, jobs],
	[/^jobs\/(job_\w+)$/, job],
	[/^comparisons$/, comparisons],
	[/^comparisons\/(ev_\w+)$/, comparison],
	[/^keys$/, keys],
	[/^status$/, status],
];

let who = null;
let leaving = new AbortController();

/** Whether the scopes of who is signed in hold this one; the service decides by the same rule. */
function can(scope) {
	if (scope === null) return true;
	const [resource, action] = scope.split(":");
	const held = who?.scopes ?? [];
	return (
		held.includes(scope) ||
		held.includes("admin") ||
		(action === "read" && held.includes(`${resource}:write`))
	);
}

async function show({ focus = true } = {}) {
	leaving.abort();
	leaving = new AbortController();
	const { signal } = leaving;
	const main = byId("main");
	if (who === null) {
		draw(main, signIn({ settings: SETTINGS, signal, onSignedIn: enter, again: said }), focus);
		return;
	}
	const path = location.hash.replace(/^#\/?/, "");
	const first = SECTIONS.find(([, , scope]) => can(scope))[0];
	if (path === "") {
		location.replace(`#/${first}`);
		return;
	}
	navigation(path.split("/")[0]);
	main.setAttribute("aria-busy", "true");
	try {
		const found = ROUTES.find(([pattern]) => pattern.test(path));
		if (!found) {
			draw(main, nothing(), focus);
			return;
		}
		const [pattern, view] = found;
		const context = {
			settings: SETTINGS,
			who,
			can,
			signal,
			following: 0,
			again: () => show({ focus: false }),
		};
		const shown = await view(context, pattern.exec(path)[1]);
		if (!signal.aborted) draw(main, shown, focus);
	} catch (problem) {
		if (problem.name !== "AbortError" && !signal.aborted) draw(main, broken(problem), focus);
	} finally {
		if (!signal.aborted) main.removeAttribute("aria-busy");
	}
}

function draw(main, content, focus) {
	main.replaceChildren(content);
	main.dataset.view = who === null ? "sign-in" : location.hash.replace(/^#\/?/, "");
	if (!focus) return;
	scrollTo(0, 0);
	main.querySelector("h1")?.focus({ preventScroll: true });
}

const nothing = () =>
	page(
		"There is no such page",
		{ lead: "The address names nothing that the console has." },
		h("p", null, h("a", { href: "#/" }, "To the beginning")),
	);

function broken(problem) {
	const title =
		{ 404: "It is not there", 410: "It is there no more", 403: "You may not see this" }[problem.status] ??
		"This could not be shown";
	const again = button("Try again", () => show());
	return page(title, {}, failure(problem), h("div", { class: "actions" }, again));
}

function navigation(current) {
	const items = SECTIONS.filter(([, , scope]) => can(scope)).map(([path, text]) =>
		h("a", { href: `#/${path}`, "aria-current": path === current ? "page" : null }, text),
	);
	byId("nav").replaceChildren(...items);
	byId("nav").hidden = false;
	byId("nav").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
}

function frame() {
	const place = byId("who");
	place.hidden = who === null;
	byId("nav").hidden = who === null;
	place.replaceChildren();
	if (who === null) return;
	const role = who.roles.join(", ") || (who.scopes.includes("admin") ? "admin" : "own scopes");
	const leave = button(
		"Sign out",
		async () => {
			try {
				await signOut();
				out("You are signed out.");
			} catch (problem) {
				byId("main").prepend(failure(problem));
			}
		},
		{ class: "quiet" },
	);
	place.append(h("span", { class: "name", title: role }, who.name), leave);
}

let said = null;

function enter(principal) {
	who = principal;
	said = null;
	frame();
	announce(`Signed in as ${who.name}`);
	show();
}

function out(why) {
	who = null;
	said = why;
	document.querySelector("dialog")?.close("no");
	frame();
	announce(why);
	show();
}

session.addEventListener("ended", () => {
	if (who !== null) out("Your session has ended. Sign in again to go on where you were.");
});
addEventListener("hashchange", () => show());
document.querySelector(".skip").addEventListener("click", (event) => {
	event.preventDefault(); // the hash is the address of a view here
	byId("main").focus();
});

const { version, provider, region, environment, release } = SETTINGS;
byId("where").textContent = [`${version}, release ${release}`, provider, region, environment]
	.filter(Boolean)
	.join(" · ");
if (mayBeSignedIn()) {
	try {
		who = await get("v1/whoami");
	} catch (problem) {
		said = problem.status === 401 ? "Your session has ended." : null;
		if (problem.status !== 401) byId("main").replaceChildren(broken(problem));
		if (problem.status !== 401) throw problem;
	}
}
frame();
show({ focus: false });
