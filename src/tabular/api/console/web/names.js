// Names for ids, because people know their tables by name.

import { all } from "./api.js";

/** Datasets and models by id, as far as they may be read. */
export async function known(context) {
	const read = async (scope, path) => (context.can(scope) ? all(path, context.signal) : []);
	const [datasets, models] = await Promise.all([
		read("datasets:read", "v1/datasets"),
		read("models:read", "v1/models"),
	]);
	const byId = (items) => new Map(items.map((item) => [item.id, item]));
	return { datasets: byId(datasets), models: byId(models) };
}

/** What a job is about. */
export function subject(job, names) {
	const of = (items, id) => items.get(id)?.name ?? id ?? "–";
	if (job.kind === "fit") return of(names.datasets, job.dataset_id);
	if (job.kind === "generate") return of(names.models, job.model_id);
	return of(names.datasets, job.dataset_id);
}

/** Where what a job makes is to be seen. */
export function home(job) {
	if (job.kind === "fit" && job.model_id) return `#/models/${job.model_id}`;
	if (job.kind === "evaluate" && job.evaluation_id) return `#/comparisons/${job.evaluation_id}`;
	return `#/jobs/${job.id}`;
}
