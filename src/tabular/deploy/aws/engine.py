"""CloudFormation behind the contract: previews, applies, follows, rolls back, destroys.

State, lock, order and undoing are CloudFormation's. What this adds: a plan that is refused when
the world moved, an account of failures that names the cause, the release before, and a destroy
that keeps data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NoReturn

from tabular.deploy import answers
from tabular.deploy.aws.artifacts import Artifacts
from tabular.deploy.aws.changes import all_new, nothing_new, planned
from tabular.deploy.aws.changeset import ChangeSet, ChangeSets
from tabular.deploy.aws.destroy import Destroyer
from tabular.deploy.aws.document import index
from tabular.deploy.aws.drift import Drifts
from tabular.deploy.aws.follow import PAUSE, Follower, Heard, ended_well
from tabular.deploy.aws.logs import Logs
from tabular.deploy.aws.session import Session, explained
from tabular.deploy.aws.stacks import (
    STUCK,
    Found,
    Stacks,
    basis_of,
    release_of,
    stack_name,
)
from tabular.deploy.aws.state import status_of
from tabular.deploy.aws.world import World
from tabular.deploy.events import Event
from tabular.deploy.plan import Plan
from tabular.deploy.provider import Drift, LogLine, Status
from tabular.deploy.stack import Reduction, Stack
from tabular.deploy.target import Target
from tabular.errors import (
    ApplyError,
    BusyError,
    ConflictError,
    UnsupportedError,
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the engine is made of; tests give theirs another clock.

    Attributes:
        session: the way to the account.
        stacks: reads stacks.
        artifacts: keeps templates.
        change_sets: makes and carries out change sets.
        follower: follows operations.
    """

    session: Session
    stacks: Stacks
    artifacts: Artifacts
    change_sets: ChangeSets
    follower: Follower

    @classmethod
    def of(cls, session: Session, *, pause: float = PAUSE) -> Parts:
        """Parts that ask AWS every ``pause`` seconds."""
        stacks, artifacts = Stacks(session), Artifacts(session)
        change_sets = ChangeSets(stacks, artifacts, pause=min(pause, 1.0))
        return cls(session, stacks, artifacts, change_sets, Follower(stacks, pause=pause))


