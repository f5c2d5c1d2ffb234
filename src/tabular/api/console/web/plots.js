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
	SIDE = 92; // of a heatmap, and room for its names

export const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

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
	if (last !== ends[0]) words.push([across, last, "end"]);
	const middle = Math.floor(ends.length / 2);
	if (ends.length > 2 && ends[0].length + ends[middle].length + last.length < 30) {
		words.push([(across * (middle + (single ? 0.5 : 0))) / bars, ends[middle], "mid"]);
	}
	if (missing) words.push([WIDTH, "none", "end"]);
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
			s("text", { class: "end", x: NAMES - 8, y: y + tall * 0.68 }, short(label, 17)),
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
	strength: {
		most: 1,
		shade: (value) => (value < 0 ? "down" : "heat"),
		ends: ["0, none", "1, fully tied"],
		stops: ["heat"],
	},
	change: {
		most: 0.3,
		shade: (value) => (value < 0 ? "down" : "up"),
		ends: ["weaker", "unchanged", "stronger"],
		stops: ["down", "up"],
	},
};

/** A matrix of columns by columns; strength is opacity over the surface. */
export function heatmap(spoken, names, matrix, kept, kind) {
	const look = KINDS[kind];
	const across = SIDE + kept.length * CELL;
	const cell = (row, column, x, y) => {
		const box = { x: x + 0.5, y: y + 0.5, width: CELL - 1, height: CELL - 1, rx: 2 };
		if (row === column) return s("rect", { class: "blank", ...box });
		const value = matrix[row][column];
		const strength = Math.min(Math.abs(value) / look.most, 1);
		const text = Math.abs(value) < 0.005 ? "0" : value.toFixed(2).replace("0.", ".");
		return [
			s("rect", { class: "empty", ...box }),
			s(
				"rect",
				{ class: look.shade(value), "fill-opacity": strength.toFixed(3), ...box },
				s("title", null, `${names[row]} with ${names[column]}: ${value.toFixed(3)}`),
			),
			s("text", { class: strength > 0.6 ? "cell on" : "cell", x: x + CELL / 2, y: y + CELL / 2 + 3 }, text),
		];
	};
	const top = 86;
	return s(
		"svg",
		{
			class: "map",
			viewBox: `0 0 ${across + 34} ${top + kept.length * CELL}`,
			role: "img",
			"aria-label": spoken,
		},
		kept.map((row, place) => {
			const middle = (place + 0.5) * CELL;
			return [
				s("text", { class: "end", x: SIDE - 6, y: top + middle + 4 }, short(names[row], 14)),
				s(
					"text",
					{ x: SIDE + middle, y: top - 6, transform: `rotate(-50 ${SIDE + middle} ${top - 6})` },
					short(names[row], 14),
				),
				kept.map((column, other) => cell(row, column, SIDE + other * CELL, top + place * CELL)),
			];
		}),
	);
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
