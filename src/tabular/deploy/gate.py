"""What stands between a plan that was shown and its apply."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tabular.deploy.cost import check_budget
from tabular.deploy.plan import Plan
from tabular.deploy.policy import require_allowed
from tabular.errors import RefusedError, UnsupportedError


@dataclass(frozen=True, slots=True)
class Gate:
    """What a plan must fulfil before it may be applied.

    Attributes:
        strict: refuse what the target gives only in part.
        max_monthly_cost: US dollars a month; None for no limit.
        allow_data_loss: let a data store be replaced or deleted by an update.
    """

    strict: bool = False
    max_monthly_cost: Decimal | None = None
    allow_data_loss: bool = False

    def require(self, plan: Plan) -> None:
        """Let the plan through or say why not.

        Raises:
            UnsupportedError: strict, and something is reduced.
            PolicyError: an error-level finding without a waiver.
            BudgetError: over the limit, or not priced.
            RefusedError: a data store would be replaced or deleted.
        """
        if self.strict and plan.stack.reductions:
            listed = "; ".join(
                f"{r.field}: asked {r.asked}, given {r.given} ({r.reason})"
                for r in plan.stack.reductions
            )
            raise UnsupportedError(
                f"{plan.stack.target.provider} gives only in part: {listed}",
                hint="change the spec, or leave out --strict to accept it",
                code="refused.reduced",
            )
        require_allowed(plan.findings)
        self._require_data(
            plan,
            "this would replace or delete data stores: {}",
            "keep their type as it was, or pass --allow-data-loss after a backup",
        )
        if self.max_monthly_cost is not None:
            check_budget(plan.cost, self.max_monthly_cost)

    def require_rollback(self, plan: Plan) -> None:
        """Let a plan of a rollback through or say why not.

        Policy and budget are not asked again: they let that release through once, and who rolls
        back is in trouble already.

        Raises:
            RefusedError: a data store would be replaced or deleted.
        """
        self._require_data(
            plan,
            "the release before has other data stores, and a rollback moves no data: what is in "
            "{} now, rows and API keys, would be out of the service's sight, or deleted where the "
            "provider deletes what it replaces",
            "make a backup (`inferloop-tabular backup create`) and pass --allow-data-loss, "
            "or mend what runs and deploy that",
        )

    def _require_data(self, plan: Plan, words: str, hint: str) -> None:
        lost = [change.resource for change in plan.changes if change.loses_data]
        if lost and not self.allow_data_loss:
            raise RefusedError(words.format(", ".join(lost)), hint=hint, code="refused.data-loss")
