// Plots as SVG, drawn from shares and matrices. Colours are the style sheet's, so that one drawing
// serves light and dark; each plot says in words what it shows.

import { h, s } from "./dom.js";
import { percent } from "./format.js";

const WIDTH = 320,
	HEIGHT = 168,
	FOOT = 20;
const GAP = 14,
	MISSING = 24; // the bar of missing values stands apart
const NAMES = 118,
	VALUES = 40; // room beside lying bars
const CELL = 26,
	ROOM = 110, // of a heatmap, and the most that its names take
	TURN = 50; // degrees that the upper names lean
const SMALLEST = 0.9; // a heatmap scrolls rather than shrink below this

const pen = document.createElement("canvas").getContext("2d");

/** The text, cut to the room that it has, and its width; fonts differ too much to count letters. */
function fit(text, room) {
	pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
	const letters = [...text.slice(0, 80)];
	let [kept, width] = [text, 0];
	// A little more, because SVG does not hint as canvases do.
	while ((width = pen.measureText(kept).width * 1.03) > room) {
		letters.pop();
		kept = `${letters.join("")}…`;
	}
	return [kept, width];
}

/** A column: real values as filled bars, synthetic ones as a line or a slim bar over them. */
export function distribution(column) {
	const { histogram } = column;
	const spoken = `Distribution of ${column.name}, real and synthetic; similarity ${column.similarity.toFixed(3)}.`;
	return s(
		"svg",
		{ viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": spoken },
		histogram.edges.length > 0 ? upright(histogram) : lying(histogram),
	);
}

const told = (histogram, index) =>
	s(
		"title",
		null,
		`${histogram.labels[index]}: real ${percent(histogram.real[index], 1)}, synthetic ${percent(histogram.synthetic[index], 1)}`,
	);

const highest = (histogram) => Math.max(...histogram.real, ...histogram.synthetic, 1e-9);

function upright(histogram) {
	const bars = histogram.edges.length - 1;
	const missing = histogram.labels.length > bars;
	const across = WIDTH - (missing ? MISSING + GAP : 0);
	const floor = HEIGHT - FOOT;
	const wide = across / bars;
	const height = (share) => (share * (floor - 6)) / highest(histogram);
	const spots = histogram.labels.map((_, index) =>
		index < bars ? [index * wide, wide] : [WIDTH - MISSING, MISSING],
	);
	const steps = (from, to) => {
		let path = `M${spots[from][0]} ${floor}`;
		for (let index = from; index < to; index += 1) {
			path += `V${floor - height(histogram.synthetic[index])}H${spots[index][0] + spots[index][1]}`;
		}
		return s("path", { class: "synthetic", d: `${path}V${floor}` });
	};
	return [
		spots.map(([x, w], index) =>
			s("rect", {
				class: "real",
				x,
				width: Math.max(w - 1, 1),
				y: floor - height(histogram.real[index]),
				height: height(histogram.real[index]),
			}),
		),
		steps(0, bars),
		missing && steps(bars, bars + 1),
		s("path", { class: "axis", d: `M0 ${floor + 0.5}H${across}` }),
		ticks(histogram, across, missing),
		spots.map(([x, w], index) =>
			s("rect", { class: "hit", x, y: 0, width: w, height: floor }, told(histogram, index)),
		),
	];
}

function ticks(histogram, across, missing) {
	const bars = histogram.edges.length - 1;
	const single = histogram.labels[0] === histogram.edges[0]; // a bar for each whole number
	const ends = single ? histogram.labels.slice(0, bars) : histogram.edges;
	const last = ends[ends.length - 1];
	const words = [[0, ends[0], ""]];
	if (last !== ends[0]) words.push([across - 1, last, "end"]);
	const middle = Math.floor(ends.length / 2);
	if (ends.length > 2 && ends[0].length + ends[middle].length + last.length < 30) {
		words.push([(across * (middle + (single ? 0.5 : 0))) / bars, ends[middle], "mid"]);
	}
	if (missing) words.push([WIDTH - 1, "none", "end"]);
	return words.map(([x, text, side]) => s("text", { class: `quiet ${side}`, x, y: HEIGHT - 5 }, text));
}

function lying(histogram) {
	const tall = Math.min(HEIGHT / histogram.labels.length, 38);
	const top = (HEIGHT - tall * histogram.labels.length) / 2;
	const length = (share) => (share * (WIDTH - NAMES - VALUES)) / highest(histogram);
	return histogram.labels.map((label, index) => {
		const y = top + index * tall;
		const [real, synthetic] = [length(histogram.real[index]), length(histogram.synthetic[index])];
		return [
			s("text", { class: "end", x: NAMES - 8, y: y + tall * 0.68 }, fit(label, NAMES - 10)[0]),
			s("rect", { class: "real", x: NAMES, y: y + 1, width: real, height: tall - 2 }),
			s("rect", {
				class: "synthetic-bar",
				x: NAMES,
				y: y + tall * 0.36,
				width: synthetic,
				height: tall * 0.28,
			}),
			s(
				"text",
				{ class: "quiet", x: NAMES + Math.max(real, synthetic) + 5, y: y + tall * 0.68 },
				percent(histogram.real[index]),
			),
			s("rect", { class: "hit", x: 0, y, width: WIDTH, height: tall }, told(histogram, index)),
		];
	});
}

/** What fill and line stand for, once for all columns. */
export function legend() {
	const swatch = (...drawn) => s("svg", { viewBox: "0 0 26 14", "aria-hidden": "true" }, drawn);
	return h(
		"div",
		{ class: "legend" },
		h("span", null, swatch(s("rect", { class: "real", width: 26, height: 14 })), "real"),
		h(
			"span",
			null,
			swatch(
				s("rect", { class: "synthetic-bar", y: 5, width: 11, height: 4 }),
				s("path", { class: "synthetic", d: "M14 13V3H25V13" }),
			),
			"synthetic",
		),
	);
}

const KINDS = {
	strength: { most: 1, ends: ["0, none", "1, fully tied"], stops: ["heat"] },
	change: { most: 0.3, ends: ["weaker", "unchanged", "stronger"], stops: ["down", "heat"] },
};

const shade = (value) => (value < 0 ? "down" : "heat");

const root = getComputedStyle(document.documentElement);
const colour = (name) =>
	root
		.getPropertyValue(`--${name}`)
		.match(/[\da-f]{2}/gi)
		.map((part) => parseInt(part, 16) / 255);
const over = (one, other, share) => one.map((part, index) => part * share + other[index] * (1 - share));
const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);

