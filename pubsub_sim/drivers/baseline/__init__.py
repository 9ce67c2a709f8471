"""The classic version: an event loop, as go-libp2p-pubsub has it, written the way asyncio wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pubsub_sim.drivers.baseline.pubsub_loop import PubsubLoop
from pubsub_sim.drivers.baseline.tracing import trace

if TYPE_CHECKING:
    from pubsub_sim.node.driver import HostContext

__all__ = ["describe", "make_driver", "trace"]


def make_driver(context: HostContext) -> PubsubLoop:
    """The factory named in `drivers.versions`."""
    return PubsubLoop(context)


def describe() -> dict[str, Any]:
    """What this version is made of, as data for reports."""
    return {
        "summary": "the event loop of go-libp2p-pubsub: one owner task per host takes inputs from one inbox and "
        "answers through futures; discovery and bootstrap are loops of their own",
        "machines": [],
    }
