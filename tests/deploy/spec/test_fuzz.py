"""Whatever stands in a file: a deployment or a spec error, never anything else."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.deploy.spec import Deployment, Loaded, canonical, load_text
from tabular.deploy.spec.source import decode
from tabular.errors import SpecError
from tests.deploy.spec.files import EXAMPLES, NAMES

TEXTS = [(EXAMPLES / name).read_text(encoding="utf-8") for name in NAMES]
PIECES = (
    *"[]{}|>&*!#%@`\\~?:-'\"\t\n,",
    ": ", "- ", "&a ", "*a", "!!int ", "<<: ", "null", "1e999", "0x", ".inf", "---\n", "...\n",
    "\u2028", "[[[[", "{a: ", "16Gi", "!<x>", '"\\uD800"', '"\\U00110000"', "yes", "14.10",
)  # fmt: skip
KEYS = st.sampled_from(
    ["apiVersion", "kind", "metadata", "spec", "provider", "compute", "storage", "s3", "database",
     "providers", "deployment", "monitoring", "replicaCount", "postgresql", "auth", "regions",
     "resources", "memory", "password", "lifecycle_rules", "type", "overrides", "enabled"]
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(), st.text(max_size=5),
        st.sampled_from(["aws", "ecs-fargate", "16Gi", "cross-region", "single"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(KEYS, st.text(max_size=3)), inner, max_size=4),
    ),
    max_leaves=12,
)  # fmt: skip


def attempt(text: str) -> Loaded | None:
    try:
        loaded = load_text(text, "f.yaml")
    except SpecError as error:
        assert str(error).encode("utf-8")
        assert len(str(error)) < 20_000
        return None
    again = Deployment.from_canonical(canonical(loaded.deployment))
    assert canonical(again) == canonical(loaded.deployment)
    return loaded


def flow(value: object) -> str:
    """Any plain data as YAML flow text, valid or not."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return "null" if value is None else str(value)


@given(st.text())
def test_any_text(text: str) -> None:
    attempt(text)


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_tree_with_our_keys(tree: dict[str, object]) -> None:
    attempt("\n".join(f"{key}: {flow(value)}" for key, value in tree.items()))


@settings(max_examples=150)
@given(st.sampled_from(TEXTS), st.randoms(use_true_random=False), st.integers(1, 5))
def test_damaged_examples(text: str, chance: random.Random, cuts: int) -> None:
    for _ in range(cuts):
        at, to = sorted(chance.randrange(len(text) + 1) for _ in range(2))
        to = min(to, at + 12)
        choice = chance.randrange(3)
        inserted = chance.choice(PIECES) if choice == 0 else ""
        if choice == 1:
            inserted = text[chance.randrange(len(text) + 1) :][:40]
        text = text[:at] + inserted + text[to if choice == 2 else at :]
    attempt(text)


@given(st.binary(max_size=300))
def test_any_bytes(raw: bytes) -> None:
    try:
        text = decode(raw, "f.yaml")
    except SpecError as error:
        assert error.where
    else:
        attempt(text)
