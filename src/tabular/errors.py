"""The one tree of errors that this package raises on purpose.

A user meets an error at 2 a.m. with a log line and nothing else, so each one has a stable
code to search for, says what happened and where, and what to type next. Whatever is not in
this tree is a bug and keeps its traceback.

    TabularError
    ├── InputError                 what was given is wrong; nothing was touched
    │   ├── SpecError              a deployment file, with file:line:column
    │   ├── UsageError             flags that contradict each other or the file
    │   ├── ConfigError            the service's own settings
    │   ├── TableError             a table that cannot be read or synthesized
    │   ├── ModelFileError         a model file that is corrupted, foreign or too new
    │   └── ConstraintError        conditions that no row can fulfil
    ├── RefusedError               understood, and not done; nothing was touched
    │   ├── UnsupportedError       the provider cannot give what the spec asks
    │   ├── PolicyError            a rule forbids it and the spec names no waiver
    │   ├── BudgetError            it costs more than --max-monthly-cost, or the cost is unknown
    │   ├── StalePlanError         the world moved since the plan was made
    │   └── BusyError              another apply runs there
    ├── EngineError                the vendor's engine or the host failed
    │   ├── ApplyError             an apply failed; says whether it was rolled back
    │   ├── WaitTimeoutError       something did not come up in time; says what
    │   └── PreflightError         a tool, credential or port is missing
    ├── NotFoundError              no such deployment, dataset, model, job …
    │   └── GoneError              it was there, and was removed on purpose
    ├── ConflictError              it exists already, or is in the wrong state
    ├── AccessError                who asks may not
    │   ├── UnauthenticatedError   no credential, or a wrong one
    │   ├── ForbiddenError         a right credential without the scope
    │   ├── RateLimitedError       too many requests; says when to come back
    │   └── QuotaError             more than the plan allows, at any time
    │       └── QuotaSpentError    more than the plan allows now; says when to come back
    ├── TooLargeError              more bytes, rows or columns than allowed
    └── UnavailableError           a database, store, cache or queue does not answer
        └── IntegrityError         bytes came back other than they were written
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar


class TabularError(Exception):
    """Base of every error raised on purpose.

    Args:
        message: what happened, one sentence, no secret in it.
        where: the place: ``file:line:column``, a URL without credentials, a resource id.
        hint: what to do or type next.
        code: a more exact code than the class's own, ``family.detail``.
    """

    code: str = "tabular.error"
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        mend = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{place}{self.message}{mend}"

    def as_dict(self) -> dict[str, str | None]:
        """The error as plain data, for ``--json`` and problem documents."""
        return {"code": self.code, "message": self.message, "where": self.where, "hint": self.hint}


class InputError(TabularError):
    """What was given is wrong; nothing was touched."""

    code = "input.invalid"


class SpecError(InputError):
    """A deployment file is wrong; ``where`` is ``file:line:column``."""

    code = "spec.invalid"


class UsageError(InputError):
    """Flags contradict each other or the file."""

    code = "usage.invalid"
    exit_code = 2


class ConfigError(InputError):
    """The service's own settings are missing or wrong."""

    code = "config.invalid"


class TableError(InputError):
    """A table cannot be read, or cannot be synthesized."""

    code = "table.invalid"


class ModelFileError(InputError):
    """A model file is corrupted, foreign, or of a newer format."""

    code = "model.invalid"


class ConstraintError(InputError):
    """Conditions or constraints that no row can fulfil."""

    code = "constraint.unsatisfiable"


class RefusedError(TabularError):
    """Understood, and not done; nothing was touched."""

    code = "refused"
    exit_code = 3


class UnsupportedError(RefusedError):
    """The provider cannot give what the spec asks for."""

    code = "refused.unsupported"


class PolicyError(RefusedError):
    """A policy rule forbids it and the spec names no waiver."""

    code = "refused.policy"


class BudgetError(RefusedError):
    """It costs more than allowed, or the cost cannot be known."""

    code = "refused.budget"


