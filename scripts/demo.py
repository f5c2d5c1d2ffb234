"""`make demo`: deploy the platform here, synthesize a real table through its API, judge the result.

Uses only what a user has: the command line and the REST API. Safe to run again.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "demo-output"
COMMAND = Path(sys.executable).with_name("inferloop-tabular")
ROWS = 10_000
JOB_TIMEOUT = 180.0

console = Console(highlight=False, soft_wrap=True)


def main() -> None:
    """Run every step; the first that fails ends the demo with its own message."""
    OUT.mkdir(exist_ok=True)
    started = time.monotonic()
    url, key, is_first = deploy()
    # The platform is on this machine, where no proxy of the environment leads.
    with httpx.Client(
        base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60.0, trust_env=False
    ) as client:
        revoke_earlier_keys(client, own=key.split(".")[1])
        train = upload(client, ROOT / "examples/data/census.csv")
        holdout = upload(client, ROOT / "examples/data/census-holdout.csv")
        fit = run_job(client, "fit", "/v1/models", {"dataset_id": train, "name": "census"})
        generation = run_job(
            client,
            f"generate {ROWS:,} rows",
            "/v1/generate",
            {"model_id": fit["model_id"], "rows": ROWS, "seed": 1, "format": "csv"},
        )
        download(client, f"/v1/jobs/{generation['id']}/result", OUT / "census-synthetic.csv")
        evaluation = run_job(
            client,
            "evaluate",
            "/v1/evaluations",
            {"dataset_id": train, "job_id": generation["id"], "holdout_dataset_id": holdout},
        )
        report = get(client, f"/v1/evaluations/{evaluation['evaluation_id']}")["report"]
        download(
            client,
            f"/v1/evaluations/{evaluation['evaluation_id']}/report",
            OUT / "census-report.html",
        )
    summary(url, fit, generation, report, time.monotonic() - started)
    if is_first:
        console.print(f"your key          {key}  (shown this once; the console asks for it)")
    else:
        console.print(f"a key to sign in  {shown(COMMAND)} keys create NAME")


def deploy() -> tuple[str, str, bool]:
    """Address of the running platform, a key for it, and whether that is its first key."""
    console.print("[bold]1. deploy[/]  inferloop-tabular deploy --provider standalone")
    answer = command("deploy", "--provider", "standalone", "--yes", "--json")
    if "api_key" in answer:
        return answer["url"], answer["api_key"], True
    return answer["url"], command("keys", "create", "demo", "--json")["api_key"], False


def command(*arguments: str) -> Any:
    """Run our command line; its events are shown as they come, its JSON comes back."""
    with subprocess.Popen(
        [COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        for line in running.stderr:
            console.print(f"   {told(line)}", markup=False, style="dim")
        answer = running.stdout.read()
    if running.returncode:
        console.print(answer, markup=False)
        raise SystemExit(running.returncode)
    return json.loads(answer)


def told(line: str) -> str:
    """A line of stderr for a person; events come as JSON where no terminal is."""
    if not line.startswith("{"):
        return line.rstrip()
    event = json.loads(line)
    name = event["resource"] or "deployment"
    return f"{name} {event['status'].replace('_', ' ')}: {event['reason']}"


def revoke_earlier_keys(client: httpx.Client, own: str) -> None:
    """End the keys that earlier runs of the demo made."""
    for key in get(client, "/v1/keys")["items"]:
        if key["name"] == "demo" and key["id"] != own and not key["revoked_at"]:
            client.delete(f"/v1/keys/{key['id']}").raise_for_status()


def upload(client: httpx.Client, path: Path) -> str:
    """Stream a file to the platform, unless it is there already; id of the dataset."""
    with path.open("rb") as body:
        sha256 = hashlib.file_digest(body, "sha256").hexdigest()
    for dataset in get(client, "/v1/datasets")["items"]:
        if dataset["sha256"] == sha256:
            console.print(f"[bold]2. upload[/]  {path.relative_to(ROOT)} is there already")
            return str(dataset["id"])
    console.print(f"[bold]2. upload[/]  {path.relative_to(ROOT)}")
    with path.open("rb") as body:
        answer = client.post(
            "/v1/datasets",
            params={"name": path.name},
            headers={"Content-Type": "text/csv"},
            content=body,
        )
    return str(checked(answer)["id"])


def run_job(client: httpx.Client, label: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Submit a job and wait for its end."""
    began = time.monotonic()
    job = checked(client.post(path, json=body))["job"]
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        progress.add_task(f"3. {label}")
        while job["status"] not in ("succeeded", "failed", "cancelled"):
            if time.monotonic() - began > JOB_TIMEOUT:
                raise SystemExit(f"{label}: job {job['id']} not done after {JOB_TIMEOUT:.0f} s")
            time.sleep(0.25)
            job = get(client, f"/v1/jobs/{job['id']}")
    if job["status"] != "succeeded":
        raise SystemExit(f"{label}: job {job['id']} {job['status']}: {job.get('error')}")
    job["seconds"] = time.monotonic() - began
    console.print(f"[bold]3. {label}[/]  {job['seconds']:.1f} s")
    return dict(job)


def get(client: httpx.Client, path: str) -> Any:
    """One JSON document."""
    return checked(client.get(path))


def checked(answer: httpx.Response) -> Any:
    """The answer's JSON, or the demo ends with the problem document."""
    if answer.is_error:
        raise SystemExit(f"{answer.request.method} {answer.request.url}: {answer.text}")
    return answer.json()


def download(client: httpx.Client, path: str, to: Path) -> None:
    """Stream a body into a file."""
    with client.stream("GET", path) as answer:
        if answer.is_error:
            answer.read()
            checked(answer)
        with to.open("wb") as out:
            for chunk in answer.iter_bytes():
                out.write(chunk)


def summary(
    url: str,
    fit: dict[str, Any],
    generation: dict[str, Any],
    report: dict[str, Any],
    seconds: float,
) -> None:
    """The short table at the end, and where to look next."""
    table = Table(title=report["headline"], title_justify="left", show_header=False)
    for finding in report["verdict"]:
        table.add_row(finding["measure"], finding["value"], finding["level"], finding["scale"])
    table.add_section()
    table.add_row("fit", f"{fit['seconds']:.1f} s", "", "16,280 rows, 13 columns")
    rate = ROWS / generation["seconds"]
    table.add_row(
        "generate", f"{generation['seconds']:.1f} s", "", f"{ROWS:,} rows, {rate:,.0f} rows/s"
    )
    table.add_row("all of it", f"{seconds:.0f} s", "", "from deploy to report")
    console.print(table)
    console.print(f"console           {url}/console")
    console.print(f"API and its docs  {url}/docs")
    console.print(f"synthetic rows    {shown(OUT / 'census-synthetic.csv')}")
    console.print(f"report            {shown(OUT / 'census-report.html')}")
    console.print(f"stop it           {shown(COMMAND)} destroy")


def shown(path: Path) -> Path:
    """A path as one would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    main()
