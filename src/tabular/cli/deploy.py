"""`plan` and `deploy`: show what would change, then do it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from tabular.cli.confirm import confirm
from tabular.cli.output import JsonFlag, OutputError, print_json, stdout, tell
from tabular.cli.place import Reach, RuntimeFlag, TimeoutFlag, YesFlag, reach_flags
from tabular.cli.render.events import show_events
from tabular.cli.render.plan import plan_as_dict, print_plan
from tabular.cli.render.status import STATE_STYLES, status_as_dict
from tabular.cli.spec_flags import ConfigFlag, LivePricesFlag, read_spec, spec_flags
from tabular.deploy.names import DEFAULT_PROVIDER
from tabular.errors import RefusedError, UsageError

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy import Deployment, Gate, Orchestrator, Plan, Status
    from tabular.deploy.spec import Loaded, Overrides

StrictFlag = Annotated[
    bool, typer.Option("--strict", help="Refuse what the target gives only in part.")
]
BudgetFlag = Annotated[
    float | None, typer.Option("--max-monthly-cost", min=0, help="Refuse above this many USD.")
]

DataLossFlag = Annotated[
    bool, typer.Option("--allow-data-loss", help="Let an update replace or delete data stores.")
]
KeepFailedFlag = Annotated[
    bool,
    typer.Option(
        "--disable-rollback", help="Clouds only: leave what failed as it is, for looking at it."
    ),
]

ForceFlag = Annotated[
    bool,
    typer.Option("--force-conflicts", help="Kubernetes only: take over fields that others set."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command("plan")(plan)
    app.command("deploy")(deploy)


@reach_flags
@spec_flags
def plan(
    *,
    flags: Overrides,
    reach: Reach,
    config: ConfigFlag = None,
    strict: StrictFlag = False,
    max_monthly_cost: BudgetFlag = None,
    live_prices: LivePricesFlag = False,
    allow_data_loss: DataLossFlag = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit code 2 if there is something to do.")
    ] = False,
    runtime: RuntimeFlag = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what a deploy would change, cost and break. Touches nothing.

    Exit codes: 0 shown; 1 the file is wrong, or this machine lacks what a deploy needs (`doctor`
    lists it); 3 a deploy would be refused, and --json has the reason as `error`. With
    --detailed-exitcode 2 means that there are changes, and a wrong command line is 1.
    """
    from tabular.deploy.located import located

    loaded = read_spec(config, flags)
    with located(loaded):
        orchestrator = connect(loaded, replace(reach, runtime=runtime), live_prices=live_prices)
        made = orchestrator.plan(loaded.deployment)
    _judge(made, _gate(strict, max_monthly_cost, allow_data_loss), as_json=as_json)
    if detailed_exitcode and not made.is_empty:
        raise typer.Exit(2)


@reach_flags
@spec_flags
def deploy(
    *,
    flags: Overrides,
    reach: Reach,
    config: ConfigFlag = None,
    strict: StrictFlag = False,
    max_monthly_cost: BudgetFlag = None,
    live_prices: LivePricesFlag = False,
    allow_data_loss: DataLossFlag = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Stop after the plan.")] = False,
    yes: YesFlag = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the platform answers; it always does.")
    ] = True,
    timeout: TimeoutFlag = None,
    disable_rollback: KeepFailedFlag = False,
    force_conflicts: ForceFlag = False,
    runtime: RuntimeFlag = None,
    as_json: JsonFlag = False,
) -> None:
    """Plan, ask, apply, and wait until the platform answers. Run it again to continue or change.

    With --json stdout carries one document with `url` and, the first time only, `api_key`.
    Exit codes: 3 refused, nothing touched; 5 failed, the message says what serves now.
    """
    from tabular.deploy.located import located

    loaded = read_spec(config, flags)
    with located(loaded):
        reach = replace(
            reach,
            runtime=runtime,
            timeout=timeout,
            keep_failed=disable_rollback,
            force_conflicts=force_conflicts,
        )
        orchestrator = connect(loaded, reach, live_prices=live_prices)
        gate = _gate(strict, max_monthly_cost, allow_data_loss)
        go(orchestrator, loaded.deployment, gate, dry_run=dry_run, yes=yes, as_json=as_json)


