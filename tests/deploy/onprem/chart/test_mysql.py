"""The chart's MySQL: its configuration with a real server, and what is refused.

The server is MariaDB, since MySQL's own is in no registry that the tests may use: what both know is
checked by it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tabular.errors import EngineError
from tests.deploy.onprem.chart.cases import BUILT_IN, merged, objects, one
from tests.deploy.onprem.chart.paths import pod, reaches
from tests.testbed import parts
from tests.testbed.tls import make_certificate

PART = "demo-mysql"


def values(**more: Any) -> dict[str, Any]:
    """Values with a MySQL."""
    own = {"postgresql": {"enabled": False}, "mysql": {"enabled": True}}
    return merged(BUILT_IN, own, more)


@pytest.mark.debian
@pytest.mark.parametrize("tls", [False, True])
def test_a_server_accepts_the_configuration(tls: bool, tmp_path: Path) -> None:
    found = objects(values(mysql={"settings": {"max_connections": 321}}, tls={"enabled": tls}))
    if tls:
        certificate, key = make_certificate(tmp_path)
        shutil.copyfile(certificate, tmp_path / "ca.crt")
        certificate.rename(tmp_path / "tls.crt")
        key.rename(tmp_path / "tls.key")
    text = one(found, "ConfigMap", PART)["data"]["tabular.cnf"].replace("/run/tls", str(tmp_path))
    file = tmp_path / "tabular.cnf"
    file.write_text(text)
    server = parts.debian("mariadbd", package="mariadb-server")
    user = ["--user=nobody"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [server, f"--defaults-file={file}", *user, "--verbose", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "unknown" not in done.stderr.lower()
    said = dict(line.split(None, 1) for line in done.stdout.splitlines() if len(line.split()) > 1)
    assert said["max-connections"].strip() == "321"
    assert said["character-set-server"].strip() == "utf8mb4"
    assert said["require-secure-transport"].strip() == str(tls).upper()


def test_the_password_is_a_file_and_root_has_no_way_in_from_outside() -> None:
    found = objects(values(mysql={"auth": {"username": "app", "database": "rows"}}))
    spec = one(found, "StatefulSet", PART)["spec"]["template"]["spec"]["containers"][0]
    env = {e["name"]: e.get("value") for e in spec["env"]}
    assert env["MYSQL_PASSWORD_FILE"] == "/run/secrets/tabular/database-password"
    assert (env["MYSQL_USER"], env["MYSQL_DATABASE"]) == ("app", "rows")
    assert env["MYSQL_ROOT_HOST"] == "localhost"
    assert "MYSQL_PASSWORD" not in env
    api = one(found, "Deployment", "demo-api")["spec"]["template"]["spec"]["containers"][0]["env"]
    url = next(e["value"] for e in api if e["name"] == "TABULAR_DATABASE_URL")
    secret = "{file:/run/secrets/tabular/database-password}"
    assert url == f"mysql+pymysql://app:{secret}@demo-mysql:3306/rows"


def test_its_disk_and_its_way_are_as_they_are_said() -> None:
    disk = {"size": "33Gi", "storageClass": "fast"}
    found = objects(values(mysql={"primary": {"persistence": disk}}))
    (claim,) = one(found, "StatefulSet", PART)["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"]["requests"]["storage"] == "33Gi"
    assert reaches(found, pod(found, "api"), pod(found, "mysql"), 3306)
    assert not reaches(found, pod(found, "minio"), pod(found, "mysql"), 3306)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"mysql": {"replication": {"enabled": True}}}, "one server here.*postgresql.enabled"),
        ({"postgresql": {"enabled": True}}, "both true"),
        ({"mysql": {"auth": {"username": "root"}}}, "username"),
    ],
)
def test_what_cannot_be_is_refused(more: dict[str, Any], why: str) -> None:
    with pytest.raises(EngineError, match=why):
        objects(values(**more))
