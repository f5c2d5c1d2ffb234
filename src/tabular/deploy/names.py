"""Names of providers: those of the spec, those that are installed, and the one that is taken.

Apart from the registry, which loads them, since a help text and the check of a file need no more
than the names.
"""

from __future__ import annotations

ENTRY_POINT_GROUP = "inferloop_tabular.providers"

# What stands for the provider where neither the flags nor the file name one.
DEFAULT_PROVIDER = "standalone"

# The provider that a spec's cluster is of.
KUBERNETES = "onprem"

# What a spec may name whether or not this machine has a provider for it.
VENDORS = ("aws", "azure", "gcp", "onprem", "standalone")

# Those of them that this release brings; the others are a plug-in's.
OURS = ("aws", "onprem", "standalone")


def provider_names() -> tuple[str, ...]:
    """Names of all installed providers, sorted."""
    # Takes longer to import than all the rest of a command's start.
    from importlib.metadata import entry_points

    return tuple(sorted({point.name for point in entry_points(group=ENTRY_POINT_GROUP)}))


def known_names() -> tuple[str, ...]:
    """Names that a spec may have: the vendors' and those of installed plug-ins, sorted."""
    return tuple(sorted({*VENDORS, *provider_names()}))
