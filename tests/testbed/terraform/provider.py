"""A Terraform provider that knows a real provider's schema and keeps nothing.

A script for an interpreter that has `tf`: ``provider.py SCHEMA.json`` speaks Terraform's plugin
protocol 6. The real terraform binary then checks configurations against the real schema, plans,
and applies; what a resource computes is invented, and state is Terraform's own. Not here are the
checks that a provider makes in its code: values of enumerations, conflicts, forced replacement.
"""

from __future__ import annotations

import hashlib
import json
import sys
import uuid
from pathlib import Path
from typing import Any

import msgpack
import tf.provider
import tf.runner
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

Block = dict[str, Any]
UNKNOWN = msgpack.ExtType(0, b"\x00")
NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}


def decoded(value: Any) -> Any:
    """A value of the protocol as plain Python."""
    if value.msgpack:
        return msgpack.unpackb(value.msgpack, raw=False, strict_map_key=False)
    return json.loads(value.json) if value.json else None


def encoded(value: Any) -> Any:
    """Plain Python as a value of the protocol."""
    return pb.DynamicValue(msgpack=msgpack.packb(value))


def servable(block: Block, *, in_set: bool = False) -> bool:
    """Whether terraform takes the block: it refuses dynamic attributes inside sets."""
    if in_set and any("dynamic" in json.dumps(a["type"]) for a in block["attributes"].values()):
        return False
    return all(
        servable(nested["block"], in_set=in_set or nested["nesting_mode"] == "set")
        for nested in block["block_types"].values()
    )


def block_message(block: Block) -> Any:
    """A block of the schema as the protocol says it."""
    attributes = [
        pb.Schema.Attribute(
            name=name,
            type=json.dumps(attribute["type"]).encode(),
            required=bool(attribute.get("required")),
            optional=bool(attribute.get("optional")),
            computed=bool(attribute.get("computed")),
        )
        for name, attribute in block["attributes"].items()
    ]
    nested = []
    for name, entry in block["block_types"].items():
        counted = entry["nesting_mode"] in ("list", "set")
        nested.append(
            pb.Schema.NestedBlock(
                type_name=name,
                block=block_message(entry["block"]),
                nesting=NESTING[entry["nesting_mode"]],
                min_items=entry.get("min_items", 0) if counted else 0,
                max_items=entry.get("max_items", 0) if counted else 0,
            )
        )
    return pb.Schema.Block(attributes=attributes, block_types=nested)


def schema_message(described: Block) -> Any:
    """A resource's, data source's or provider's schema."""
    return pb.Schema(version=described["version"], block=block_message(described["block"]))


def invented(kind: Any, seed: str) -> Any:
    """A value of a type, the same for the same seed."""
    plain = {"number": 0, "bool": False, "dynamic": None}
    if isinstance(kind, str):
        return plain[kind] if kind in plain else hashlib.sha1(seed.encode()).hexdigest()[:12]
    if kind[0] == "object":
        return {name: invented(inner, seed + name) for name, inner in kind[1].items()}
    return {} if kind[0] == "map" else []


def planned(block: Block, new: dict[str, Any], prior: dict[str, Any] | None) -> dict[str, Any]:
    """What a resource will be: computed attributes stay as they were, or are unknown."""
    made: dict[str, Any] = {}
    for name, attribute in block["attributes"].items():
        value = new.get(name)
        if value is None and attribute.get("computed"):
            value = prior.get(name) if prior else UNKNOWN
        made[name] = value
    for name, nested in block["block_types"].items():
        before = (prior or {}).get(name)
        keeps_order = nested["nesting_mode"] == "list" and isinstance(before, list)
        value = new.get(name)
        if nested["nesting_mode"] == "single":
            made[name] = None if value is None else planned(nested["block"], value, before)
        elif isinstance(value, list):
            made[name] = [
                planned(
                    nested["block"],
                    entry,
                    before[number] if keeps_order and number < len(before) else None,
                )
                for number, entry in enumerate(value)
            ]
        else:
            made[name] = value
    return made


def filled(block: Block, value: dict[str, Any], seed: str) -> dict[str, Any]:
    """What a resource is after it was made: everything unknown has a value."""
    made: dict[str, Any] = {}
    for name, attribute in block["attributes"].items():
        known = value.get(name)
        unknown = isinstance(known, msgpack.ExtType)
        made[name] = invented(attribute["type"], seed + name) if unknown else known
    for name, nested in block["block_types"].items():
        entry = value.get(name)
        if nested["nesting_mode"] == "single":
            made[name] = None if entry is None else filled(nested["block"], entry, seed + name)
        elif isinstance(entry, list):
            made[name] = [
                filled(nested["block"], one, f"{seed}{name}{number}")
                for number, one in enumerate(entry)
            ]
        else:
            made[name] = entry
    return made


