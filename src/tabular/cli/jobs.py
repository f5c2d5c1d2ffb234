"""`jobs`: large generations by the batch service of a cloud, from the first word to the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from tabular.cli.app import INTERRUPTED
from tabular.cli.confirm import confirm
from tabular.cli.logs import line_text
from tabular.cli.output import (
    JsonFlag,
    new_table,
    print_json,
    print_table,
    print_text,
    stdout,
    tell,
)
from tabular.cli.place import Place, YesFlag, place_flags
from tabular.errors import EngineError, InputError, TabularError, UnsupportedError

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy.batches import Batches, Job, Step

commands = typer.Typer(
    no_args_is_help=True, help="Large generations by a batch service, such as AWS Batch."
)
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The job, as `jobs list` shows it.")]
_TAIL = 20  # lines of a container that failed
_HEAD = "See `jobs logs`."


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.add_typer(commands, name="jobs")


@commands.command()
@place_flags
def submit(
    order: Annotated[
        Path | None,
        typer.Argument(metavar="[ORDER.json]", help="Everything in a file, instead of flags."),
    ] = None,
    *,
    place: Place,
    model: Annotated[
        str | None, typer.Option("--model", help="Name of a model file in the bucket.")
    ] = None,
    table: Annotated[
        str | None, typer.Option("--table", help="Name of a table to learn from instead.")
    ] = None,
    rows: Annotated[int | None, typer.Option("--rows", "-n", min=1, help="Rows to draw.")] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Same seed, same rows; 0 if none.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", help="Condition on every row; repeatable.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", help="results/ID.parquet, .csv or .jsonl in the bucket; names the job."
        ),
    ] = None,
    parts: Annotated[
        int | None,
        typer.Option(
            "--parts",
            min=1,
            help="Containers that draw side by side; as many as run at once if none. The result "
            "is the same.",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Order a generation and come back; `jobs watch` follows it.

    The same command again finds the job that runs, or is done, and starts none. One that failed or
    was cancelled goes on from the step that failed.
    """
    from tabular.cli.orders import read_order

    said = {"model": model, "table": table, "rows": rows, "seed": seed, "where": where}
    wanted = read_order(order, said, out=out, containers=parts)
    _show(_batches(place).submit(wanted), as_json=as_json)


@commands.command("list")
@place_flags
def list_jobs(*, place: Place, as_json: JsonFlag = False) -> None:
    """List what runs and what ended lately, newest first."""
    found = _batches(place).jobs()
    if as_json:
        print_json([_as_dict(job) for job in found])
        return
    if not found:
        stdout.print("No jobs. `inferloop-tabular jobs submit` orders one.")
        return
    shown = new_table("id", "state", "submitted", "ended", "steps", wraps="steps")
    for job in found:
        times = (_time(job.submitted), _time(job.ended))
        steps = ", ".join(f"{step.name} {step.state.value}" for step in job.steps)
        shown.add_row(escape(job.id), job.state.value, *times, steps)
    print_table(shown)


@commands.command()
@place_flags
def status(id: IdArgument, *, place: Place, as_json: JsonFlag = False) -> None:
    """Show one job: its steps, and the result or the reason. Exit code 5 if it did not succeed."""
    job = _batches(place).job(id)
    _show(job, as_json=as_json)
    if _failed(job):
        raise typer.Exit(5)


@commands.command()
@place_flags
def watch(id: IdArgument, *, place: Place, as_json: JsonFlag = False) -> None:
    """Follow a job until it ends; ending this ends nothing but this.

    Exit codes: 0 it succeeded; 1 what was ordered cannot be; 5 it failed otherwise, was cancelled,
    or was submitted only in part. With --json each change is one JSON object on a line.
    """
    from tabular.deploy.batches import Step, follow

    batches, job, told = _batches(place), None, tuple[Step, ...]()
    try:
        for job in follow(batches, id):
            if as_json:
                print_text(json.dumps(_as_dict(job), ensure_ascii=False))
            else:
                _tell_progress(job, told)
            told = job.steps
    except KeyboardInterrupt:
        tell("The job goes on.")
        raise typer.Exit(INTERRUPTED) from None
    if job is None or not _failed(job):
        if job is not None and not as_json:
            _show(job, as_json=False)
        return
    error = _error(job)
    if as_json:
        print_text(json.dumps({"error": error.as_dict()}, ensure_ascii=False))
        raise typer.Exit(error.exit_code)
    for line in batches.logs(id, tail=_TAIL):
        tell(line_text(line, as_json=False), markup=False, style="dim")
    raise error


