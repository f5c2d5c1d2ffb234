"""Rebuild a Terraform provider's schema from the wheel of its generated bindings.

No registry that we can install from carries providers, but wheels of the CDK's bindings do carry
JavaScript that was generated from each provider's own schema: a class for every resource, data
source and nested block, a comment for every attribute (computed, optional, required), and a
``…ToHclTerraform`` function with the type of what a class holds. This reads those back into the
shape of ``terraform providers schema -json``.
"""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Schema = dict[str, Any]
Type = Any  # a type in Terraform's JSON: "string", ["list", "string"], ["object", {...}]

_CLASS = re.compile(r"^class (\w+) extends (?:\w+)\.(\w+) \{(.*?)^\}", re.S | re.M)
_PROPERTY = re.compile(
    r"^    // (\w+) - computed: (true|false), optional: (true|false), required: (true|false)"
    r"(?:, deprecated)?[^\n]*\n(.*?)(?=^    // \w+ - computed:|^    // =====|\Z)",
    re.S | re.M,
)
_FUNCTION = re.compile(r"^function (\w+)ToHclTerraform\(struct[^)]*\) \{(.*?)^\}", re.S | re.M)
_HINT = re.compile(
    r'^\s+(\w+): \{\s*value: .*?isBlock: (true|false),\s*type: "(\w+)",'
    r'\s*storageClassType: "(\w+)"',
    re.S | re.M,
)
_ROOTS = {
    "TerraformResource": "resource_schemas",
    "TerraformDataSource": "data_source_schemas",
    "TerraformProvider": "provider",
}
_PRIMITIVES = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}
_GETTERS: tuple[tuple[str, Type], ...] = (
    ("this.getStringAttribute(", "string"),
    ("this.getNumberAttribute(", "number"),
    ("this.getBooleanAttribute(", "bool"),
    ("this.getListAttribute(", ["list", "string"]),
    ("this.getNumberListAttribute(", ["list", "number"]),
    ("this.getStringMapAttribute(", ["map", "string"]),
    ("this.getNumberMapAttribute(", ["map", "number"]),
    ("this.getBooleanMapAttribute(", ["map", "bool"]),
    ("this.getAnyMapAttribute(", ["map", "dynamic"]),
)


@dataclass(frozen=True)
class Hint:
    """What a ``…ToHclTerraform`` function says of an attribute."""

    is_block: bool = False
    kind: str | None = None
    stored: str | None = None


@dataclass(frozen=True)
class Property:
    """An attribute or block of a class: its comment and the code that reads it."""

    name: str
    flags: dict[str, bool]
    code: str
    hint: Hint

    @property
    def made(self) -> re.Match[str] | None:
        """The class that the code makes for it: its name, and whether it is a set."""
        return re.search(rf'new ([\w.]+)\(this, "{self.name}"(?:, (true|false))?\)', self.code)


def read_wheel(wheel: Path) -> Schema:
    """The provider's schema, and under ``version`` the version of the provider it is of."""
    schema: Schema = {
        "provider": None,
        "resource_schemas": {},
        "data_source_schemas": {},
        "version": None,
    }
    for source in _sources(wheel):
        if "JSII_RTTI" not in source:
            continue
        found = re.search(r"providerVersion: '([^']+)'", source)
        schema["version"] = schema["version"] or (found and found[1])
        for kind, name, block in _Source(source).roots():
            described = {"version": 0, "block": block}
            if kind == "provider":
                schema[kind] = described
            else:
                schema[kind][name] = described
    return schema


