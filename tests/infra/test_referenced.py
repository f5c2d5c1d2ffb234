"""References in braces within URLs: filled in, encoded, masked, and refused by name."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from tabular.errors import ConfigError
from tabular.infra.config import Settings, load_settings
from tabular.infra.logs import JsonFormatter, Redactor

KEY = "k9Zq2Lx8Vb3Nm7Rt5Wy1Pd4Sf6Gh0JcEu"
PASSWORD = "canary/p@ss: #w%rd?{x}"
DATABASE = "postgresql+psycopg://tabular:{env:DB_PASSWORD}@db:5432/tabular?sslmode=require"


def _settings(environ: dict[str, str]) -> Settings:
    return load_settings({"TABULAR_SECRET_KEY": KEY, **environ})


def _database(password: str) -> Settings:
    return _settings({"TABULAR_DATABASE_URL": DATABASE, "DB_PASSWORD": password})


def test_a_password_is_filled_in_and_encoded() -> None:
    url = _database(PASSWORD).database_url
    assert url == (
        f"postgresql+psycopg://tabular:{quote(PASSWORD, safe='')}@db:5432/tabular?sslmode=require"
    )
    assert make_url(url).password == PASSWORD
    assert make_url(url).query == {"sslmode": "require"}


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_any_password_reaches_the_driver_as_it_is(password: str) -> None:
    made = make_url(_database(password).database_url)
    assert (made.username, made.password, made.host) == ("tabular", password, "db")


def test_every_url_takes_them_also_from_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("canary+token\n")
    (tmp_path / "url").write_text(f"amqp://{{env:WHO}}:{{file:{tmp_path}/token}}@queue/v\n")
    settings = _settings(
        {
            "TABULAR_CACHE_URL": f"rediss://:{{file:{tmp_path}/token}}@cache:6379/0",
            "TABULAR_QUEUE_URL_FILE": str(tmp_path / "url"),
            "TABULAR_STORAGE_URL": "s3://{env:BUCKET}/tabular",
            "WHO": "worker",
            "BUCKET": "lake",
        }
    )
    assert settings.cache_url == "rediss://:canary%2Btoken@cache:6379/0"
    assert settings.queue_url == "amqp://worker:canary%2Btoken@queue/v"
    assert settings.storage_url == "s3://lake/tabular"


def test_other_settings_keep_their_braces() -> None:
    plans = '{"default": {"rate_limit": "5/minute"}}'
    assert _settings({"TABULAR_PLANS": plans}).plans == plans


@pytest.mark.parametrize(
    ("url", "says", "reference"),
    [
        ("postgresql://u:{env:NOT_SET}@h/d", "NOT_SET is not set", "env:NOT_SET"),
        ("postgresql://u:{file:/no/such}@h/d", "cannot be read", "file:/no/such"),
        ("postgresql://u:{env:EMPTY}@h/d", "empty", "env:EMPTY"),
        ("postgresql://u:{gcp-sm:wrong}@h/d", "cannot be read", "gcp-sm:wrong"),
        ("postgresql://u:{az-kv:wrong}@h/d", "cannot be read", "az-kv:wrong"),
        ("postgresql://u:{k8s:app/key}@h/d", "not run in a pod", "k8s:app/key"),
    ],
)
def test_what_leads_nowhere_names_variable_and_reference(
    url: str, says: str, reference: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        _settings({"TABULAR_DATABASE_URL": url, "EMPTY": ""})
    assert "TABULAR_DATABASE_URL" in caught.value.message
    assert caught.value.where == reference


@pytest.mark.parametrize(
    ("url", "says", "hint"),
    [
        ("redis://:{vault:canary}@h/0", "no reference", "aws-sm:"),
        ("redis://:{aws-sn:canary}@h/0", "no reference", "did you mean 'aws-sm'?"),
        ("redis://:{canary}@h/0", "no reference", "aws-sm:"),
        ("redis://:{}@h/0", "no reference", "aws-sm:"),
        ("redis://:{env:CANARY@h/0", "without its other half", "%7B"),
        ("redis://:env:CANARY}@h/0", "without its other half", "%7D"),
        ("redis://:{env:{env:CANARY}}@h/0", "without its other half", "%7B"),
    ],
)
def test_braces_that_hold_no_reference_are_refused_and_not_repeated(
    url: str, says: str, hint: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        _settings({"TABULAR_CACHE_URL": url, "CANARY": "canary"})
    assert "TABULAR_CACHE_URL" in caught.value.message
    assert hint in str(caught.value.hint)
    assert "canary" not in str(caught.value)


def test_a_url_that_is_wrong_when_filled_does_not_show_what_filled_it() -> None:
    with pytest.raises(ConfigError) as caught:
        _settings({"TABULAR_DATABASE_URL": "oracle://u:{env:P}@h/d", "P": "canary-seven"})
    assert "canary" not in str(caught.value)


def test_settings_show_the_reference_and_never_the_password() -> None:
    settings = _settings(
        {
            "TABULAR_DATABASE_URL": DATABASE,
            "DB_PASSWORD": PASSWORD,
            "TABULAR_STORAGE_URL": "s3://bucket/{env:PREFIX}",
            "PREFIX": "canary-prefix",
        }
    )
    assert "canary" not in repr(settings)
    assert settings.redacted()["storage_url"] == "s3://bucket/{env:PREFIX}"
    assert settings.redacted()["database_url"].startswith("postgresql+psycopg://***@db:5432/")


def test_no_log_has_it_in_either_form() -> None:
    settings = _database(PASSWORD)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(Redactor(settings.secret_values())))
    logger = logging.Logger("of this test")
    logger.addHandler(handler)
    logger.warning("refused: %s and %s", PASSWORD, quote(PASSWORD, safe=""))
    logger.warning("as a field", extra={"note": [PASSWORD, settings.database_url]})
    logger.warning("decoded: %s", unquote(settings.database_url))
    assert "canary" not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 3


def test_only_what_may_change_is_read_again(tmp_path: Path) -> None:
    plain = _settings({"TABULAR_DATABASE_URL": "postgresql://u:p@h/d"})
    assert plain.again("database_url") is None
    assert plain.again("cache_url") is None

    environ = {"TABULAR_SECRET_KEY": KEY, "TABULAR_DATABASE_URL": DATABASE, "DB_PASSWORD": "one"}
    again = load_settings(environ).again("database_url")
    assert again is not None
    environ["DB_PASSWORD"] = "two"
    assert make_url(again()).password == "two"
    del environ["DB_PASSWORD"]
    with pytest.raises(ConfigError):
        again()
    assert load_settings(environ, database_url="sqlite:////x.db").again("database_url") is None

    (tmp_path / "url").write_text("postgresql://u:one@h/d")
    for given_ in ({"TABULAR_DATABASE_URL_FILE": f"{tmp_path}/url"},
                   {"TABULAR_DATABASE_URL": f"file:{tmp_path}/url"}):  # fmt: skip
        again = _settings(given_).again("database_url")
        assert again is not None
        assert again().endswith("@h/d")
