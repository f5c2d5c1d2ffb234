// Numbers, sizes and times as people read them. The page is in English, so are they.

const WHOLE = new Intl.NumberFormat("en");
const FEW = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });
const MOMENT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export const count = (value) => WHOLE.format(value);

export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

export const percent = (share, digits = 0) => `${(share * 100).toFixed(digits)}\u00a0%`;

/** A number or text of a table; null is a dash. */
export function value(given) {
	if (given === null || given === undefined) return "–";
	if (typeof given === "number") return FEW.format(given);
	return typeof given === "object" ? JSON.stringify(given) : String(given);
}

export function size(bytes) {
	let unit = 0;
	while (bytes >= 1000 && unit < UNITS.length - 1) {
		bytes /= 1024;
		unit += 1;
	}
	return `${unit && bytes < 10 ? bytes.toFixed(1).replace(".0", "") : Math.round(bytes)} ${UNITS[unit]}`;
}

export const moment = (text) => (text ? MOMENT.format(new Date(text)) : "–");

export function duration(from, to) {
	if (!from) return "–";
	const seconds = Math.max(0, ((to ? new Date(to) : new Date()) - new Date(from)) / 1000);
	if (seconds < 10) return `${seconds.toFixed(1)} s`;
	if (seconds < 60) return `${Math.round(seconds)} s`;
	const minutes = Math.floor(seconds / 60);
	if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
	return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
