"""What a plan shows of two states of an object."""

from __future__ import annotations

from typing import Any

from tabular.deploy.onprem.comparing.differences import between, wanted_of
from tabular.deploy.plan import PropertyChange


def one(kind: str = "Deployment", **rest: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}, **rest}


def containers(*made: dict[str, Any]) -> dict[str, Any]:
    return one(spec={"template": {"spec": {"containers": list(made)}}})


def test_lists_are_compared_by_the_name_of_their_members() -> None:
    old = containers(
        {"name": "api", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
        {"name": "side", "image": "s"},
    )
    new = containers(
        {"name": "side", "image": "s"},
        {"name": "api", "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]},
    )
    at = "spec.template.spec.containers[api].env"
    assert between(old, new) == (
        PropertyChange(f"{at}[A]", {"name": "A", "value": "1"}, None),
        PropertyChange(f"{at}[B].value", "2", "3"),
        PropertyChange(f"{at}[C]", None, {"name": "C", "value": "4"}),
    )


def test_lists_without_a_key_are_compared_as_a_whole() -> None:
    changes = between(one(spec={"args": ["a", "b"]}), one(spec={"args": ["b", "a"]}))
    assert changes == (PropertyChange("spec.args", ["a", "b"], ["b", "a"]),)


def test_what_a_server_and_its_controllers_write_is_no_change() -> None:
    old, new = one(status={"ready": 1}), one(status={"ready": 2})
    old["metadata"] |= {"resourceVersion": "1", "generation": 1, "managedFields": [1]}
    new["metadata"] |= {"annotations": {"deployment.kubernetes.io/revision": "2"}}
    old["metadata"] |= {"annotations": {"deployment.kubernetes.io/revision": "1"}}
    assert between(old, new) == ()


def test_no_secret_is_shown() -> None:
    changes = between(
        one("Secret", data={"a": "aGVsbG8=", "b": "eA=="}),
        one("Secret", data={"a": "c2VjcmV0", "c": "eQ=="}),
    )
    assert [change.path for change in changes] == ["data.a", "data.b", "data.c"]
    assert not {"aGVsbG8=", "c2VjcmV0", "eA==", "eQ=="} & {
        text for change in changes for text in (change.before, change.after)
    }


def test_a_file_in_a_config_map_is_told_by_its_size() -> None:
    (change,) = between(one("ConfigMap", data={"f": "a" * 500}), one("ConfigMap", data={"f": "b"}))
    assert change.before.startswith("(500 characters, sha256 ")
    assert change.after == "b"


def test_of_what_cannot_be_changed_only_the_wanted_fields_are_compared() -> None:
    live = one("Service", spec={"clusterIP": "10.0.0.1", "sessionAffinity": "None"})
    wanted = one("Service", spec={"clusterIP": "10.0.0.2"})
    assert wanted_of(live, wanted) == (PropertyChange("spec.clusterIP", "10.0.0.1", "10.0.0.2"),)
