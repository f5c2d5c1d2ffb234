"""Certificates of authorities that no operating system has, under a word that a URL may use.

A database of Amazon RDS shows a certificate of an authority of its region. A container has no file
of it, and without one TLS would be to whoever answers, or, for MySQL, not at all.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

AWS_RDS = "aws-rds"
_AWS_RDS_FILE = Path(__file__).with_name("aws-rds.pem")


def file_of(named: str) -> str:
    """The file of an authority: of the word ``aws-rds``, or what was named itself."""
    return str(_AWS_RDS_FILE) if named == AWS_RDS else named


@cache
def aws_rds_regions() -> frozenset[str]:
    """Regions of AWS whose authority ``aws-rds`` has, e.g. ``eu-west-1``."""
    named = re.findall(r"^# Amazon RDS (\S+) Root CA", _AWS_RDS_FILE.read_text(), re.MULTILINE)
    return frozenset(named)