class CloudFormationEngine:
    """The engine of AWS.

    Args:
        parts: see there.
        keep_failed: leave what failed as it is, for looking at it, instead of rolling back.
    """

    def __init__(self, parts: Parts, *, keep_failed: bool = False) -> None:
        self._session = parts.session
        self._stacks = parts.stacks
        self._artifacts = parts.artifacts
        self._change_sets = parts.change_sets
        self._follower = parts.follower
        self._keep_failed = keep_failed
        self._destroyer = Destroyer(
            parts.session, parts.stacks, parts.artifacts, parts.change_sets, parts.follower
        )
        self._world = World(parts.session)
        self._drifts = Drifts(parts.stacks)
        self._logs = Logs(parts.session, parts.stacks)

    def preview(self, stack: Stack) -> Plan:
        """Compare a stack with what runs; touches nothing."""
        self._session.require_account(stack.target.account)
        self._world.require(stack)
        found = self._stacks.find(stack.target)
        self._require_usable(found)
        basis = basis_of(found)
        if found is None or found.unborn:
            return Plan(stack, all_new(stack.resources), basis)
        if found.release == release_of(stack):
            return Plan(stack, nothing_new(stack.resources), basis)
        change_set = self._made(found, stack)
        if change_set is None:
            return Plan(stack, nothing_new(stack.resources), basis)
        self._change_sets.drop(change_set.id, stack.target.region or "")
        return Plan(stack, planned(found.template, stack.resources, change_set.changes), basis)

    def apply(self, plan: Plan) -> Iterator[Event]:
        """Carry out a plan, and follow it; it goes on if this is dropped."""
        found = self._current(plan)
        if not plan.is_empty:
            self._world.require_image(plan.stack)
            previous = None if found is None else found.release or None
            yield from self._carry_out(plan.stack, found, previous, remember=True)

    def attach(self, target: Target) -> Iterator[Event]:
        """Events of the operation that runs there, or of the last one."""
        found = self._existing(target)
        heard = Heard()
        yield from self._follower.operation(found.id, target.region or "", heard, after=None)
        self._judge(found.id, target, heard)

    def status(self, target: Target) -> Status:
        """What runs there."""
        found = self._stacks.find(target)
        if found is None or found.status == "REVIEW_IN_PROGRESS":
            raise answers.nothing_at(target)
        return status_of(found, self._stacks.resources(found, target.region or ""))

    def list(self) -> tuple[Status, ...]:
        """Every deployment in the region of these credentials, sorted by target."""
        region = self._session.require_region()
        found = [
            status_of(one, self._stacks.resources(one, region)) for one in self._stacks.ours(region)
        ]
        return tuple(sorted(found, key=lambda status: status.target.id))

    def drift(self, target: Target) -> tuple[Drift, ...]:
        """Differences between what was applied and what is there, as CloudFormation finds them."""
        return self._drifts.of(self._existing(target), target.region or "")

    def preview_rollback(self, target: Target) -> Plan:
        """Compare the release before the present one with what runs; touches nothing."""
        return self.preview(self._before(target))

    def rollback(self, plan: Plan) -> Iterator[Event]:
        """Put the release before back, as it was planned."""
        found = self._current(plan)
        answers.require_same(plan, self._as_planned(plan))
        if not plan.is_empty:
            yield from self._carry_out(plan.stack, found, None, remember=False)

    def destroy(self, target: Target, *, delete_data: bool) -> Iterator[Event]:
        """Remove what the deployment owns; data stores only if asked."""
        self._session.require_account(target.account)
        yield from self._destroyer.destroy(target, delete_data=delete_data)

    def running(self, target: Target) -> Stack:
        """The stack that runs there, as it was applied."""
        found = self._existing(target)
        described = found.described
        return Stack(
            target=target,
            template=found.template,
            resources=index(found.template),
            spec=described.get("spec", {}),
            tags=described.get("tags", {}),
            reductions=tuple(Reduction(**one) for one in described.get("reductions", ())),
        )

    def logs(self, target: Target, *, follow: bool, tail: int) -> Iterator[LogLine]:
        """The last lines of each log group, then new ones if ``follow``."""
        return self._logs.read(self._existing(target), target, follow=follow, tail=tail)

    def issue_api_key(self, target: Target, name: str, *, only_first: bool) -> str | None:
        """The administrator's key that was made with the stack; others are made over REST."""
        found = self._existing(target)
        secret = found.outputs.get("adminKey")
        if not only_first:
            raise UnsupportedError(
                "a key of a deployment on AWS is made by the service itself",
                where=secret,
                hint="POST /v1/keys with the administrator's key; to read that one: "
                f"aws secretsmanager get-secret-value --secret-id {secret}",
            )
        record = self._artifacts.release(target, found.release)
        if secret is None or record.previous is not None:
            return None
        client = self._session.client("secretsmanager", target.region or "")
        with explained("secretsmanager:GetSecretValue"):
            key: str = client.get_secret_value(SecretId=secret)["SecretString"]
        return key

    def _as_planned(self, plan: Plan) -> Plan:
        return Plan(self._before(plan.stack.target), (), plan.basis)

    def _before(self, target: Target) -> Stack:
        """The release before the one that runs."""
        found = self._existing(target)
        if not found.release:
            raise answers.no_release_before(target)
        previous = self._artifacts.release(target, found.release).previous
        if previous is None:
            raise answers.no_release_before(target)
        return self._artifacts.release(target, previous).stack

    def _existing(self, target: Target) -> Found:
        found = self._stacks.find(target)
        if found is None:
            raise answers.nothing_at(target)
        return found

    def _current(self, plan: Plan) -> Found | None:
        """What runs, which must be what the plan was made against."""
        self._session.require_account(plan.stack.target.account)
        found = self._stacks.find(plan.stack.target)
        self._require_usable(found)
        answers.require_fresh(plan, basis_of(found))
        return found

    def _carry_out(
        self, stack: Stack, found: Found | None, previous: str | None, *, remember: bool
    ) -> Iterator[Event]:
        target, region = stack.target, stack.target.region or ""
        self._artifacts.ensure(region)
        if remember:
            self._artifacts.remember(stack, previous)
        number = 0
        if found is not None and found.unborn:
            for event in self._destroyer.clear(found, region):
                number = event.sequence
                yield event
            found = None
        change_set = self._made(found, stack)
        if change_set is None:
            return
        after = self._follower.last_event(change_set.stack_id, region)
        self._change_sets.execute(change_set, region, keep_failed=self._keep_failed)
        heard = Heard()
        for event in self._follower.operation(change_set.stack_id, region, heard, after=after):
            yield replace(event, sequence=number + event.sequence)
        self._judge(change_set.stack_id, target, heard)
        self._protect(change_set.stack_id, target)

    def _made(self, found: Found | None, stack: Stack) -> ChangeSet | None:
        return self._change_sets.make(
            stack_name(stack.target),
            stack.target.region or "",
            stack.to_bytes(),
            release_of(stack),
            first=found is None,
        )

    def _protect(self, stack_id: str, target: Target) -> None:
        """In production nobody deletes the stack by a slip."""
        from tabular.deploy.aws.wanted import PRODUCTION

        if target.environment == PRODUCTION:
            with explained("cloudformation:UpdateTerminationProtection"):
                self._stacks.client(target.region or "").update_termination_protection(
                    StackName=stack_id, EnableTerminationProtection=True
                )

    def _require_usable(self, found: Found | None) -> None:
        """Refuse a stack in whose state nothing can be planned.

        Raises:
            BusyError: an operation runs.
            ConflictError: an operation ended in a state that a person has to leave.
        """
        if found is None:
            return
        if found.busy:
            raise BusyError(
                f"the stack is {found.status}",
                where=found.id,
                hint="wait for it: `inferloop-tabular status` shows it; deploy again follows it",
            )
        if found.status in STUCK:
            _stuck(found)

    def _judge(self, stack_id: str, target: Target, heard: Heard) -> None:
        """Say truthfully what an apply came to.

        Raises:
            ApplyError: it failed; with the cause.
        """
        found = self._stacks.named(stack_id, target.region or "")
        if ended_well(found):
            return
        status = "DELETE_COMPLETE" if found is None else found.status
        undone = status in ("UPDATE_ROLLBACK_COMPLETE", "ROLLBACK_COMPLETE")
        reason = heard.reason or (found.reason if found else "")
        outcome = "undone" if undone else f"left as {status}"
        raise ApplyError(
            f"the apply failed and was {outcome}: {reason or 'CloudFormation gives no reason'}",
            rolled_back=undone,
            where=stack_id,
            hint="mend that, and deploy again"
            if undone
            else "`inferloop-tabular status` shows what is there; deploy again, or destroy",
        )


def _stuck(found: Found) -> NoReturn:
    hints = {
        "UPDATE_ROLLBACK_FAILED": "mend what the reason names, then `aws cloudformation "
        f"continue-update-rollback --stack-name {found.name}` (a resource that is gone for good: "
        "--resources-to-skip ID), wait for UPDATE_ROLLBACK_COMPLETE, and deploy again",
        "DELETE_FAILED": "mend what the reason names, and run `inferloop-tabular destroy` again",
        "UPDATE_FAILED": "it was kept for looking at it: `aws cloudformation rollback-stack "
        f"--stack-name {found.name}`, wait, and deploy again",
    }
    raise ConflictError(
        f"the stack is {found.status}: {found.reason or 'no reason is given'}",
        where=found.id,
        hint=hints[found.status],
        code="conflict.stack",
    )
