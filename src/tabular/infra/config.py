"""The settings of the running service, read once, checked whole, and never half believed.

A service that starts on a misspelt or missing setting fails later and elsewhere, so every
``TABULAR_*`` variable must be known, every value must parse, and there is no default for the
secret key. The environment is passed in rather than reached for, which lets a test, a
supervisor and ``config explain`` read settings without touching their own process.

Precedence, highest first: keyword overrides, ``TABULAR_NAME``, ``TABULAR_NAME_FILE``
(secrets only), the default. Giving both a variable and its ``_FILE`` is an error.
A secret may also be given as a reference, such as ``aws-sm:NAME``, and a URL may have
references in braces: see `referenced`.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote, urlsplit

from platformdirs import user_data_path
from pydantic import (
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from tabular.errors import ConfigError, TabularError, nearest
from tabular.infra import cache, queue, storage
from tabular.infra.plans import Plans, read_plans
from tabular.infra.ratelimit import parse_rules
from tabular.infra.referenced import FILE, Read, Source
from tabular.infra.signin_settings import SignInSettings, setting
from tabular.infra.urls import DATABASE_SCHEMES, public, split

PREFIX = "TABULAR_"

_URL_SCHEMES = {
    "database_url": ("database", DATABASE_SCHEMES),
    "storage_url": ("storage", storage.SCHEMES),
    "cache_url": ("cache", cache.SCHEMES),
    "queue_url": ("queue", queue.SCHEMES),
}

_KNOWN_DEFAULT_KEYS = ("changeme", "change-me", "secret", "password", "default", "example", "test")

_DURATION = re.compile(r"(\d{1,5})([smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}

MIN_SECRET_LENGTH = 32
MIN_SECRET_SYMBOLS = 8


def _under_data(scheme: str, name: str) -> str:
    path = quote(str(user_data_path("inferloop-tabular") / name))
    return f"{scheme}://{'/' if scheme == 'sqlite' else ''}{path}"


class Settings(SignInSettings):
    """Every setting of the API and worker processes; immutable once read.

    Build it with `load_settings`, which reads the environment; the constructor takes only
    explicit values, so that a test depends on nothing around it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    _sources: dict[str, Source] = PrivateAttr(default_factory=dict)
    _read: dict[str, Read] = PrivateAttr(default_factory=dict)

    secret_key: SecretStr = Field(
        description=(
            "Key for signing and for hashing API keys. Required, at least 32 characters, "
            "and there is no default: the service refuses to start without it. "
            "Make one with `openssl rand -base64 48`."
        ),
        json_schema_extra={"secret": True},
    )
    admin_key: SecretStr | None = setting(
        None,
        "API key of an administrator, 40 to 128 letters, digits, `-` and `_`; `migrate` and each "
        "start of the API register it under the name `bootstrap`. Another value replaces it, and "
        "one that was replaced or revoked never comes back: see "
        "[sign-in.md](sign-in.md#an-administrators-key-from-the-deployment). Empty: none.",
        secret=True,
        shown="``",
    )
    database_url: str = setting(
        lambda: _under_data("sqlite", "tabular.db"),
        "Where jobs, datasets, models and keys are recorded: `sqlite:////absolute/file.db`, "
        "`postgresql+psycopg://user:password@host/name` or "
        "`mysql+pymysql://user:password@host/name`.",
        secret=True,
        shown="`sqlite:///<user data folder>/tabular.db`",
    )
    storage_url: str = setting(
        lambda: _under_data("file", "objects"),
        "Where tables, models and reports are kept: `file:///folder`, `s3://bucket/prefix`, "
        "`gs://bucket/prefix`, `az://container/prefix`, `memory://name` (one process). "
        "Options: `endpoint=http://host:port` (MinIO, gateways, emulators), `ca=/path/ca.pem` (a "
        "private authority), `anonymous=true`; for `s3://` also `region=eu-west-1` and "
        "`virtual_host=true`, for `az://` `account=NAME`. Credentials come from "
        "the store's own variables (`AWS_ACCESS_KEY_ID` …) or the machine's role.",
        secret=True,
        shown="`file://<user data folder>/objects`",
    )
    cache_url: str = setting(
        "memory://",
        "Where rate limits, cached answers and live progress are shared: `memory://` (within one "
        "process) or `redis://host:6379/0`; `rediss://` is the same over TLS, verified, with "
        "`?ssl_ca_certs=/path/ca.pem` for a private authority; or `memcached://host:11211`, "
        "with several servers as `memcached://a:11211,b:11211`. With several API processes use "
        "Redis or Valkey: with `memory://` each process counts its own requests.",
        secret=True,
    )
    queue_url: str = setting(
        lambda: _under_data("filesystem", "queue"),
        "What wakes workers: `filesystem:///folder` (one machine), `redis://` or `rediss://`, "
        "`amqp://user:password@host/vhost` or `amqps://` (RabbitMQ), `sqs://queue?region=…`, "
        "`gcpubsub://project/queue`, `azureservicebus://namespace/queue`, "
        "`memory://name` (one process). The queue carries only ids; losing it loses no job.",
        secret=True,
        shown="`filesystem://<user data folder>/queue`",
    )
    host: str = setting(
        "127.0.0.1", "Address the API listens on; `*` is every one that the machine has."
    )
    port: Annotated[int, Field(ge=1, le=65535)] = setting(8000, "Port the API listens on.")
    max_upload_bytes: Annotated[int, Field(ge=1024)] = setting(
        1024**3, "Largest upload in bytes; more is refused while it streams."
    )
    rate_limit: str = setting(
        "600/minute",
        "Requests per API key: `COUNT/PERIOD` with second, minute, hour or day; several rules are "
        "separated by `;`.",
    )
    client_rate_limit: str = setting(
        "60/minute",
        "Requests per client address without a valid key, failed sign-ins included. Same form as "
        "TABULAR_RATE_LIMIT.",
    )
    plans: str = setting(
        "",
        "Path of a YAML or JSON file with plans, or a JSON object with them: rate limits and "
        "quotas by name; see [plans-and-usage.md](plans-and-usage.md). Empty: `default` alone, "
        "without quotas.",
    )
    plan_map: str = setting(
        "",
        "Plans of people who sign in: `VALUE=PLAN;…`, where a value is a group (its DN, cn or "
        "claim value) or `role:NAME`; the first that fits counts. Others have `default`.",
    )
    credential_cache: Annotated[float, Field(ge=0, le=10)] = setting(
        1.0,
        "Seconds for which a process remembers that a key, session or token is right. One that "
        "is revoked elsewhere may go on for so long; 0: every request asks the database.",
    )
    rate_limit_on_failure: Literal["open", "closed"] = setting(
        "open",
        "What happens to requests while the rate-limit store does not answer: `open` lets them "
        'through and counts `tabular_errors_total{kind="rate_limit_store"}`, `closed` answers '
        "503.",
    )
    trusted_proxies: tuple[str, ...] = setting(
        (),
        "Comma-separated addresses or networks of the reverse proxies whose `X-Forwarded-For` is "
        "believed, such as `10.0.0.0/8,::1`. Empty: the header is ignored.",
    )
    provider: str = setting(
        "standalone", "Provider this runs on; a label of the metrics and a field of /health."
    )
    region: str = setting("local", "Region this runs in; a label of the metrics.")
    environment: str = setting("dev", "Environment name, such as `prod`; a field of /health.")
    release: str = setting("dev", "Release that runs; a field of /health.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = setting(
        "INFO", "Least severe log record that is written."
    )
    job_lease: Annotated[float, Field(ge=1, le=3600)] = setting(
        30.0,
        "Seconds without a heartbeat after which a running job counts as lost and is given to "
        "another worker.",
    )
    job_max_attempts: Annotated[int, Field(ge=1, le=100)] = setting(
        3,
        "How often a job is tried before it ends as failed. Tries that a store or database ended "
        "which did not answer, or a disk that others had filled, are not counted; see "
        "TABULAR_OUTAGE_LIMIT. A job that fills the disk itself uses one up.",
    )
    job_timeout: Annotated[float, Field(ge=1, le=7 * 86_400)] = setting(
        21_600.0,
        "Seconds that one try of a job (of a part, if it was split) may take; one that takes "
        "longer hangs, is stopped, and has failed with `job.timeout`, without another try.",
    )
    part_rows: Annotated[int, Field(ge=1, le=1 << 30)] = setting(
        1 << 22,
        "Rows of one part of a large generation, rounded up to a multiple of 262144. A job of more "
        "rows is split, and all workers do its parts; the file is the same whatever is set.",
    )
    websocket_patience: Annotated[float, Field(ge=0.5, le=3600)] = setting(
        20.0,
        "Seconds after which a client of live progress is disconnected that takes no message (code "
        "1008) or answers no ping (code 1011); it is pinged as often.",
    )
    outage_limit: Annotated[float, Field(ge=1, le=30 * 86_400)] = setting(
        86_400.0,
        "Seconds in all that a job is tried again while the store or the database does not answer, "
        "or waits while the disks of the workers are full, before it has failed with "
        "`unavailable.outage`.",
    )
    result_retention: timedelta | None = setting(
        None,
        "How long the rows and reports of a job are kept after its end, such as `12h`, `30d` or "
        "`8w`, or `forever`. Older ones are removed and answered 410; jobs, models and datasets "
        "stay.",
        shown="`forever`",
    )
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = setting(
        0,
        "Port on which a worker answers /metrics and /health, at TABULAR_HOST; 0: it does not, and "
        "the API tells of it where both share PROMETHEUS_MULTIPROC_DIR.",
    )
    otlp_endpoint: str = setting(
        "",
        "URL of an OpenTelemetry collector for traces and metrics (OTLP over HTTP), such as "
        "`http://otel.internal:4318`. Needs the extra `otel`. The standard `OTEL_*` variables are "
        "honoured too; see [observability.md](observability.md). Empty: as those say.",
    )
    certificates: tuple[str, ...] = setting(
        (),
        "Comma-separated PEM files of certificates; the API tells in "
        "`tabular_certificate_left_seconds` how long each is valid.",
    )
    trace_sample: Annotated[float, Field(ge=0, le=1)] = setting(
        1.0,
        "Share of new traces that is recorded; a caller's decision on its own trace is kept. "
        "OTEL_TRACES_SAMPLER wins.",
    )
    inline_rows: Annotated[int, Field(ge=0)] = setting(
        10_000, "Up to this many rows are generated within the request; more become a job."
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: Any) -> Any:
        items = value.split(",") if isinstance(value, str) else value
        networks = []
        for item in items:
            text = str(item).strip()
            if not text:
                continue
            try:
                networks.append(str(ipaddress.ip_network(text, strict=False)))
            except ValueError:
                raise PydanticCustomError(
                    "network", "{text} is no address or network", {"text": repr(text)}
                ) from None
        return tuple(networks)

    @field_validator("certificates", mode="before")
    @classmethod
    def _files(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("result_retention", mode="before")
    @classmethod
    def _retention(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.strip().lower() == "forever":
            return None
        form = _DURATION.fullmatch(value.strip().lower())
        if form is None or not int(form[1]):
            raise PydanticCustomError(
                "duration",
                "{text} is no duration; write such as `12h`, `30d`, `8w` or `forever`",
                {"text": repr(value)},
            )
        return timedelta(seconds=int(form[1]) * _UNITS[form[2]])

    @field_validator("otlp_endpoint")
    @classmethod
    def _collector(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^/\s@]+(/\S*)?", value):
            raise PydanticCustomError(
                "url",
                "the endpoint is no http:// or https:// URL; write such as {example}",
                {"example": "http://otel.internal:4318"},
            )
        return value

    @field_validator("rate_limit", "client_rate_limit")
    @classmethod
    def _rule(cls, value: str) -> str:
        try:
            parse_rules(value)
        except ConfigError as error:
            raise _as_field_error(error) from error
        return value

    @model_validator(mode="after")
    def _urls(self) -> Settings:
        for name, (what, schemes) in _URL_SCHEMES.items():
            try:
                split(getattr(self, name), schemes, what=what)
            except ConfigError as error:
                raise _as_field_error(error, variable=variable(name)) from error
        return self

    @model_validator(mode="after")
    def _plans_can_be_read(self) -> Settings:
        try:
            self.plan_book()
        except ConfigError as error:
            raise _as_field_error(error, variable="TABULAR_PLANS") from error
        return self

    def plan_book(self) -> Plans:
        """Every plan.

        Raises:
            ConfigError: the file cannot be read, or says what is no plan.
        """
        return read_plans(self.plans, self.plan_map, rate_limit=self.rate_limit)

    @field_validator("secret_key")
    @classmethod
    def _strong(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        problem = None
        if len(text) < MIN_SECRET_LENGTH:
            problem = f"has {len(text)} characters; it needs at least {MIN_SECRET_LENGTH}"
        elif _is_guessable(text):
            problem = "is a placeholder or too easy to guess"
        if problem:
            raise PydanticCustomError("weak", "the key {problem}", {"problem": problem})
        return value

    @field_validator("admin_key", mode="before")
    @classmethod
    def _admin_key_or_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("admin_key")
    @classmethod
    def _admin_key_is_one(cls, value: SecretStr | None) -> SecretStr | None:
        from tabular.infra.auth.tokens import GIVEN

        text = None if value is None else value.get_secret_value()
        problem = None
        if text is not None and not GIVEN.match(text):
            problem = f"has {len(text)} characters; it needs 40 to 128 letters, digits, - and _"
        elif text is not None and _is_guessable(text):
            problem = "is a placeholder or too easy to guess"
        if problem:
            raise PydanticCustomError("weak", "the key {problem}", {"problem": problem})
        return value

    def redacted(self) -> dict[str, Any]:
        """Every setting by name with secrets replaced, fit for logs and ``config explain``."""
        shown: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                value = "***"
            elif is_secret(field):
                value = public(self._read[name].written if name in self._read else str(value))
            shown[name] = value
        return shown

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return list(self.redacted().items())

    def secret_values(self) -> tuple[str, ...]:
        """The values that must never be printed, for the log's redaction."""
        filled = [secret for read in self._read.values() for secret in read.secrets]
        keys = (self.secret_key, self.admin_key)
        values = [*(key.get_secret_value() for key in keys if key is not None), *filled]
        for name in _URL_SCHEMES:
            password = urlsplit(getattr(self, name)).password
            if password:
                values += [password, unquote(password)]
        return tuple(dict.fromkeys(values))

    def again(self, name: str) -> Callable[[], str] | None:
        """What reads a URL anew, for whoever was refused with it; None if it cannot change.

        Args:
            name: of the setting, such as ``database_url``.

        Returns:
            A function that raises ConfigError or UnavailableError as `load_settings` does.
        """
        source = self._sources.get(name)
        return (lambda: source.read().text) if source is not None and source.changes else None


def _is_guessable(text: str) -> bool:
    return len(set(text)) < MIN_SECRET_SYMBOLS or text.lower().startswith(_KNOWN_DEFAULT_KEYS)


def _as_field_error(error: TabularError, *, variable: str | None = None) -> PydanticCustomError:
    text = f"{error.message}" + (f" ({error.where})" if error.where else "")
    return PydanticCustomError(
        "setting",
        "{text}{hint}",
        {"text": text, "hint": f"; {error.hint}" if error.hint else "", "variable": variable},
    )


def variable(field_name: str) -> str:
    """The environment variable of a settings field."""
    return PREFIX + field_name.upper()


def is_secret(field: FieldInfo) -> bool:
    """Whether the field's value may carry a secret, and so may be read from a file."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("secret"))


def variables() -> dict[str, FieldInfo]:
    """Every variable that the service reads, ``_FILE`` forms included, with its field."""
    found: dict[str, FieldInfo] = {}
    for name, field in Settings.model_fields.items():
        found[variable(name)] = field
        if is_secret(field):
            found[variable(name) + FILE] = field
    return found


def _given(environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Source]]:
    """Settings that are given, and where the secret ones are."""
    known, plain = variables(), _plain_variables()
    values: dict[str, Any] = {}
    sources: dict[str, Source] = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        if name not in known:
            raise ConfigError(
                f"unknown setting {name}",
                where="environment",
                hint=nearest(name, known).strip() or "see docs/settings.md",
                code="config.unknown",
            )
        base = name if name in plain else name.removesuffix(FILE)
        if base != name and base in environ:
            raise ConfigError(f"{base} and {name} are both set", hint="keep one of them")
        field_name = base.removeprefix(PREFIX).lower()
        if is_secret(known[name]):
            sources[field_name] = Source(name, environ, url=field_name in _URL_SCHEMES)
        else:
            values[field_name] = environ[name]
    return values, sources


def _plain_variables() -> set[str]:
    return {variable(name) for name in Settings.model_fields}


def load_settings(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read and check the settings.

    Args:
        environ: the variables to read; the process environment by default.
        **overrides: settings by field name that win over the environment.

    Raises:
        ConfigError: an unknown variable, a missing secret key, a reference that leads to nothing,
            or values that do not parse; the message lists every wrong value and repeats no secret.
        UnavailableError: a store of secrets does not answer.
    """
    values, sources = _given(os.environ if environ is None else environ)
    sources = {name: source for name, source in sources.items() if name not in overrides}
    read = {name: source.read() for name, source in sources.items()}
    values |= {name: found.text for name, found in read.items()} | overrides
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise _explain(error) from error
    settings._sources, settings._read = sources, read
    return settings


def _explain(error: ValidationError) -> ConfigError:
    problems: list[str] = []
    missing_key = False
    for item in error.errors(include_url=False, include_input=False):
        field = str(item["loc"][0]) if item["loc"] else ""
        context = item.get("ctx") or {}
        name = variable(field) if field else str(context.get("variable") or "settings")
        if item["type"] == "missing":
            missing_key = missing_key or field == "secret_key"
            problems.append(f"{name} is required and not set")
        else:
            problems.append(f"{name}: {item['msg']}")
    return ConfigError(
        "; ".join(problems),
        where="settings",
        hint=(
            f'export {PREFIX}SECRET_KEY="$(openssl rand -base64 48)"'
            if missing_key
            else "see docs/settings.md"
        ),
    )
