"""The chart's MySQL: its configuration with a real server, and what is refused.

The server is MariaDB, since MySQL's own is in no registry that the tests may use: what both know is
checked by it.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tabular.errors import EngineError
from tests.deploy.onprem.chart.cases import BUILT_IN, merged, objects, one
from tests.deploy.onprem.chart.paths import pod, reaches
from tests.testbed import parts
from tests.testbed.mariadb import MariaDB, mariadb_home, mariadb_server
from tests.testbed.tls import make_certificate, mount_certificate

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
    assert "skip-log-bin" in text.splitlines()  # on in MySQL unless said
    assert said["require-secure-transport"].strip() == str(tls).upper()


# MariaDB has the statement by another name.
CLIENT = """#!/bin/sh
set -- "$1" "$2" "$(echo "$3" | sed 's/^ALTER INSTANCE RELOAD TLS$/FLUSH SSL/')"
exec {client} --no-defaults --socket={socket} "$@"
"""


@pytest.mark.debian
def test_a_renewed_certificate_is_shown_without_a_restart() -> None:
    found = objects(values(tls={"enabled": True}))
    user = "nobody" if os.geteuid() == 0 else None
    with mariadb_home() as home:
        first = mount_certificate(home / "tls", user=user)
        files = (home / "tls/tls.crt", home / "tls/tls.key")
        with mariadb_server(home, tls=files, copied=False) as server:
            assert _shown(server) == first
            assert _probed(found, home, server) == 0
            second = mount_certificate(home / "tls", user=user)
            assert _shown(server) == first
            assert _probed(found, home, server) == 0
            assert _shown(server) == second
        assert _probed(found, home, server) != 0


def _probed(found: Any, home: Path, server: MariaDB) -> int:
    """The code with which the container's own liveness probe ends."""
    (only,) = one(found, "StatefulSet", PART)["spec"]["template"]["spec"]["containers"]
    shell, option, script = only["livenessProbe"]["exec"]["command"]
    places = {
        "/run/tls": str(home / "tls"),
        "/var/run/mysqld": str(home),
        "mysqladmin ": f"mysqladmin --no-defaults --port={server.port} ",
    }
    for old, new in places.items():
        script = script.replace(old, new)
    client = parts.debian("mariadb", package="mariadb-client")
    (home / "mysql").write_text(CLIENT.format(client=client, socket=server.socket))
    (home / "mysql").chmod(0o755)
    path = f"{home}:{os.environ['PATH']}"
    done = subprocess.run([shell, option, script], env={"PATH": path}, timeout=30, check=False)
    return done.returncode


def _shown(server: MariaDB) -> bytes:
    """The certificate that the server shows, as DER."""
    openssl = parts.binary("openssl", package="openssl (Debian)")
    done = subprocess.run(
        [openssl, "s_client", "-starttls", "mysql", "-connect", f"127.0.0.1:{server.port}"],
        capture_output=True, stdin=subprocess.DEVNULL, text=True, timeout=30, check=False,
    )  # fmt: skip
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    between = done.stdout.partition(begin)[2].partition(end)[0]
    return ssl.PEM_cert_to_DER_cert(f"{begin}{between}{end}\n")


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