def _sources(wheel: Path) -> Iterator[str]:
    """The JavaScript of each folder of the package inside a wheel, joined."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".jsii.tgz")]
        packed = io.BytesIO(archive.read(name))
    folders: dict[str, list[str]] = defaultdict(list)
    with tarfile.open(fileobj=packed, mode="r:gz") as package:
        for member in package:
            found = re.fullmatch(r"package/lib/([^/]+)/.*\.js", member.name)
            content = package.extractfile(member) if found else None
            if found and content:
                folders[found[1]].append(content.read().decode())
    for parts in folders.values():
        yield "\n".join(parts)


def _hints(code: str) -> dict[str, Hint]:
    return {
        name: Hint(is_block == "true", kind, stored)
        for name, is_block, kind, stored in _HINT.findall(code)
    }


def _lowered(name: str) -> str:
    return name[0].lower() + name[1:]


@dataclass
class _Source:
    """The classes and hints of one folder."""

    text: str
    classes: dict[str, tuple[str, str]] = field(init=False)
    hints: dict[str, dict[str, Hint]] = field(init=False)

    def __post_init__(self) -> None:
        self.classes = {found[1]: (found[2], found[3]) for found in _CLASS.finditer(self.text)}
        self.hints = {
            _lowered(found[1]): _hints(found[2]) for found in _FUNCTION.finditer(self.text)
        }

    def roots(self) -> Iterator[tuple[str, str, Schema]]:
        """Each resource, data source and provider: where it belongs, its name, its block."""
        for name, (base, body) in self.classes.items():
            if base in _ROOTS:
                named = re.search(r'static tfResourceType = "(\w+)"', body)
                own = re.search(r"synthesizeHclAttributes\(\) \{(.*)", body, re.S)
                hints = _hints(own[1]) if own else {}
                yield _ROOTS[base], named[1] if named else name, self._block(body, hints, ())

    def _block(self, body: str, hints: Mapping[str, Hint], inside: tuple[str, ...]) -> Schema:
        block: Schema = {"attributes": {}, "block_types": {}}
        for name, computed, optional, required, code in _PROPERTY.findall(body):
            given = (("computed", computed), ("optional", optional), ("required", required))
            flags = {flag: True for flag, value in given if value == "true"}
            section, described = self._described(
                Property(name, flags, code, hints.get(name, Hint())), inside
            )
            block[section][name] = described
        return block

    def _described(self, prop: Property, inside: tuple[str, ...]) -> tuple[str, Schema]:
        if prop.made is not None:
            return self._of_class(prop, prop.made, inside)
        hint = prop.hint
        if hint.stored and hint.is_block:
            nesting = "set" if hint.kind == "set" else "list"
            block = self._from_hints(hint.stored.removesuffix("List"))
            return "block_types", {"nesting_mode": nesting, "block": block}
        found = _scalar(hint) or _getter(prop.code)
        # Write-only attributes have no getter; all that are known are strings.
        return "attributes", {"type": found or "string", **prop.flags}

    def _of_class(
        self, prop: Property, made: re.Match[str], inside: tuple[str, ...]
    ) -> tuple[str, Schema]:
        maps = re.fullmatch(r"(?:cdktn|cdktf)\.(String|Number|Boolean|Any)Map(List)?", made[1])
        if maps:
            of_map = ["map", _PRIMITIVES[maps[1].lower()]]
            return "attributes", {"type": ["list", of_map] if maps[2] else of_map, **prop.flags}
        mode, base, single = _nesting(made, prop.hint)
        block = self._nested(base, inside)
        if prop.hint.is_block:
            nested: Schema = {"nesting_mode": mode, "block": block}
            if single and mode != "single":
                nested["max_items"] = 1
            if "required" in prop.flags:
                nested["min_items"] = 1
            return "block_types", nested
        whole = _object(block)
        plain = prop.hint.kind == "struct" or (single and prop.hint.kind is None)
        return "attributes", {"type": whole if plain else [mode, whole], **prop.flags}

    def _nested(self, base: str, inside: tuple[str, ...]) -> Schema:
        """The block of a nested class; empty where a class holds itself."""
        reference = f"{base}OutputReference"
        if reference in inside or reference not in self.classes:
            return {"attributes": {}, "block_types": {}}
        hints = self.hints.get(_lowered(base), {})
        return self._block(self.classes[reference][1], hints, (*inside, reference))

    def _from_hints(self, base: str) -> Schema:
        """The block of a class that the code reads without a class of its own."""
        block: Schema = {"attributes": {}, "block_types": {}}
        for name, hint in self.hints.get(_lowered(base), {}).items():
            plain = _scalar(hint)
            inner = (hint.stored or "").removesuffix("List")
            if plain is not None:
                block["attributes"][name] = {"type": plain, "optional": True}
            elif hint.is_block:
                nesting = "set" if hint.kind == "set" else "list"
                nested = {"nesting_mode": nesting, "block": self._from_hints(inner)}
                block["block_types"][name] = nested
            else:
                of_list = ["list", _object(self._from_hints(inner))]
                block["attributes"][name] = {"type": of_list, "optional": True}
        return block


def _nesting(made: re.Match[str], hint: Hint) -> tuple[str, str, bool]:
    """The nesting mode, the class without its ending, and whether there is one at most."""
    name = made[1].rsplit(".", 1)[-1]
    mode, single = "list", False
    for ending in ("OutputReference", "List", "Map"):
        if name.endswith(ending):
            name = name.removesuffix(ending)
            single = ending == "OutputReference"
            if ending == "List" and (made[2] == "true" or hint.kind == "set"):
                mode = "set"
            elif ending == "Map":
                mode = "map"
            break
    if hint.kind == "struct":
        mode = "single"
    elif single and hint.kind == "set":
        mode = "set"
    return mode, name, single


def _scalar(hint: Hint) -> Type | None:
    """The type that a hint gives, where it holds no class."""
    pattern = r"(string|number|boolean|any)(List|Map|Set|ListList|MapList)?"
    found = re.fullmatch(pattern, hint.stored or "")
    if found is None:
        return None
    inner = _PRIMITIVES[found[1]]
    shapes: dict[str | None, Type] = {
        None: inner,
        "List": ["set" if hint.kind == "set" else "list", inner],
        "Set": ["set", inner],
        "Map": ["map", inner],
        "ListList": ["list", ["list", inner]],
        "MapList": ["list", ["map", inner]],
    }
    return shapes[found[2]]


def _getter(code: str) -> Type | None:
    """The type by the call with which the code reads an attribute."""
    if "Fn.tolist(this.getListAttribute" in code:
        return ["set", "string"]
    if re.search(r"Fn\.tolist\(this\.getNumberListAttribute|asNumberList\(\w+\.Fn\.tolist", code):
        return ["set", "number"]
    found = next((kind for call, kind in _GETTERS if call in code), None)
    return found or ("dynamic" if "interpolationForAttribute" in code else None)


def _object(block: Schema) -> Type:
    """A block as the type of an attribute."""
    members: dict[str, Type] = {
        name: attribute["type"] for name, attribute in block["attributes"].items()
    }
    for name, nested in block["block_types"].items():
        mode = "list" if nested["nesting_mode"] == "single" else nested["nesting_mode"]
        members[name] = [mode, _object(nested["block"])]
    return ["object", members]
