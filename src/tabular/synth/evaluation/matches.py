"""Rows copied value for value: the plainest leak, and the one to rule out first."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pyarrow as pa

from tabular.synth.evaluation.columns import Column, Part, encode
from tabular.synth.evaluation.results import ExactMatches

DECIMALS = 6
"""Numbers that agree to this many decimals are the same: a CSV file keeps no more for sure."""
_EXACT = 1e9  # beyond, a float64 keeps hardly more decimals than these
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def exact_matches(tables: Mapping[Part, pa.Table], keys: Collection[str]) -> ExactMatches:
    """Share of rows that occur in another table, keys left aside.

    Keys are left aside because a regenerated key would make every copied row look new.

    Args:
        tables: aligned; read a column at a time, whole.
        keys: columns known to be keys or free text.
    """
    hashes = {part: np.zeros(table.num_rows, dtype=np.uint64) for part, table in tables.items()}
    every = {part: item.copy() for part, item in hashes.items()}
    compared = 0
    for name in tables["real"].column_names:
        column = encode(
            name, {part: table[name] for part, table in tables.items()}, key=name in keys
        )
        _mix(every, column)
        if not column.identifier:
            _mix(hashes, column)
            compared += 1
    if not compared:
        hashes, compared = every, tables["real"].num_columns
    training = np.unique(hashes["real"])
    holdout = np.unique(hashes["holdout"]) if "holdout" in hashes else None
    own = None if holdout is None else float(np.isin(hashes["holdout"], training).mean())
    also = None if holdout is None else float(np.isin(hashes["synthetic"], holdout).mean())
    return ExactMatches(
        synthetic_in_training=float(np.isin(hashes["synthetic"], training).mean()),
        synthetic_in_holdout=also,
        holdout_in_training=own,
        queries=len(hashes["synthetic"]),
        searched=len(hashes["real"]),
        columns=compared,
    )


def _mix(hashes: Mapping[Part, np.ndarray], column: Column) -> None:
    """Folds a column into the hash of each row, in place."""
    for part, values in column.values.items():
        bits = values.view(np.uint64) if column.categorical else _bits(values)
        with np.errstate(over="ignore"):
            hashes[part][:] = _scramble(hashes[part] * _GOLDEN + _scramble(bits + _GOLDEN))


def _bits(values: np.ndarray) -> np.ndarray:
    # Value by value: one far value in one table must not make the same row look different.
    rounded = np.where(np.abs(values) < _EXACT, np.round(values, DECIMALS), values)
    canonical = np.where(np.isnan(rounded), np.nan, rounded + 0.0)
    bits: np.ndarray = canonical.view(np.uint64)
    return bits


def _scramble(bits: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): every input bit moves half."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    scrambled: np.ndarray = bits ^ (bits >> np.uint64(31))
    return scrambled
