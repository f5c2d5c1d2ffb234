"""Everything that a request may need, opened once and closed once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from anyio import CapacityLimiter

from tabular.api.pacing import Pace, Slots
from tabular.api.signin import SignIn, open_sign_in
from tabular.errors import UnavailableError
from tabular.infra.auth.attempts import Attempts
from tabular.infra.auth.audit import AuditTrail
from tabular.infra.auth.authenticator import Authenticator
from tabular.infra.auth.keys import ApiKeys
from tabular.infra.auth.oidc import OidcTokens
from tabular.infra.auth.recent import Recent
from tabular.infra.auth.sessions import Sessions
from tabular.infra.breaker import Breaker
from tabular.infra.cache import Cache, open_cache
from tabular.infra.config import Settings
from tabular.infra.database import Database
from tabular.infra.monitoring import Metrics
from tabular.infra.places import RENEW_EVERY, Places, open_places
from tabular.infra.plans import Plans
from tabular.infra.queue import Queue, open_queue
from tabular.infra.ratelimit import RateLimiter, open_limiter
from tabular.infra.storage import ObjectStore, open_store
from tabular.infra.telemetry import Telemetry, open_telemetry
from tabular.infra.websocket import Hub, open_hub
from tabular.worker.assembly import child_process
from tabular.worker.garbage import GarbageBin
from tabular.worker.jobs import Jobs
from tabular.worker.process import ChildProcess

_LOG = logging.getLogger(__name__)
UPLOADS = 64  # clients that upload to this process at once; each holds a thread, idle mostly
UPLOADS_PER_KEY = 16  # of them, so that no key can take every place
WAITING = 8  # requests that wait for one child of this process at once
SIGN_INS = 8  # of each kind at once; whoever asks, and a directory that hangs holds each of them


@dataclass(frozen=True)
class Service:
    """The parts, chosen by the URLs of the settings.

    Attributes:
        recheck_every: seconds after which it is seen again whether who holds a websocket may.
    """

    settings: Settings
    database: Database
    store: ObjectStore
    cache: Cache
    queue: Queue
    hub: Hub
    limiter: RateLimiter
    plans: Plans
    places: Places
    recent: Recent
    keys: ApiKeys
    sessions: Sessions
    authenticator: Authenticator
    sign_in: SignIn
    audit: AuditTrail
    jobs: Jobs
    garbage: GarbageBin
    metrics: Metrics
    telemetry: Telemetry
    inspector: ChildProcess
    generator: ChildProcess
    uploads: CapacityLimiter
    upload_slots: Slots
    pace: Pace
    inspections: CapacityLimiter
    generations: CapacityLimiter
    password_sign_ins: CapacityLimiter
    key_sign_ins: CapacityLimiter
    recheck_every: float = RENEW_EVERY

    def wake(self, job_id: str) -> None:
        """Tell the workers of a job that the database has; they find it without us, later."""
        try:
            self.queue.send(job_id)
        except UnavailableError as error:
            _LOG.warning("workers were not woken: %s", error.message)
            self.metrics.error(error.code)

    def close(self) -> None:
        """End the children and give connections back."""
        self.sign_in.close()
        self.inspector.close()
        self.generator.close()
        self.queue.close()
        self.cache.close()
        self.hub.close()
        self.database.close()
        self.telemetry.close()


def open_service(settings: Settings) -> Service:
    """Open the parts; nothing is contacted before it is needed.

    Raises:
        ConfigError: a URL that has no driver, or an extra that is not installed.
    """
    database = Database(settings.database_url, again=settings.again("database_url"))
    store = open_store(settings.storage_url)
    cache = open_cache(settings.cache_url)
    breaker = Breaker()  # of the cache's server, for all who ask it
    on_failure = settings.rate_limit_on_failure
    secret = settings.secret_key.get_secret_value()
    keys = ApiKeys(database, secret)
    sessions = Sessions(database, secret, ttl=timedelta(seconds=settings.session_ttl))
    audit = AuditTrail(database, retention=settings.audit_retention())
    oidc = settings.oidc()
    telemetry = open_telemetry(settings, "api")
    return Service(
        settings=settings,
        database=database,
        store=store,
        cache=cache,
        queue=open_queue(settings.queue_url),
        hub=open_hub(settings.cache_url),
        limiter=open_limiter(settings.cache_url, on_failure=on_failure, breaker=breaker),
        plans=settings.plan_book(),
        places=open_places(settings.cache_url, on_failure=on_failure, breaker=breaker),
        recent=Recent(settings.credential_cache),
        keys=keys,
        sessions=sessions,
        authenticator=Authenticator(keys, sessions, OidcTokens(oidc) if oidc else None),
        sign_in=open_sign_in(settings, keys, sessions, _attempts(settings, cache, breaker), audit),
        audit=audit,
        jobs=Jobs(database, max_tries=settings.job_max_attempts),
        garbage=GarbageBin(database, store),
        metrics=Metrics(
            provider=settings.provider, region=settings.region, mirror=telemetry.instruments
        ),
        telemetry=telemetry,
        inspector=child_process(settings),
        generator=child_process(settings),  # its own: few rows must not wait for a large upload
        uploads=CapacityLimiter(UPLOADS),
        upload_slots=Slots(UPLOADS_PER_KEY),
        pace=Pace(),
        inspections=CapacityLimiter(WAITING),
        generations=CapacityLimiter(WAITING),
        password_sign_ins=CapacityLimiter(SIGN_INS),
        key_sign_ins=CapacityLimiter(SIGN_INS),
    )


def _attempts(settings: Settings, cache: Cache, breaker: Breaker) -> Attempts:
    return Attempts(
        cache,
        per_account=settings.signin_account_limit,
        per_client=settings.signin_client_limit,
        window=settings.signin_window,
        on_failure=settings.rate_limit_on_failure,
        breaker=breaker,
    )
