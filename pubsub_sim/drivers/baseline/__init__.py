"""The classic version: the event loop of go-libp2p-pubsub in idiomatic asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pubsub_sim.drivers.baseline.pubsub_loop import PubsubLoop
from pubsub_sim.drivers.baseline.tracing import trace

if TYPE_CHECKING:
    from pubsub_sim.node.driver import HostContext

__all__ = ["describe", "make_driver", "trace"]


def make_driver(context: HostContext) -> PubsubLoop:
    """Create the driver of a host; see `drivers.versions`."""
    return PubsubLoop(context)


def describe() -> dict[str, Any]:
    """Describe this version, as data for reports."""
    return {
        "summary": "the event loop of go-libp2p-pubsub: one owner task per host takes inputs from one inbox and "
        "answers through futures; discovery and bootstrap are separate loops",
        "machines": [],
    }
