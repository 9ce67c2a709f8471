"""All workloads."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from asyncmachine.benchmark import awaiting, features, peers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncmachine.benchmark.workload import Workload

WORKLOADS: Mapping[str, Workload] = MappingProxyType(
    {entry.name: entry for entry in (*features.WORKLOADS, *awaiting.WORKLOADS, *peers.WORKLOADS)}
)
"""Every workload by name, in the order in which tables show them."""

PEERS = ("transitions", "python-statemachine", "xstate-statemachine")
"""Distributions measured beside ours, as `pip` knows them: the extra `peers`."""