/** Black or white: of the two, one has a contrast of 4.5 with any colour (WCAG 2.2, relative luminance). */
function legible(name, strength) {
	const ground = over(colour("line"), colour("surface"), 0.2); // as .empty
	const [red, green, blue] = over(colour(name), ground, strength).map(linear);
	return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "cell black" : "cell white";
}

/** A matrix of columns by columns; strength is opacity over the surface. It lives until the signal. */
export function heatmap(spoken, names, matrix, kept, kind, signal) {
	const look = KINDS[kind];
	const fitted = kept.map((index) => fit(names[index], ROOM));
	const longest = Math.max(...fitted.map(([, width]) => width));
	const lean = (TURN * Math.PI) / 180;
	const side = longest + 8,
		top = longest * Math.sin(lean) + 16,
		beyond = Math.max(longest * Math.cos(lean) + 10 - CELL / 2, 0);
	const across = side + kept.length * CELL + beyond;
	const texts = [];
	const paint = () => {
		for (const [text, ...back] of texts) text.setAttribute("class", legible(...back));
	};
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint, { signal });
	const cell = (row, column, x, y) => {
		const box = { x: x + 0.5, y: y + 0.5, width: CELL - 1, height: CELL - 1, rx: 2 };
		if (row === column) return s("rect", { class: "blank", ...box });
		const value = matrix[row][column];
		const strength = Math.min(Math.abs(value) / look.most, 1);
		const said = Math.abs(value) < 0.005 ? "0" : value.toFixed(2).replace("0.", ".");
		const text = s("text", { x: x + CELL / 2, y: y + CELL / 2 + 3 }, said);
		texts.push([text, shade(value), strength]);
		return [
			s("rect", { class: "empty", ...box }),
			s(
				"rect",
				{ class: shade(value), "fill-opacity": strength.toFixed(3), ...box },
				s("title", null, `${names[row]} with ${names[column]}: ${value.toFixed(3)}`),
			),
			text,
		];
	};
	const drawn = s(
		"svg",
		{ class: "map", viewBox: `0 0 ${across} ${top + kept.length * CELL}`, role: "img", "aria-label": spoken },
		kept.map((row, place) => {
			const middle = (place + 0.5) * CELL;
			return [
				s("text", { class: "end", x: side - 6, y: top + middle + 4 }, fitted[place][0]),
				s(
					"text",
					{ x: side + middle, y: top - 6, transform: `rotate(${-TURN} ${side + middle} ${top - 6})` },
					fitted[place][0],
				),
				kept.map((column, other) => cell(row, column, side + other * CELL, top + place * CELL)),
			];
		}),
	);
	drawn.style.minWidth = `${across * SMALLEST}px`;
	paint();
	return h("div", { class: "pan", tabindex: "0" }, drawn);
}

/** What the colours of a heatmap mean. */
export function scale(kind) {
	const { stops, ends } = KINDS[kind];
	const steps = 24;
	const shades = Array.from({ length: steps }, (_, step) => {
		const along = step / (steps - 1);
		const [shade, strength] =
			stops.length === 1 ? [stops[0], along] : [stops[along < 0.5 ? 0 : 1], Math.abs(along * 2 - 1)];
		return s("rect", {
			class: shade,
			x: step * 10,
			y: 0,
			width: 10,
			height: 8,
			"fill-opacity": strength.toFixed(2),
			"shape-rendering": "crispEdges",
		});
	});
	return h(
		"div",
		{ class: "scale" },
		s("svg", { viewBox: "0 0 240 8", "aria-hidden": "true", preserveAspectRatio: "none" }, shades),
		h(
			"div",
			{ class: "row spread hint" },
			ends.map((text) => h("span", null, text)),
		),
	);
}
