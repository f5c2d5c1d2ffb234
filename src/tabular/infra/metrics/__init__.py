"""What the service measures: the names, the numbers, and where several processes keep them.

catalogue   every metric by name; dashboards and alerts are compiled from it too
blocks      room in the folder that several processes share
"""

from __future__ import annotations

from tabular.infra.metrics.catalogue import CATALOGUE, Described, Kind, described

__all__ = ["CATALOGUE", "Described", "Kind", "described"]
