// A job as it goes on: by websocket, and by asking now and then where there is none. Each message
// is the whole state, so whoever comes back after a break has missed nothing.

import { ROOT, get, sleep } from "./api.js";

const ENDED = ["succeeded", "failed", "cancelled"];
const PROTOCOL = "tabular.progress.v1";
const EVERY = 1500; // milliseconds between questions where there is no websocket
const TRIES = 4; // websockets in a row that fail before only questions are asked

export const isEnded = (status) => ENDED.includes(status);

/**
 * Follow a job to its end.
 * @param onState is called with `{status, progress}` each time one of them has changed.
 * @param onSource is called with "live" or "polling".
 */
export async function follow(jobId, onState, signal, onSource = () => {}) {
	let last = "";
	let ended = false;
	const note = (state) => {
		ended = isEnded(state.status);
		const shown = `${state.status} ${state.progress} ${state.cancel_requested ?? ""}`;
		if (shown !== last) onState(state);
		last = shown;
	};
	let failures = 0;
	let seen = null; // number of the last state that came, so that only newer ones are sent again
	while (!ended) {
		if (failures < TRIES) {
			const opened = await listen(
				jobId,
				seen,
				(state) => {
					seen = state.event_id ?? seen;
					note(state);
				},
				signal,
				() => onSource("live"),
			);
			failures = opened ? 0 : failures + 1;
			if (ended) return;
			onSource("polling");
		}
		await sleep(EVERY, signal);
		note(await get(`v1/jobs/${jobId}`, signal));
	}
}

/** One websocket until it closes; whether it was ever open. */
function listen(jobId, seen, note, signal, onOpen) {
	return new Promise((resolve, reject) => {
		const url = new URL(`v1/jobs/${jobId}/progress`, ROOT);
		if (seen !== null) url.searchParams.set("last_event_id", seen);
		url.protocol = url.protocol.replace("http", "ws");
		const socket = new WebSocket(url, [PROTOCOL]);
		let opened = false;
		const leave = () => {
			socket.close();
			reject(new DOMException("left", "AbortError"));
		};
		signal.addEventListener("abort", leave, { once: true });
		socket.addEventListener("open", () => {
			opened = true;
			onOpen();
		});
		socket.addEventListener("message", (message) => {
			const state = JSON.parse(message.data);
			if (typeof state.status !== "string" || typeof state.progress !== "number") return;
			note(state);
		});
		socket.addEventListener("close", () => {
			signal.removeEventListener("abort", leave);
			resolve(opened);
		});
	});
}