class SchemaProvider(rpc.ProviderServicer):
    """The provider of one schema; the method names are the protocol's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        schema = json.loads(path.read_text())
        self.provider = schema["provider"]
        self.resources, self.sources = (
            {name: kind for name, kind in schema[section].items() if servable(kind["block"])}
            for section in ("resource_schemas", "data_source_schemas")
        )

    def GetMetadata(self, request: Any, context: Any) -> Any:
        """The names of all types."""
        metadata = pb.GetMetadata
        return metadata.Response(
            resources=[metadata.ResourceMetadata(type_name=name) for name in self.resources],
            data_sources=[metadata.DataSourceMetadata(type_name=name) for name in self.sources],
        )

    def GetProviderSchema(self, request: Any, context: Any) -> Any:
        """Everything that this provider knows; terraform asks at every command."""
        # To put the answer together takes seconds, which is done once a machine.
        ready = self.path.with_suffix(".answer")
        if not ready.exists():
            scratch = ready.with_suffix(f".{uuid.uuid4().hex}")
            scratch.write_bytes(self._schema().SerializeToString())
            scratch.replace(ready)
        return pb.GetProviderSchema.Response.FromString(ready.read_bytes())

    def _schema(self) -> Any:
        return pb.GetProviderSchema.Response(
            provider=schema_message(self.provider),
            resource_schemas={n: schema_message(kind) for n, kind in self.resources.items()},
            data_source_schemas={n: schema_message(kind) for n, kind in self.sources.items()},
        )

    def ValidateProviderConfig(self, request: Any, context: Any) -> Any:
        """Terraform has checked it against the schema."""
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:
        """Terraform has checked it against the schema."""
        return pb.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request: Any, context: Any) -> Any:
        """Terraform has checked it against the schema."""
        return pb.ValidateDataResourceConfig.Response()

    def ConfigureProvider(self, request: Any, context: Any) -> Any:
        """There is nothing to reach."""
        return pb.ConfigureProvider.Response()

    def UpgradeResourceState(self, request: Any, context: Any) -> Any:
        """State is always of this schema."""
        state = encoded(json.loads(request.raw_state.json))
        return pb.UpgradeResourceState.Response(upgraded_state=state)

    def ReadResource(self, request: Any, context: Any) -> Any:
        """What is, is what Terraform remembers."""
        return pb.ReadResource.Response(new_state=request.current_state)

    def PlanResourceChange(self, request: Any, context: Any) -> Any:
        """Plan a create, an update or a deletion."""
        new, prior = decoded(request.proposed_new_state), decoded(request.prior_state)
        if new is None:
            return pb.PlanResourceChange.Response(planned_state=request.proposed_new_state)
        block = self.resources[request.type_name]["block"]
        return pb.PlanResourceChange.Response(planned_state=encoded(planned(block, new, prior)))

    def ApplyResourceChange(self, request: Any, context: Any) -> Any:
        """Do as planned."""
        plan = decoded(request.planned_state)
        if plan is None:
            return pb.ApplyResourceChange.Response(new_state=request.planned_state)
        block = self.resources[request.type_name]["block"]
        made = filled(block, plan, uuid.uuid4().hex)
        return pb.ApplyResourceChange.Response(new_state=encoded(made))

    def ReadDataSource(self, request: Any, context: Any) -> Any:
        """Invent what a data source would find, the same at each plan."""
        block = self.sources[request.type_name]["block"]
        made = filled(block, planned(block, decoded(request.config), None), "data")
        return pb.ReadDataSource.Response(state=encoded(made))

    def GetFunctions(self, request: Any, context: Any) -> Any:
        """None."""
        return pb.GetFunctions.Response()

    def StopProvider(self, request: Any, context: Any) -> Any:
        """Nothing runs."""
        return pb.StopProvider.Response()


if __name__ == "__main__":
    # The runner takes providers written in its own classes only; the servicer is its one seam.
    tf.provider.ProviderServicer = SchemaProvider
    tf.runner.run_provider(Path(sys.argv[1]), sys.argv[1:])