@commands.command()
@place_flags
def logs(
    id: IdArgument,
    *,
    place: Place,
    tail: Annotated[int, typer.Option("--tail", min=1, help="Lines of each container.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """Print the last lines of each container of a job, those that failed first."""
    for line in _batches(place).logs(id, tail=tail):
        print_text(line_text(line, as_json=as_json))


@commands.command()
@place_flags
def cancel(
    id: IdArgument, *, place: Place, yes: YesFlag = False, as_json: JsonFlag = False
) -> None:
    """End a job. What it has drawn stays, and submitting it again goes on from there."""
    batches = _batches(place)
    if not batches.job(id).state.ended:
        confirm(f"End the job {id}?", yes=yes)
    _show(batches.cancel(id), as_json=as_json)


def _batches(place: Place) -> Batches:
    from tabular.deploy.provider import RunsBatches

    found, engine = place.find(), place.engine
    if not isinstance(engine, RunsBatches):
        raise UnsupportedError(
            f"{found.target.provider} has no batch service",
            where=found.target.id,
            hint=f"ask its API: POST {found.outputs.get('url', '')}/v1/generate; its workers share "
            "large jobs",
        )
    return engine.batches(found.target)


def _failed(job: Job) -> bool:
    return job.state.ended and job.state.value != "succeeded"


def _error(job: Job) -> TabularError:
    """Why a job did not succeed, as the error that ends a command."""
    told = (job.report or {}).get("error")
    if told and job.state.value == "failed":
        return InputError(
            str(told["message"]), where=job.id, hint=told.get("hint"), code=told.get("code")
        )
    words = f": {job.reason}" if job.reason else ""
    hints = {
        "incomplete": "the same `jobs submit` again goes on",
        "cancelled": "the same `jobs submit` again goes on",
        "failed": f"`inferloop-tabular jobs logs {job.id}`; the same `jobs submit` again goes on. "
        "If it ran out of memory, deploy with more compute.memory first",
    }
    said = {
        "incomplete": "was submitted only in part",
        "cancelled": "was cancelled",
        "failed": "failed",
    }
    return EngineError(
        f"the job {said[job.state.value]}{words}",
        where=job.id,
        hint=hints[job.state.value],
        code=f"job.{job.state.value}",
    )


def _tell_progress(job: Job, told: tuple[Step, ...]) -> None:
    for step in job.steps:
        if step not in told:
            count = f"{step.done} of {step.total} done" if step.total > 1 else ""
            runs = f"{step.running} running" if step.total > 1 and step.running else ""
            words = ", ".join(word for word in (step.state.value, count, runs, step.detail) if word)
            tell(f"{step.name:<5} {words}", markup=False)


def _show(job: Job, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_dict(job))
        return
    stdout.print(f"{escape(job.id)} {job.state.value}")
    for step in job.steps:
        count = f" {step.done}/{step.total}" if step.total > 1 else ""
        detail = f"  {step.detail}" if step.detail else ""
        stdout.print(f"  {step.name:<5} {step.state.value}{count}{escape(detail)}")
    if job.result is not None and job.report is not None:
        stdout.print(f"  result  {escape(job.result)}")
        stdout.print(f"  {job.report['rows']:,} rows, {job.report['size'] / 1e6:.1f} MB")
    elif job.state.ended:
        error = _error(job)
        stdout.print(f"  {escape(error.message)}\n  hint: {escape(error.hint or _HEAD)}")
    else:
        stdout.print(f"  next  `inferloop-tabular jobs watch {escape(job.id)}`", style="dim")


def _as_dict(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state.value,
        "submitted": _iso(job.submitted),
        "ended": _iso(job.ended),
        "steps": [
            {
                "name": step.name,
                "state": step.state.value,
                "containers": step.total,
                "done": step.done,
                "running": step.running,
                "detail": step.detail,
            }
            for step in job.steps
        ],
        "result": job.result,
        "report": None if job.report is None else dict(job.report),
    }


def _iso(time: Any) -> str | None:
    return None if time is None else str(time.isoformat())


def _time(time: Any) -> str:
    return "" if time is None else f"{time:%Y-%m-%d %H:%M:%S}"
