"""CloudFormation behind the contract: previews, applies, follows, rolls back, destroys.

State, lock, order and undoing are CloudFormation's. What this adds: a plan that is refused when
the world moved, an account of failures that names the cause, the release before, and a destroy
that keeps data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from tabular.deploy import answers
from tabular.deploy.aws.account.artifacts import Artifacts
from tabular.deploy.aws.account.refusals import explained
from tabular.deploy.aws.account.session import Session, at_once
from tabular.deploy.aws.account.stacks import Found, Stacks, basis_of, release_of, stack_name
from tabular.deploy.aws.applying.changeset import ChangeSet, ChangeSets
from tabular.deploy.aws.applying.destroy import Destroyer
from tabular.deploy.aws.applying.emptying import Emptier
from tabular.deploy.aws.applying.follow import PAUSE, Follower, Heard
from tabular.deploy.aws.applying.judging import require_applied, require_plannable
from tabular.deploy.aws.applying.operations import Operations
from tabular.deploy.aws.applying.purposes import Purpose, new_token, purpose_of
from tabular.deploy.aws.batches.service import BatchService
from tabular.deploy.aws.comparing.changes import all_new, nothing_new, planned
from tabular.deploy.aws.comparing.drift import Drifts
from tabular.deploy.aws.importing.importer import Importer
from tabular.deploy.aws.infrastructure.wanted import PRODUCTION
from tabular.deploy.aws.preflight.quotas import Documents, Quotas
from tabular.deploy.aws.preflight.replacing import require_possible
from tabular.deploy.aws.preflight.world import World
from tabular.deploy.aws.running.health import Health
from tabular.deploy.aws.running.identities import identities
from tabular.deploy.aws.running.inside import Inside
from tabular.deploy.aws.running.logs import Logs
from tabular.deploy.aws.running.state import status_of
from tabular.deploy.aws.words.document import index
from tabular.deploy.events import Event, EventSequence, EventStatus
from tabular.deploy.importing import ImportPlan, Unlike
from tabular.deploy.plan import Action, Change, Plan
from tabular.deploy.policy.finding import Finding
from tabular.deploy.provider import Drift, LogLine, Status
from tabular.deploy.stack import Reduction, Resource, Stack, fingerprint
from tabular.deploy.target import Target
from tabular.errors import BusyError, NotFoundError, UnsupportedError

_Room = Callable[[str, Documents, Documents, Sequence[str]], tuple[Finding, ...]]


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
        self._operations = Operations(parts.stacks, parts.change_sets, parts.follower)
        self._keep_failed = keep_failed
        self._destroyer = Destroyer(
            parts.stacks,
            parts.artifacts,
            parts.change_sets,
            self._operations,
            Emptier(parts.session, parts.stacks),
        )
        self._world = World(parts.session)
        self._quotas = Quotas(parts.session)
        self._drifts = Drifts(parts.stacks)
        self._importer = Importer(
            parts.stacks, parts.change_sets, self._operations, self._destroyer, self._drifts
        )
        self._health = Health(parts.session)
        self._logs = Logs(parts.session, parts.stacks)

    def preview(self, stack: Stack) -> Plan:
        """Compare a stack with what runs; touches nothing."""
        return self._previewed(stack, self._quotas.require)

    def apply(self, plan: Plan) -> Iterator[Event]:
        """Carry out a plan, and follow it; it goes on if this is dropped."""
        found = self._current(plan)
        if plan.is_empty:
            return
        self._world.require_image(plan.stack)
        previous = None if found is None else found.release or None
        steps = self._apply(plan.stack, found, previous)
        for number, event in enumerate(steps, start=1):
            yield replace(event, sequence=number)

    def attach(self, target: Target) -> Iterator[Event]:
        """Events of the apply that runs there, or of the last operation.

        Raises:
            BusyError: a destroy runs there. Nothing may be built on what it leaves before somebody
                has looked at that.
            ApplyError: it failed.
        """
        found, region = self._stacks.existing(target), target.region or ""
        purpose = purpose_of(self._follower.beginning(found.id, region))
        if found.busy:
            _require_no_destroy(found, purpose)
        heard = Heard()
        yield from self._operations.follow(found, region, heard)
        if purpose is not Purpose.CLEAR:
            require_applied(found.id, heard)

    def status(self, target: Target) -> Status:
        """What runs there."""
        found = self._stacks.find(target)
        if found is None or found.status == "REVIEW_IN_PROGRESS":
            raise answers.nothing_at(target)
        return self._status_of(found, target.region or "")

    def list(self) -> tuple[Status, ...]:
        """Every deployment in the region of these credentials, sorted by target."""
        region = self._session.require_region()
        found = at_once(lambda one: self._status_of(one, region), self._stacks.ours(region))
        return tuple(sorted(found, key=lambda status: status.target.id))

    def drift(self, target: Target) -> tuple[Drift, ...]:
        """Differences between what was applied and what is there, as CloudFormation finds them."""
        return self._drifts.of(self._stacks.existing(target), target.region or "")

    def preview_rollback(self, target: Target) -> Plan:
        """Compare the release before the present one with what runs; touches nothing.

        Where the last thing that happened is a rollback whose client died, it is that one: the
        same command again must not go back one more.
        """
        found = self._stacks.existing(target)
        require_plannable(found)
        return self._previewed(self._before(found, target), self._quotas.told)

    def rollback(self, plan: Plan) -> Iterator[Event]:
        """Put the release before back, as it was planned."""
        target = plan.stack.target
        found = self._current(plan)
        before = self._before(self._stacks.existing(target), target)
        answers.require_same(plan, Plan(before, (), plan.basis))
        if not plan.is_empty:
            token = new_token(Purpose.ROLLBACK)
            self._artifacts.ensure(target.region or "")
            self._artifacts.open_rollback(target, token)
            yield from self._carry_out(plan.stack, found, token)
        self._artifacts.close_rollback(target)

    def destroy(self, target: Target, *, delete_data: bool) -> Iterator[Event]:
        """Remove what the deployment owns; data stores only if asked."""
        self._session.require_account(target.account)
        yield from self._destroyer.destroy(target, delete_data=delete_data)

    def preview_import(self, stack: Stack, asked: Sequence[str]) -> ImportPlan:
        """Look whether ``LOGICAL_ID=PHYSICAL_ID`` can be imported, each of them."""
        self._session.require_account(stack.target.account)
        found = self._stacks.find(stack.target)
        require_plannable(found)
        return self._importer.plan(stack, asked, found)

    def adopt(self, plan: ImportPlan) -> Iterator[Event]:
        """Import it, and follow that; it goes on if this is dropped."""
        for number, event in enumerate(self._importer.carry_out(plan, self._current(plan)), 1):
            yield replace(event, sequence=number)

    def unlike(self, plan: ImportPlan) -> Unlike:
        """Where what was imported is not as the spec says."""
        return self._importer.unlike(plan)

    def running(self, target: Target) -> Stack:
        """The stack that runs there, as it was applied."""
        found = self._stacks.existing(target)
        described = found.described
        return Stack(
            target=target,
            template=found.template,
            resources=index(found.template),
            spec=described.get("spec", {}),
            tags=described.get("tags", {}),
            reductions=tuple(Reduction(**one) for one in described.get("reductions", ())),
            ids=identities(self._session, self._stacks, found, target.region or ""),
        )

    def logs(self, target: Target, *, follow: bool, tail: int) -> Iterator[LogLine]:
        """The last lines of each log group, then new ones if ``follow``."""
        return self._logs.read(self._stacks.existing(target), target, follow=follow, tail=tail)

    def batches(self, target: Target) -> BatchService:
        """Generations by AWS Batch, where the deployment has a queue of it."""
        return BatchService(self._session, self._stacks, self._stacks.existing(target), target)

    def run_inside(self, target: Target, arguments: Sequence[str]) -> Iterator[str]:
        """Run a program of the service as a task of its own, beside the workers."""
        return Inside(self._session, self._stacks, self._stacks.existing(target), target).run(
            arguments
        )

    def issue_api_key(self, target: Target, name: str, *, only_first: bool) -> str | None:
        """The administrator's key that was made with the stack; others are made over REST."""
        found = self._stacks.existing(target)
        secret = found.outputs.get("adminKey")
        if not only_first:
            raise UnsupportedError(
                "a key of a deployment on AWS is made by the service itself",
                where=secret,
                hint="POST /v1/keys with the administrator's key; to read that one: "
                f"aws secretsmanager get-secret-value --secret-id {secret}",
            )
        if secret is None or self._artifacts.handed_out(target, secret):
            return None
        client = self._session.client("secretsmanager", target.region or "")
        with explained("secretsmanager:GetSecretValue"):
            key: str = client.get_secret_value(SecretId=secret)["SecretString"]
        self._artifacts.hand_out(target, secret)
        return key

    def _previewed(self, stack: Stack, room: _Room) -> Plan:
        self._session.require_account(stack.target.account)
        self._world.require(stack)
        found = self._stacks.find(stack.target)
        require_plannable(found)
        changes, there = self._changes(stack, found)
        plan = Plan(stack, changes, basis_of(found))
        if plan.is_empty:
            return plan
        wanted = stack.template["Resources"]
        require_possible(changes, there, wanted, keep_failed=self._keep_failed)
        replaced = [one.resource for one in changes if one.action is Action.REPLACE]
        return replace(plan, findings=room(stack.target.region or "", wanted, there, replaced))

    def _changes(self, stack: Stack, found: Found | None) -> tuple[tuple[Change, ...], Documents]:
        """What changes, and the resources that exist before it does."""
        if found is None:
            return all_new(stack.resources), {}
        there: Documents = found.template.get("Resources", {})
        if found.unborn:
            # What a first deploy left makes room before the next one begins.
            left = self._stacks.resources(found, stack.target.region or "")
            ids = [one["LogicalResourceId"] for one in left]
            return all_new(stack.resources), {id_: there[id_] for id_ in ids if id_ in there}
        if found.release == release_of(stack) and fingerprint(found.template) == stack.fingerprint:
            return nothing_new(stack.resources), there
        change_set = self._made(found, stack)
        if change_set is None:
            return nothing_new(stack.resources), there
        self._change_sets.drop(change_set.stack_id, change_set.id, stack.target.region or "")
        return planned(found.template, stack.resources, change_set.changes), there

    def _before(self, found: Found, target: Target) -> Stack:
        """The release before the one that runs; that one, if a rollback to it was not seen out."""
        if found.retained:
            raise NotFoundError(
                "only data is left here, and no release that could be rolled back",
                where=target.id,
                hint="deploy the spec you want; it finds the data",
                code="not-found.release",
            )
        if not found.release:
            raise answers.no_release_before(target)
        release = self._artifacts.release(target, found.release)
        if self._rolled_back_unseen(found, target):
            return release.stack
        if release.previous is None:
            raise answers.no_release_before(target)
        return self._artifacts.release(target, release.previous).stack

    def _rolled_back_unseen(self, found: Found, target: Target) -> bool:
        """Whether the last operation is a rollback that ended well when nobody looked."""
        token = self._artifacts.open_rollback_of(target)
        if token is None or found.status != "UPDATE_COMPLETE":
            return False
        last = self._follower.beginning(found.id, target.region or "")
        return bool(last.get("ClientRequestToken") == token)

    def _status_of(self, found: Found, region: str) -> Status:
        resources = self._stacks.resources(found, region)
        return status_of(found, resources, self._health.of(found, resources, region))

    def _current(self, plan: Plan | ImportPlan) -> Found | None:
        """What runs, which must be what the plan was made against."""
        self._session.require_account(plan.stack.target.account)
        found = self._stacks.find(plan.stack.target)
        require_plannable(found)
        answers.require_fresh(plan, basis_of(found))
        return found

    def _apply(self, stack: Stack, found: Found | None, previous: str | None) -> Iterator[Event]:
        region = stack.target.region or ""
        if self._artifacts.ensure(region):
            bucket = Resource(self._artifacts.bucket(region), "AWS::S3::Bucket", {})
            words = "keeps templates and releases of this account; no deployment's own"
            yield EventSequence().next(EventStatus.COMPLETE, bucket, words)
        self._artifacts.remember(stack, previous)
        if found is not None and found.unborn and found.status != "REVIEW_IN_PROGRESS":
            yield from self._destroyer.clear(found, region, Purpose.CLEAR)
        yield from self._carry_out(stack, found, new_token(Purpose.APPLY))

    def _carry_out(self, stack: Stack, found: Found | None, token: str) -> Iterator[Event]:
        region = stack.target.region or ""
        change_set = self._made(found, stack)
        if change_set is None:
            return
        if stack.target.environment == PRODUCTION:
            # Now, and not when it is there: a client that dies must not leave it unprotected.
            self._operations.protect(change_set.stack_id, region, on=True)
        heard = Heard()
        yield from self._operations.carry_out(
            change_set, region, heard, token, keep_failed=self._keep_failed
        )
        require_applied(change_set.stack_id, heard)

    def _made(self, found: Found | None, stack: Stack) -> ChangeSet | None:
        return self._change_sets.make(
            stack_name(stack.target),
            stack.target.region or "",
            stack.to_bytes(),
            release_of(stack),
            first=found is None or found.unborn,
        )


def _require_no_destroy(found: Found, purpose: Purpose) -> None:
    if purpose is Purpose.DESTROY:
        raise BusyError(
            f"a destroy runs there: the stack is {found.status}",
            where=found.id,
            hint="`inferloop-tabular destroy` follows it; when it is done, look at what is left "
            "(`inferloop-tabular status`), and deploy then if you still want to",
            code="refused.destroying",
        )
