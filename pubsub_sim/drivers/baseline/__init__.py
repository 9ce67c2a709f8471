"""The classic version: an event loop, as go-libp2p-pubsub has it, written the way asyncio wants it."""

from __future__ import annotations

from typing import Any

from pubsub_sim.drivers.baseline.following import follow
from pubsub_sim.drivers.baseline.pubsub_loop import PubsubLoop

__all__ = ["describe", "follow", "make_driver"]


def make_driver(seat: Any) -> PubsubLoop:
    """The factory named in `drivers.versions`."""
    return PubsubLoop(seat)


def describe() -> dict[str, Any]:
    """What this version is made of, as data for reports."""
    return {
        "summary": "the event loop of go-libp2p-pubsub: one owner task per host takes inputs from one inbox and "
        "answers through futures; discovery and bootstrap are loops of their own",
        "machines": [],
    }
