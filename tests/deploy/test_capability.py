"""Unsupported fields are refused by name; unknown ones too."""

from __future__ import annotations

import pytest

from tabular.deploy.capability import (
    Support,
    emulated,
    lookup,
    native,
    require_supported,
    unsupported,
)
from tabular.deploy.spec import asked, load_text
from tabular.errors import UnsupportedError

TABLE = {
    "compute": native(),
    "compute.gpu": unsupported("no GPU here; use another region"),
    "storage.size": emulated("a quota"),
}


def test_the_longest_prefix_wins() -> None:
    assert lookup(TABLE, "compute.cpu").support is Support.NATIVE
    assert lookup(TABLE, "compute.gpu").support is Support.UNSUPPORTED
    assert lookup(TABLE, "storage.size").support is Support.EMULATED


def test_a_path_nobody_listed_is_unsupported() -> None:
    assert lookup(TABLE, "storage.replication").support is Support.UNSUPPORTED
    assert lookup(TABLE, "computer").support is Support.UNSUPPORTED


def test_every_refused_field_is_named_with_its_way_out() -> None:
    with pytest.raises(UnsupportedError) as caught:
        require_supported("here", TABLE, {"compute": {"cpu": 4, "gpu": "required"}, "cdn": "x"})
    text = str(caught.value)
    assert "compute.gpu: no GPU here; use another region" in text
    assert "cdn" in text
    assert "compute.cpu" not in text


def test_what_is_covered_passes() -> None:
    require_supported("here", TABLE, {"compute": {"cpu": 4}, "storage": {"size": 1}})


def test_a_secret_that_is_written_out_is_refused_by_the_key_that_the_file_has() -> None:
    text = (
        "apiVersion: synthdata.inferloop.io/v1\nkind: Deployment\nmetadata: {name: demo}\n"
        "spec: {monitoring: {grafana: {admin_password: hush-hush}}}\n"
    )
    with pytest.raises(UnsupportedError) as caught:
        require_supported("here", TABLE, asked(load_text(text).deployment))
    assert "monitoring.grafana.admin_password: this provider" in caught.value.message
    assert "hush" not in str(caught.value)
