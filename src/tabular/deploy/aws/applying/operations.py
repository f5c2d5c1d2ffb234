"""Operations of CloudFormation: begun under a token, then followed to their end."""

from __future__ import annotations

from collections.abc import Iterator

from tabular.deploy.aws.account.refusals import explained
from tabular.deploy.aws.account.stacks import Found, Stacks
from tabular.deploy.aws.applying.changeset import ChangeSet, ChangeSets
from tabular.deploy.aws.applying.follow import Follower, Heard
from tabular.deploy.aws.applying.purposes import Purpose, new_token
from tabular.deploy.events import Event


class Operations:
    """Begins operations and follows them.

    Each returns events numbered from 1; ``heard`` is filled with what the operation came to.
    """

    def __init__(self, stacks: Stacks, change_sets: ChangeSets, follower: Follower) -> None:
        self._stacks = stacks
        self._change_sets = change_sets
        self._follower = follower

    def follow(self, found: Found, region: str, heard: Heard) -> Iterator[Event]:
        """Follow the operation that runs, or tell of the last one."""
        yield from self._follower.operation(found.id, region, heard, after=None)

    def carry_out(
        self,
        change_set: ChangeSet,
        region: str,
        heard: Heard,
        token: str,
        *,
        keep_failed: bool = False,
    ) -> Iterator[Event]:
        """Carry out a change set."""
        after = self._follower.last_event(change_set.stack_id, region)
        self._change_sets.execute(change_set, region, token, keep_failed=keep_failed)
        yield from self._follower.operation(change_set.stack_id, region, heard, after=after)

    def delete(self, found: Found, region: str, heard: Heard, purpose: Purpose) -> Iterator[Event]:
        """Delete a stack, protected or not."""
        client, after = self._stacks.client(region), self._follower.last_event(found.id, region)
        if found.protected:
            self.protect(found.id, region, on=False)
        with explained("cloudformation:DeleteStack"):
            client.delete_stack(StackName=found.id, ClientRequestToken=new_token(purpose))
        yield from self._follower.operation(found.id, region, heard, after=after)

    def undo(self, found: Found, region: str, heard: Heard, purpose: Purpose) -> Iterator[Event]:
        """Roll back what failed and was kept for looking at it."""
        client, after = self._stacks.client(region), self._follower.last_event(found.id, region)
        token = new_token(purpose)
        with explained("cloudformation:RollbackStack"):
            try:
                client.rollback_stack(
                    StackName=found.id, RetainExceptOnCreate=True, ClientRequestToken=token
                )
            except client.exceptions.ClientError:
                # boto3 calls again when an answer is lost; then the first call was heard.
                if not self._stacks.heard(found.id, region, token):
                    raise
        yield from self._follower.operation(found.id, region, heard, after=after)

    def protect(self, stack_id: str, region: str, *, on: bool) -> None:
        """Let a stack refuse to be deleted, or no longer."""
        with explained("cloudformation:UpdateTerminationProtection"):
            self._stacks.client(region).update_termination_protection(
                StackName=stack_id, EnableTerminationProtection=on
            )
