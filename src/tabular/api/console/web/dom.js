// Elements are made of text and of other elements: nothing that came from outside is ever read
// as markup, so the page needs no sanitizer and its policy allows no such thing.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. `on…` properties are listeners; null, undefined and false are left out. */
export function h(tag, props, ...children) {
	return fill(document.createElement(tag), props, children);
}

/** A name that may break after underscores and dots, where browsers would not, and a very long word. */
export const breakable = (name) =>
	name?.split?.(/(?<=_|\.(?!\d)|[^\s_.-]{12})/).flatMap((part, index) => (index ? [h("wbr"), part] : part)) ??
	name;

export const button = (text, onclick, props) => h("button", { type: "button", onclick, ...props }, text);

/** An SVG element. */
export function s(tag, props, ...children) {
	return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(node, props, children) {
	for (const [name, value] of Object.entries(props ?? {})) {
		if (value === null || value === undefined || value === false) continue;
		if (typeof value === "function") node.addEventListener(name.slice(2), value);
		else node.setAttribute(name, value === true ? "" : value);
	}
	node.append(
		...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
	);
	return node;
}

export const byId = (id) => document.getElementById(id);

let counter = 0;
/** An id that no other element has. */
export const unique = (prefix) => `${prefix}-${++counter}`;

/** Has a screen reader say something, without moving the focus. */
export function announce(text) {
	const region = byId("status");
	region.textContent = "";
	setTimeout(() => {
		region.textContent = text;
	}, 60); // the same text twice is a change too
}
