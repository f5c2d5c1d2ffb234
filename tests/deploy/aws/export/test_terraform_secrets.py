"""No secret is in a configuration, and none gets into a plan or a state."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tabular.deploy.aws.export.terraform import terraform
from tabular.errors import UnsupportedError
from tests.deploy.aws import matrix
from tests.deploy.aws.export.bed import changed
from tests.deploy.aws.made import stack_of


def lines_of(name: str) -> Iterator[tuple[str, str]]:
    """Lines of the configuration, each with the block that it is in."""
    block = ""
    for file, content in terraform(matrix.stack(name)).items():
        for line in content.decode().splitlines() if file.endswith(".tf") else ():
            if line and not line.startswith((" ", "}")):
                block = line
            yield block, line


@pytest.mark.parametrize("name", matrix.SPECS)
def test_a_secret_is_in_write_only_arguments_alone(name: str) -> None:
    """Terraform's own rule, which the bed cannot check: only these and ephemeral blocks forget."""
    within = ""
    for block, line in lines_of(name):
        setting = re.match(r"  ([a-z_]+) +=", line)
        within = setting[1] if setting else within
        if "ephemeral." in line:
            assert within.endswith("_wo") or block.startswith("ephemeral "), line


def test_generated_secrets_keep_to_what_was_asked() -> None:
    text = terraform(matrix.stack("fargate"))["security.tf"].decode()
    found = re.findall(
        r'ephemeral "aws_secretsmanager_random_password" "([a-z_]+)" \{\n'
        r"  password_length     = ([0-9]+)\n  exclude_punctuation = true\n\}",
        text,
    )
    template = matrix.stack("fargate").template["Resources"]
    asked = {
        "admin_key": "AdminKey",
        "cache_secret": "CacheSecret",
        "database_secret": "DatabaseSecret",
        "secret_key": "SecretKey",
    }
    length = {
        label: template[id_]["Properties"]["GenerateSecretString"]["PasswordLength"]
        for label, id_ in asked.items()
    }
    assert {label: int(number) for label, number in found} == length
    password = "ephemeral.aws_secretsmanager_random_password.database_secret.random_password"
    assert f'username = "synth"\n    password = {password}\n  }})' in text


def test_database_and_cache_read_their_secrets_for_a_moment() -> None:
    files = terraform(matrix.stack("fargate"))
    data, database = files["data.tf"].decode(), files["database.tf"].decode()
    for name in ("database_secret", "cache_secret"):
        source = f'ephemeral "aws_secretsmanager_secret_version" "{name}" {{\n'
        assert f"{source}  secret_id = aws_secretsmanager_secret_version.{name}.secret_id" in data
    secret = "ephemeral.aws_secretsmanager_secret_version.{}.secret_string"
    of_database = f'jsondecode({secret.format("database_secret")})["password"]'
    assert re.search(rf"password_wo += {re.escape(of_database)}\n", database)
    assert re.search(rf"auth_token_wo += {re.escape(secret.format('cache_secret'))}\n", database)
    assert not re.search(r"^ +(password|auth_token) +=", database, re.MULTILINE)


def test_a_password_that_exists_is_read_by_its_name() -> None:
    files = terraform(matrix.stack("postgres with a password that exists"))
    data = files["data.tf"].decode()
    assert 'ephemeral "aws_secretsmanager_secret_version" "db_owner" {' in data
    assert 'secret_id = "db/owner"' in data
    secret = "ephemeral.aws_secretsmanager_secret_version.db_owner.secret_string"
    assert f'jsondecode({secret})["pw"]' in files["database.tf"].decode()


def test_where_rds_keeps_the_password_nobody_else_does() -> None:
    files = terraform(matrix.stack("mysql, replicated"))
    database, security = files["database.tf"].decode(), files["security.tf"].decode()
    assert re.search(r"manage_master_user_password +=  *true", database)
    assert "password_wo" not in database
    assert "aws_db_instance.database.master_user_secret[0].secret_arn" in security


def test_a_secret_that_is_written_out_is_refused() -> None:
    stack = changed(matrix.stack("nothing"), "Database", MasterUserPassword="hunter2")
    with pytest.raises(UnsupportedError) as caught:
        terraform(stack)
    assert caught.value.where == "Database (AWS::RDS::DBInstance).MasterUserPassword"
    assert "hunter2" not in str(caught.value)


def test_a_secret_elsewhere_than_in_a_password_is_refused() -> None:
    leak = "{{resolve:secretsmanager:db/owner}}"
    stack = stack_of({"overrides": {"aws": {"Queue": {"VisibilityTimeout": leak}}}})
    with pytest.raises(UnsupportedError, match="outside of a password"):
        terraform(stack)


def test_the_readme_tells_what_is_in_the_state() -> None:
    text = terraform(matrix.stack("fargate"))["README.md"].decode()
    assert "No secret is in these files, in a plan or in the state." in text
    assert "`DatabaseSecretAttachment`" in text
