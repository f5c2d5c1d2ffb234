"""The service's settings: what is refused, what is shown, and that each is documented."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tabular.errors import ConfigError
from tabular.infra.config import Settings, is_secret, load_settings, variable, variables

KEY = "k9Zq2Lx8Vb3Nm7Rt5Wy1Pd4Sf6Gh0JcEu"  # 34 characters
BASE = {"TABULAR_SECRET_KEY": KEY}
DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_key_alone_is_enough() -> None:
    settings = load_settings(BASE)
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.secret_key.get_secret_value() == KEY
    assert settings.database_url.startswith("sqlite:////")


def test_without_a_key_it_refuses_and_says_how_to_make_one() -> None:
    with pytest.raises(ConfigError, match="TABULAR_SECRET_KEY is required") as caught:
        load_settings({})
    assert "openssl rand" in str(caught.value.hint)


@pytest.mark.parametrize(
    "key", ["", "short", KEY[:31], "changeme" * 5, "secret-secret-secret-secret-secret!", "a" * 40]
)
def test_weak_keys_are_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ConfigError, match="TABULAR_SECRET_KEY: the key") as caught:
        load_settings({"TABULAR_SECRET_KEY": key})
    if key:
        assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("TABULAR_DATABSE_URL", "TABULAR_DATABASE_URL"),
        ("TABULAR_SECRETKEY", "TABULAR_SECRET_KEY"),
        ("TABULAR_MAX_UPLOAD", "TABULAR_MAX_UPLOAD_BYTES"),
        ("TABULAR_PORT_FILE", "TABULAR_PORT"),
    ],
)
def test_unknown_variables_name_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown setting {name}") as caught:
        load_settings({**BASE, name: "1"})
    assert caught.value.hint == f"did you mean {nearest!r}?"


def test_other_programs_variables_are_none_of_ours() -> None:
    load_settings({**BASE, "PATH": "/bin", "TABULARIUM": "1", "tabular_port": "x"})


def test_every_wrong_value_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(
            {
                **BASE,
                "TABULAR_PORT": "0",
                "TABULAR_RATE_LIMIT": "many",
                "TABULAR_LOG_LEVEL": "LOUD",
                "TABULAR_TRUSTED_PROXIES": "10.0.0.0/8,nonsense",
                "TABULAR_JOB_LEASE": "0",
                "TABULAR_JOB_TIMEOUT": "0",
                "TABULAR_RESULT_RETENTION": "a month",
            }
        )
    names = ("PORT", "RATE_LIMIT", "LOG_LEVEL", "TRUSTED_PROXIES", "JOB_LEASE", "JOB_TIMEOUT")
    for name in (*names, "RESULT_RETENTION"):
        assert f"TABULAR_{name}:" in caught.value.message


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "oracle://h/d"),
        ("STORAGE_URL", "ftp://h/d"),
        ("CACHE_URL", "reddis://h"),
        ("QUEUE_URL", "queue"),
        ("DATABASE_URL", "postgresql+psycopg://h:99999/d"),
    ],
)
def test_wrong_urls_name_their_variable(name: str, url: str) -> None:
    with pytest.raises(ConfigError, match=f"TABULAR_{name}: "):
        load_settings({**BASE, f"TABULAR_{name}": url})


def test_secrets_from_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    (tmp_path / "db").write_text("postgresql+psycopg://u:p@h/d\n")
    settings = load_settings(
        {
            "TABULAR_SECRET_KEY_FILE": str(tmp_path / "key"),
            "TABULAR_DATABASE_URL_FILE": str(tmp_path / "db"),
        }
    )
    assert settings.secret_key.get_secret_value() == KEY
    assert settings.database_url == "postgresql+psycopg://u:p@h/d"


def test_a_variable_and_its_file_contradict(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    with pytest.raises(ConfigError, match="both set"):
        load_settings({**BASE, "TABULAR_SECRET_KEY_FILE": str(tmp_path / "key")})


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        load_settings({"TABULAR_SECRET_KEY_FILE": "/no/such/file"})
    assert caught.value.where == "TABULAR_SECRET_KEY_FILE"


def test_nothing_printed_holds_a_secret() -> None:
    settings = load_settings(
        {
            **BASE,
            "TABULAR_DATABASE_URL": "postgresql+psycopg://user:canary%40one@h/d",
            "TABULAR_CACHE_URL": "redis://:canary-two@h/0",
            "TABULAR_QUEUE_URL": "redis://:canary-two@h/1?password=canary-three",
        }
    )
    for text in (repr(settings), str(settings), repr(settings.redacted()), f"{settings}"):
        assert "canary" not in text
        assert KEY not in text
    assert {KEY, "canary%40one", "canary@one", "canary-two"} <= set(settings.secret_values())


@settings(deadline=None)  # the first use of a part imports it
@given(st.dictionaries(st.sampled_from(sorted(variables())), st.text(max_size=40), max_size=4))
def test_any_values_load_or_are_refused(environ: dict[str, str]) -> None:
    try:
        load_settings(BASE | environ if "TABULAR_SECRET_KEY_FILE" not in environ else environ)
    except ConfigError as error:
        assert KEY not in str(error)


def test_overrides_win_and_settings_do_not_change() -> None:
    settings = load_settings({**BASE, "TABULAR_PORT": "9000"}, port=9001)
    assert settings.port == 9001
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]


def test_lists_and_levels() -> None:
    settings = load_settings(
        {**BASE, "TABULAR_TRUSTED_PROXIES": "10.1.2.3/8, ::1", "TABULAR_LOG_LEVEL": "debug"}
    )
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1/128")
    assert settings.log_level == "DEBUG"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("forever", None),
        ("90s", timedelta(seconds=90)),
        ("12h", timedelta(hours=12)),
        ("30D", timedelta(days=30)),
        ("8w", timedelta(weeks=8)),
    ],
)
def test_retention_is_a_duration(text: str, kept: timedelta | None) -> None:
    assert load_settings({**BASE, "TABULAR_RESULT_RETENTION": text}).result_retention == kept


@pytest.mark.parametrize("text", ["", "0d", "30", "-1d", "1.5h", "30 days", "never"])
def test_other_retentions_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="TABULAR_RESULT_RETENTION") as caught:
        load_settings({**BASE, "TABULAR_RESULT_RETENTION": text})
    assert "`30d`" in caught.value.message


def documented() -> dict[str, str]:
    rows = re.findall(r"^\| `(TABULAR_\w+)`[^|]*\| (.*?) \| (.*) \|$", DOCS.read_text(), re.M)
    return {name: f"{default} | {doc}" for name, default, doc in rows}


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_each_setting_is_documented_as_it_is(name: str) -> None:
    field = Settings.model_fields[name]
    extra = field.json_schema_extra
    assert isinstance(extra, dict)
    if field.is_required():
        default = "required"
    else:
        default = str(extra.get("shown") or f"`{_shown(field.get_default())}`")
    assert field.description is not None
    row = documented()[variable(name)]
    assert row == f"{default} | {field.description}"
    line = next(line for line in DOCS.read_text().splitlines() if f"`{variable(name)}`" in line)
    assert ("`_FILE`" in line.split("|")[1]) == is_secret(field)


def _shown(value: object) -> str:
    return "" if value == () else str(value)


def test_the_page_documents_nothing_else() -> None:
    assert set(documented()) == {variable(name) for name in Settings.model_fields}


@pytest.mark.parametrize("password", ["Tops/Ecret9", "Tops?Ecret9", "12/TopsEcret9"])
def test_a_password_that_was_not_encoded_is_refused_and_not_repeated(password: str) -> None:
    url = f"postgresql://app:{password}@db:5432/app"
    with pytest.raises(ConfigError) as caught:
        load_settings({"TABULAR_SECRET_KEY": KEY, "TABULAR_DATABASE_URL": url})
    assert "%2F" in str(caught.value)
    assert "Tops" not in str(caught.value)
    assert "ret9" not in str(caught.value)
