"""What the template tells the container is what the service reads."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tabular.deploy.aws.infrastructure import service
from tabular.errors import UnsupportedError
from tabular.infra.config import Settings, load_settings
from tabular.infra.database import Database
from tests.deploy.aws.made import wanted_of

PASSWORD = "p@ss/w#rd{x}"
KEY = "k9Zq2Lx8Vb3Nm7Rt5Wy1Pd4Sf6Gh0JcEu"
GIVEN = {
    "Database.Endpoint.Address": "db.abcdefgh.eu-west-1.rds.amazonaws.com",
    "Database.Endpoint.Port": "5432",
    "Cache.PrimaryEndPoint.Address": "cache.abcdef.euw1.cache.amazonaws.com",
    "Cache.PrimaryEndPoint.Port": "6379",
    "Queue.QueueName": "queue",
    "Bucket": "bucket",
    "AWS::Region": "eu-west-1",
    "Release": "r1",
}


def _environment(region: str = "eu-west-1", **spec: Any) -> dict[str, Any]:
    return service.environment(wanted_of(spec, region=region))


def _filled(value: Any) -> str:
    """As CloudFormation fills it in, but for secrets, which are in the environment here."""
    text = value if isinstance(value, str) else value.get("Fn::Sub", f"${{{value.get('Ref')}}}")
    text = re.sub(r"aws-sm:\$\{(\w+)\}(#\w+)?", r"env:\1", text)
    return re.sub(r"\$\{([\w:.]+)\}", lambda found: GIVEN[found[1]], text)


def _settings(environment: dict[str, Any]) -> Settings:
    secrets = {
        "DatabaseSecret": PASSWORD,
        "CacheSecret": "token/1",
        "SecretKey": KEY,
        "AdminKey": "A0b1C2d3E4f5" * 4,
    }
    return load_settings({name: _filled(value) for name, value in environment.items()} | secrets)


@pytest.mark.parametrize(
    ("spec", "tls"),
    [
        ({}, "sslmode=verify-full&sslrootcert=aws-rds"),
        ({"database": {"type": "mysql"}}, "ssl_ca=aws-rds"),
    ],
)
def test_the_service_takes_its_settings_and_verifies_the_database(
    spec: dict[str, Any], tls: str
) -> None:
    settings = _settings(_environment(**spec, compute={"max_instances": 3}))
    assert settings.database_url.endswith(f".rds.amazonaws.com:5432/tabular?{tls}")
    assert PASSWORD in settings.secret_values()
    assert settings.cache_url == (
        "rediss://:token%2F1@cache.abcdef.euw1.cache.amazonaws.com:6379/0"
    )
    database = Database(settings.database_url, again=settings.again("database_url"))
    assert database.backend == ("mysql" if "database" in spec else "postgresql")
    database.close()


def test_no_secret_is_in_what_the_template_says() -> None:
    for value in _environment(compute={"max_instances": 3}).values():
        assert isinstance(value, str) or set(value) <= {"Ref", "Fn::Sub"}
    named = _environment()["TABULAR_DATABASE_URL"]["Fn::Sub"]
    assert "{aws-sm:${DatabaseSecret}#password}" in named


def test_where_the_authority_is_not_shipped() -> None:
    url = _environment("mx-central-1")["TABULAR_DATABASE_URL"]["Fn::Sub"]
    assert url.endswith("?sslmode=require")
    with pytest.raises(UnsupportedError, match="mx-central-1") as caught:
        _environment("mx-central-1", database={"type": "mysql"})
    assert caught.value.where == "spec.database.type"