def go(
    orchestrator: Orchestrator,
    deployment: Deployment,
    gate: Gate,
    *,
    dry_run: bool = False,
    yes: bool,
    as_json: bool,
) -> None:
    """Continue what runs there, plan, show, ask, apply and tell; the way of every change."""
    if not dry_run:
        target = orchestrator.provider.target(deployment)
        show_events(orchestrator.attach(target), as_json=as_json)
    made = orchestrator.plan(deployment)
    if as_json and not dry_run:
        gate.require(made)
    else:
        _judge(made, gate, as_json=as_json)
    if dry_run:
        return
    if not made.is_empty:
        confirm(f"Apply this to {made.stack.target.id}?", yes=yes)
    show_events(orchestrator.apply(made, gate), as_json=as_json)
    _report(orchestrator, made, as_json=as_json)


def connect(loaded: Loaded, reach: Reach, *, live_prices: bool = False) -> Orchestrator:
    """The orchestrator of the provider that a spec names.

    Raises:
        UsageError: no such provider, with the line that names it.
    """
    try:
        provider = loaded.deployment.spec.provider or DEFAULT_PROVIDER
        found = reach.within(loaded.deployment).connect(provider)
    except UsageError as error:
        if error.code == "usage.unknown-provider":
            error.where = loaded.place("spec.provider")
        raise
    if live_prices:
        found.use_live_prices()
    return found


def _gate(strict: bool, max_monthly_cost: float | None, allow_data_loss: bool) -> Gate:
    from tabular.deploy import Gate

    limit = None if max_monthly_cost is None else Decimal(str(max_monthly_cost))
    return Gate(strict=strict, max_monthly_cost=limit, allow_data_loss=allow_data_loss)


def _judge(made: Plan, gate: Gate, *, as_json: bool) -> None:
    """Show the plan, then let it through or refuse it; as JSON both are one document."""
    if not as_json:
        print_plan(made)
        gate.require(made)
        return
    try:
        gate.require(made)
    except RefusedError as refused:
        print_json({**plan_as_dict(made), "error": refused.as_dict()})
        raise typer.Exit(refused.exit_code) from None
    print_json(plan_as_dict(made))


def _report(orchestrator: Orchestrator, made: Plan, *, as_json: bool) -> None:
    """Address and, once, the first key; a reader that takes neither is told what is up."""
    target = made.stack.target
    key = orchestrator.issue_api_key(target, "admin", only_first=True)
    status = orchestrator.provider.engine.status(target)
    try:
        _show_result(status, key, as_json=as_json)
    except OutputError as failed:
        up = f"{target.id} is {status.state.value}"
        if key is None:
            raise failed.but(up, "`inferloop-tabular status` shows its address") from failed
        raise failed.but(
            f"{up}; its first API key was made and is lost, it is kept nowhere",
            "`inferloop-tabular keys create NAME` makes another, `status` shows the address",
        ) from failed


def _show_result(status: Status, key: str | None, *, as_json: bool) -> None:
    url = status.outputs.get("url")
    if as_json:
        answer: dict[str, Any] = {**status_as_dict(status), "url": url}
        print_json(answer if key is None else {**answer, "api_key": key})
        return
    style = STATE_STYLES[status.state.value]
    stdout.print(f"[{style}]{escape(status.target.id)} is {status.state.value}[/]")
    if url:
        stdout.print(f"  API   {url}\n  docs  {url}/docs")
    elif inside := status.outputs.get("internalUrl"):
        stdout.print(f"  API   {escape(inside)}, from within its network")
    if key:
        stdout.print(f"  key   {escape(key)}")
        tell("  Keep the key now: it is not shown again.", style="dim")
    stdout.print("  next  `inferloop-tabular status`, `logs -f`, `destroy`", style="dim")
