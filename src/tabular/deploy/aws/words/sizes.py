"""Cores and memory in the sizes that AWS sells.

Sources: the user guides of Amazon ECS ("Task CPU and memory" on Fargate) and of Amazon EC2
("Instance types"), as of November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from tabular.errors import UsageError

CORE = 1024  # Fargate's units
MIB = 2**20
DEFAULT_CPU, DEFAULT_MEMORY = CORE, 4096

# Units of CPU to MiB: smallest, largest, step. The smallest CPU knows 512 MiB besides.
_FARGATE: dict[int, tuple[int, int, int]] = {
    256: (1024, 2048, 1024),
    512: (1024, 4096, 1024),
    1024: (2048, 8192, 1024),
    2048: (4096, 16_384, 1024),
    4096: (8192, 30_720, 1024),
    8192: (16_384, 61_440, 4096),
    16_384: (32_768, 122_880, 8192),
}
_SIZES = {
    "large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "12xlarge": 48,
    "16xlarge": 64, "24xlarge": 96,
}  # fmt: skip
# Families of the architecture of the image, x86-64, with GiB of memory for each vCPU. A larger
# number of GiB costs more for the same cores, so the first that fits is the cheapest.
_FAMILIES = {"c6i": 2, "m6i": 4, "r6i": 8}
_SMALL = {"t3.micro": (2, 1), "t3.small": (2, 2), "t3.medium": (2, 4), "t3.large": (2, 8)}
_GPU = {"g4dn.xlarge": (4, 16), "g4dn.2xlarge": (8, 32), "g4dn.4xlarge": (16, 64),
        "g4dn.8xlarge": (32, 128), "g4dn.16xlarge": (64, 256)}  # fmt: skip
# What an instance type may look like; whether it is sold in a region is asked of the region.
INSTANCE_TYPE = re.compile(
    r"[a-z][a-z0-9-]*[0-9][a-z0-9-]*"
    r"\.(nano|micro|small|medium|metal(-[0-9]+xl)?|([0-9]*x)?large)"
)
ARM = re.compile(r"[a-z]+[0-9]+g[a-z]*\.")


def fargate(cpu: Decimal | None, memory: int | None) -> tuple[int, int]:
    """A pair that Fargate runs.

    Args:
        cpu: cores; None for what fits the memory.
        memory: bytes; None for four GiB for each core, or as near to it as Fargate has.

    Returns:
        Units of CPU (1024 for a core) and MiB.

    Raises:
        UsageError: Fargate has no such pair; the hint names the nearest.
    """
    mib = None if memory is None else -(-memory // MIB)
    if cpu is None:
        return _for_memory(DEFAULT_MEMORY if mib is None else mib)
    units = int(cpu * CORE)
    if units not in _FARGATE or units != cpu * CORE:
        larger = [one for one in _FARGATE if one >= cpu * CORE] or list(_FARGATE)[-1:]
        raise UsageError(
            f"Fargate has no size with {cpu.normalize():f} cores",
            where="spec.compute.cpu",
            hint=f"the next is cpu: {Decimal(larger[0]) / CORE}; or use type: ec2",
        )
    if mib is None:
        smallest, largest, _ = _FARGATE[units]
        return units, min(largest, max(smallest, 4 * units))
    if mib not in _memories(units):
        near = sorted(_memories(units), key=lambda one: abs(one - mib))[:2]
        raise UsageError(
            f"Fargate does not run {mib} MiB with {cpu.normalize():f} cores",
            where="spec.compute.memory",
            hint="near it are " + " and ".join(f"{one}Mi" for one in sorted(near)),
        )
    return units, mib


def _memories(units: int) -> tuple[int, ...]:
    smallest, largest, step = _FARGATE[units]
    return (*((512,) if units == 256 else ()), *range(smallest, largest + 1, step))


def _for_memory(mib: int) -> tuple[int, int]:
    """The smallest of a core and more that has this much."""
    for units in (one for one in _FARGATE if one >= DEFAULT_CPU):
        if fitting := [one for one in _memories(units) if one >= mib]:
            return units, fitting[0]
    raise UsageError(
        f"Fargate runs up to {_FARGATE[16_384][1]} MiB, not {mib}",
        where="spec.compute.memory",
        hint="use type: ec2",
    )


def instance_type(cpu: Decimal | None, memory: int | None, *, gpu: bool = False) -> str:
    """The smallest instance type of x86-64 with so many cores and so much memory.

    Args:
        cpu: cores; two if None.
        memory: bytes; eight GiB if None and no cores are asked for either.
        gpu: with a graphics processor.

    Raises:
        UsageError: there is none so large.
    """
    cores = Decimal(2) if cpu is None else cpu
    gib = Decimal(memory if memory is not None else (8 * 2**30 if cpu is None else 0)) / 2**30
    for name, (has_cores, has_gib) in _GPU.items() if gpu else _offers():
        if has_cores >= cores and has_gib >= gib:
            return name
    raise UsageError(
        f"no instance type of ours has {cores.normalize():f} cores and {gib.normalize():f} GiB",
        where="spec.compute.cpu" if memory is None else "spec.compute.memory",
        hint="name one: compute.instance_type",
    )


def _offers() -> Iterator[tuple[str, tuple[int, int]]]:
    """Instance types from small to large: by cores, then by memory."""
    yield from _SMALL.items()
    for size, cores in _SIZES.items():
        for family, each in _FAMILIES.items():
            yield f"{family}.{size}", (cores, cores * each)
