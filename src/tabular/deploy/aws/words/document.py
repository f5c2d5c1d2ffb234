"""The words of a CloudFormation template as plain data; no classes, no builder.

A part of a template is a mapping of logical ids to resource documents. Whoever knows
CloudFormation can read what the compilers write, and whoever does not can look it up by its type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabular.deploy.stack import Resource

Document = dict[str, Any]
Part = dict[str, Document]

# Marks a resource that holds data, or that data stands on; see `resource`.
KEPT = "InferloopKept"
# Of what CloudFormation does when a resource leaves its stack: what was only just made when its own
# deployment failed is no data yet and goes, or every failed attempt would leave a bucket and a key
# that nobody owns. For a replaced one there is no such word.
_LEAVING = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}
_SNAPSHOT = {"DeletionPolicy": "Snapshot", "UpdateReplacePolicy": "Snapshot"}


def resource(
    type_: str,
    properties: Mapping[str, Any],
    *,
    depends_on: Sequence[str] = (),
    kept: bool = False,
    snapshot: bool = False,
    base: bool = False,
    **attributes: Any,
) -> Document:
    """One resource.

    Args:
        type_: e.g. ``AWS::S3::Bucket``.
        properties: as the vendor names them; entries that are None are left out.
        depends_on: logical ids that must be there first and that no property refers to.
        kept: it holds data: a destroy without ``--delete-data`` leaves it, and so does whoever
            deletes the stack or the resource past us.
        snapshot: as ``kept``, for types of which AWS makes a last snapshot instead.
        base: data stands on it: a destroy without ``--delete-data`` leaves it. AWS itself refuses
            to delete it as long as the data is there, and afterwards it is only in the way.
        attributes: further ones, e.g. ``UpdatePolicy``.
    """
    document: Document = {
        "Type": type_,
        "Properties": {key: value for key, value in properties.items() if value is not None},
    }
    if depends_on:
        document["DependsOn"] = sorted(depends_on)
    if kept or snapshot:
        document |= _SNAPSHOT if snapshot else _LEAVING
    if kept or snapshot or base:
        document["Metadata"] = {KEPT: True}
    return document | attributes


def ref(name: str) -> Document:
    """The usual identity of another resource, a parameter or a pseudo parameter."""
    return {"Ref": name}


def att(name: str, attribute: str) -> Document:
    """An attribute of another resource, e.g. ``att("Bucket", "Arn")``."""
    return {"Fn::GetAtt": [name, attribute]}


def sub(text: str) -> Document:
    """A text in which ``${Name}`` and ``${Name.Attribute}`` are filled in."""
    return {"Fn::Sub": text}


def zone(number: int) -> Document:
    """The availability zone of a number, from 0, of the region that is deployed to."""
    return {"Fn::Select": [number, {"Fn::GetAZs": ""}]}


def policy(*statements: Mapping[str, Any]) -> Document:
    """A policy document of IAM, of a key or of a resource."""
    return {"Version": "2012-10-17", "Statement": [dict(one) for one in statements]}


def allow(actions: Sequence[str], resources: Any, **more: Any) -> Document:
    """A statement that allows; ``more`` are e.g. ``Principal``, ``Condition``, ``Sid``."""
    return {"Effect": "Allow", "Action": sorted(actions), "Resource": resources, **more}


def trust(service: str, **more: Any) -> Document:
    """Who may take on a role: a service such as ``backup.amazonaws.com``."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    return policy({**statement, **more})


def index(template: Mapping[str, Any]) -> tuple[Resource, ...]:
    """The resources of a template as a plan lists them, in the order they stand there."""
    return tuple(
        Resource(
            id=name,
            type=document["Type"],
            properties=document.get("Properties", {}),
            depends_on=tuple(document.get("DependsOn", ())),
            stateful=bool(document.get("Metadata", {}).get(KEPT)),
        )
        for name, document in template["Resources"].items()
    )
