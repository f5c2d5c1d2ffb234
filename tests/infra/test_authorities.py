"""The authorities that are shipped: whole, valid, and one for each region."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from tabular.infra.authorities import aws_rds_regions, file_of


def test_each_region_of_rds_has_a_root_that_is_one() -> None:
    found = x509.load_pem_x509_certificates(Path(file_of("aws-rds")).read_bytes())
    names = set()
    for one in found:
        one.verify_directly_issued_by(one)
        constraints = one.extensions.get_extension_for_class(x509.BasicConstraints)
        assert constraints.critical
        assert constraints.value.ca
        assert one.not_valid_after_utc > datetime.now(UTC) + timedelta(days=3650)
        names.add(one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    assert names == {f"Amazon RDS {region} Root CA RSA2048 G1" for region in aws_rds_regions()}
    assert len(found) == len(names)
    assert {"eu-west-1", "us-east-1", "ap-southeast-2"} <= aws_rds_regions()


def test_python_takes_them_all() -> None:
    context = ssl.create_default_context(cafile=file_of("aws-rds"))
    assert context.cert_store_stats()["x509_ca"] == len(aws_rds_regions())


def test_other_names_are_files() -> None:
    assert file_of("/etc/ca.pem") == "/etc/ca.pem"