class StalePlanError(RefusedError):
    """The world moved since the plan was made."""

    code = "refused.stale-plan"


class BusyError(RefusedError):
    """Another apply runs against the same deployment."""

    code = "refused.busy"


class EngineError(TabularError):
    """The vendor's engine or the host failed."""

    code = "engine.failed"
    exit_code = 5


class ApplyError(EngineError):
    """An apply failed.

    Args:
        rolled_back: True when what ran before still serves, and nothing new was left behind.
    """

    code = "engine.apply-failed"

    def __init__(
        self,
        message: str,
        *,
        rolled_back: bool,
        where: str | None = None,
        hint: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint, code=code)
        self.rolled_back = rolled_back


class WaitTimeoutError(EngineError):
    """Something did not come up in time; the message names it and the time waited."""

    code = "engine.timeout"


class InternalError(TabularError):
    """Nobody foresaw this: a bug."""

    code = "internal"
    exit_code = 70  # EX_SOFTWARE of sysexits.h


class PreflightError(EngineError):
    """A tool, credential, port or right is missing on this machine or account."""

    code = "engine.preflight"
    exit_code = 1


class NotFoundError(TabularError):
    """No such deployment, dataset, model or job."""

    code = "not-found"
    exit_code = 4


class GoneError(NotFoundError):
    """It was there, and was removed on purpose."""

    code = "gone"


class ConflictError(TabularError):
    """It exists already, or is in a state that does not allow this."""

    code = "conflict"


class AccessError(TabularError):
    """Who asks may not.

    Args:
        reason: why, for the audit log alone: what tells a guesser nothing is too little there.
        challenge: parameters of ``WWW-Authenticate`` (RFC 6750), such as ``error="…"``.
    """

    code = "access.denied"

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        code: str | None = None,
        reason: str | None = None,
        challenge: str | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint, code=code)
        self.reason = reason or self.code
        self.challenge = challenge


class UnauthenticatedError(AccessError):
    """No credential, or a wrong one."""

    code = "access.unauthenticated"


class ForbiddenError(AccessError):
    """A right credential without the scope this needs."""

    code = "access.forbidden"


class RateLimitedError(AccessError):
    """Too many requests.

    Args:
        retry_after: seconds until the next request would be let through.
    """

    code = "access.rate-limited"

    def __init__(
        self,
        message: str,
        *,
        retry_after: float,
        hint: str | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, reason=reason)
        self.retry_after = retry_after


class QuotaError(AccessError):
    """More than the plan allows.

    Args:
        limit: what it allows.
        used: what is used and promised.
        requested: what was asked for.
        resets_at: when `used` begins anew.
    """

    code = "quota"

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        code: str,
        limit: int,
        used: int,
        requested: int | None = None,
        resets_at: datetime | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.limit = limit
        self.used = used
        self.requested = requested
        self.resets_at = resets_at


class QuotaSpentError(QuotaError):
    """More than the plan allows for now.

    Args:
        retry_after: seconds after which it is worth trying again.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        code: str,
        limit: int,
        used: int,
        retry_after: float,
        requested: int | None = None,
        resets_at: datetime | None = None,
    ) -> None:
        super().__init__(
            message,
            hint=hint,
            code=code,
            limit=limit,
            used=used,
            requested=requested,
            resets_at=resets_at,
        )
        self.retry_after = retry_after


class TooLargeError(TabularError):
    """More bytes, rows or columns than this deployment allows."""

    code = "too-large"


class UnavailableError(TabularError):
    """A database, store, cache or queue does not answer."""

    code = "unavailable"
    exit_code = 5


class IntegrityError(UnavailableError):
    """Bytes came back other than they were written."""

    code = "unavailable.integrity"


def nearest(given: str, known: Iterable[str]) -> str:
    """``did you mean 'x'? `` for the closest known name, "" if none is close.

    Args:
        given: what the user wrote.
        known: the right names.
    """
    close = difflib.get_close_matches(given, list(known), n=1)
    return f"did you mean {close[0]!r}? " if close else ""
