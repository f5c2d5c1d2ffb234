// The only way to the service. The session is a cookie that scripts cannot read: a key or a
// password passes through here once, to be exchanged for it, and is kept nowhere.

/** Where the service is: the folder above /console/assets/VERSION/. */
export const ROOT = new URL("../../../", import.meta.url);
export const address = (path) => new URL(path, ROOT).href;

const SIGNED_IN = "tabular.signed-in"; // only that there is a session, to ask no vain question
const PATIENCE = 10; // seconds that a reading request waits by itself when it came too early
const OURS = { "X-Requested-With": "tabular-console" }; // what another site's form cannot send

/** What the service answered instead of what was asked: an RFC 9457 document. */
export class Problem extends Error {
	constructor(status, document = {}, retryAfter = null) {
		super(document.detail ?? document.title ?? `The service answered ${status}`);
		this.status = status;
		this.title = document.title ?? "";
		this.code = document.code ?? "";
		this.where = document.where ?? null;
		this.hint = document.hint ?? null;
		this.requestId = document.request_id ?? null;
		this.retryAfter = retryAfter;
	}
}

/** Fires "ended" when the service no longer knows the session. */
export const session = new EventTarget();

/** Whether it is worth asking who is signed in. */
export const mayBeSignedIn = () => localStorage.getItem(SIGNED_IN) !== null;

/** A request; the answer's JSON, or null where there is none. Throws `Problem`. */
export async function ask(method, path, { body, signal, patient = method === "GET" } = {}) {
	const headers = { ...OURS, Accept: "application/json" };
	if (body !== undefined) headers["Content-Type"] = "application/json";
	const request = { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) };
	let answer;
	try {
		answer = await fetch(address(path), { ...request, credentials: "same-origin", cache: "no-store" });
	} catch (error) {
		if (error.name === "AbortError") throw error;
		throw unreachable();
	}
	if (answer.ok) return answer.status === 204 ? null : answer.json();
	const problem = await refusal(
		answer.status,
		(name) => answer.headers.get(name),
		() => answer.json(),
	);
	if (patient && problem.status === 429 && problem.retryAfter <= PATIENCE) {
		await sleep(problem.retryAfter * 1000, signal);
		return ask(method, path, { body, signal, patient: false });
	}
	throw problem;
}

export const get = (path, signal) => ask("GET", path, { signal });
/** The same, or null when it was deleted. */
export const getIfThere = (path, signal) =>
	get(path, signal).catch((problem) => {
		if (problem.status === 404 || problem.status === 410) return null;
		throw problem;
	});

export const post = (path, body) => ask("POST", path, { body });

/** All items of a list, up to `most`. */
export async function all(path, signal, most = 2000) {
	const items = [];
	let cursor = "";
	do {
		const page = await get(`${path}?limit=500${cursor}`, signal);
		items.push(...page.items);
		cursor = page.next ? `&cursor=${page.next}` : "";
	} while (cursor && items.length < most);
	return items;
}

/** Exchange a key, or a name and a password, for a session; who it is. */
export async function signIn(credential) {
	await post("v1/session", { ...credential, cookie: true });
	try {
		const who = await get("v1/whoami");
		localStorage.setItem(SIGNED_IN, "1");
		return who;
	} catch (problem) {
		if (problem.status !== 401) throw problem;
		throw new Problem(401, {
			title: "The browser did not keep the session",
			detail: "Browsers keep it over HTTPS, or on this machine itself.",
			hint: "Open the console with https://, or by way of 127.0.0.1.",
		});
	}
}

export async function signOut() {
	try {
		await ask("DELETE", "v1/session");
	} catch (problem) {
		if (problem.status !== 401) throw problem; // the session had ended already
	}
	localStorage.removeItem(SIGNED_IN);
}

/** Send a file with progress; `fetch` cannot tell how much has gone out. */
export function upload(file, onProgress, signal) {
	return new Promise((resolve, reject) => {
		const request = new XMLHttpRequest();
		const query = new URLSearchParams({ name: file.name });
		request.open("POST", address(`v1/datasets?${query}`));
		request.setRequestHeader("Content-Type", "application/octet-stream"); // the name tells the format
		for (const [name, text] of Object.entries(OURS)) request.setRequestHeader(name, text);
		request.upload.addEventListener("progress", (event) => onProgress(event.loaded / event.total));
		request.addEventListener("error", () => reject(unreachable()));
		request.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
		request.addEventListener("load", () => {
			const read = () => JSON.parse(request.responseText);
			if (request.status === 201) resolve(read());
			else refusal(request.status, (name) => request.getResponseHeader(name), read).then(reject);
		});
		signal.addEventListener("abort", () => request.abort());
		request.send(file);
	});
}

async function refusal(status, header, read) {
	let document = {};
	try {
		document = await read();
	} catch {
		document = { title: `The answer, ${status}, is not one of the service itself` };
	}
	if (status === 401 && mayBeSignedIn()) {
		localStorage.removeItem(SIGNED_IN);
		session.dispatchEvent(new Event("ended"));
	}
	const seconds = Number(header("Retry-After"));
	return new Problem(status, document, seconds > 0 ? seconds : 1);
}

const unreachable = () =>
	new Problem(0, {
		title: "The service does not answer",
		hint: "Look whether the connection is up, then try again.",
	});

/** Resolves after a time; rejects with AbortError when the page is left. */
export function sleep(milliseconds, signal) {
	return new Promise((resolve, reject) => {
		const left = () => {
			clearTimeout(timer);
			reject(new DOMException("left", "AbortError"));
		};
		const timer = setTimeout(() => {
			signal?.removeEventListener("abort", left);
			resolve();
		}, milliseconds);
		signal?.addEventListener("abort", left, { once: true });
	});
}
