"""A libp2p-style pubsub in two versions: as a classic event loop and as state machines.

    async with World(hosts=3, version="states") as world:
        ...

See `World` for the options of a world and `PubSub` for the methods of a node. Each name is imported on first use, so that
`python -m pubsub_sim` can report a missing package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pubsub_sim.errors import (
        CallerError,
        DataError,
        MessageRejected,
        NetworkError,
        OptionConflict,
        OptionError,
        PubsubSimError,
        RemotePeerError,
        RunError,
    )
    from pubsub_sim.net.faults import Crash, Delay, Drop, FaultPlan, Partition, SlowReader
    from pubsub_sim.net.link import LinkModel
    from pubsub_sim.node.pubsub import PubSub
    from pubsub_sim.node.topic import Subscription, Topic, min_topic_size
    from pubsub_sim.protocol.blacklist import TimeCachedBlacklist
    from pubsub_sim.protocol.gater import PeerGaterParams
    from pubsub_sim.protocol.gossip_params import GossipsubParams
    from pubsub_sim.protocol.options import HostOptions
    from pubsub_sim.protocol.params import HostParams
    from pubsub_sim.protocol.randomsub import RandomsubParams
    from pubsub_sim.protocol.score_params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams
    from pubsub_sim.protocol.subscription_filter import AllowlistFilter, LimitFilter, RegexpFilter
    from pubsub_sim.world.running import run
    from pubsub_sim.world.standalone import Node
    from pubsub_sim.world.world import World

__version__ = "0.1.0"

__all__ = [
    "AllowlistFilter",
    "CallerError",
    "Crash",
    "DataError",
    "Delay",
    "Drop",
    "FaultPlan",
    "GossipsubParams",
    "HostOptions",
    "HostParams",
    "LimitFilter",
    "LinkModel",
    "MessageRejected",
    "NetworkError",
    "Node",
    "OptionConflict",
    "OptionError",
    "Partition",
    "PeerGaterParams",
    "PeerScoreParams",
    "PeerScoreThresholds",
    "PubSub",
    "PubsubSimError",
    "RandomsubParams",
    "RegexpFilter",
    "RemotePeerError",
    "RunError",
    "SlowReader",
    "Subscription",
    "TimeCachedBlacklist",
    "Topic",
    "TopicScoreParams",
    "World",
    "min_topic_size",
    "run",
]

_HOMES = {
    "CallerError": "pubsub_sim.errors",
    "DataError": "pubsub_sim.errors",
    "MessageRejected": "pubsub_sim.errors",
    "NetworkError": "pubsub_sim.errors",
    "OptionConflict": "pubsub_sim.errors",
    "OptionError": "pubsub_sim.errors",
    "PubsubSimError": "pubsub_sim.errors",
    "RemotePeerError": "pubsub_sim.errors",
    "RunError": "pubsub_sim.errors",
    "Crash": "pubsub_sim.net.faults",
    "Delay": "pubsub_sim.net.faults",
    "Drop": "pubsub_sim.net.faults",
    "FaultPlan": "pubsub_sim.net.faults",
    "Partition": "pubsub_sim.net.faults",
    "SlowReader": "pubsub_sim.net.faults",
    "LinkModel": "pubsub_sim.net.link",
    "PubSub": "pubsub_sim.node.pubsub",
    "Subscription": "pubsub_sim.node.topic",
    "Topic": "pubsub_sim.node.topic",
    "min_topic_size": "pubsub_sim.node.topic",
    "TimeCachedBlacklist": "pubsub_sim.protocol.blacklist",
    "PeerGaterParams": "pubsub_sim.protocol.gater",
    "GossipsubParams": "pubsub_sim.protocol.gossip_params",
    "HostOptions": "pubsub_sim.protocol.options",
    "HostParams": "pubsub_sim.protocol.params",
    "RandomsubParams": "pubsub_sim.protocol.randomsub",
    "PeerScoreParams": "pubsub_sim.protocol.score_params",
    "PeerScoreThresholds": "pubsub_sim.protocol.score_params",
    "TopicScoreParams": "pubsub_sim.protocol.score_params",
    "AllowlistFilter": "pubsub_sim.protocol.subscription_filter",
    "LimitFilter": "pubsub_sim.protocol.subscription_filter",
    "RegexpFilter": "pubsub_sim.protocol.subscription_filter",
    "run": "pubsub_sim.world.running",
    "Node": "pubsub_sim.world.standalone",
    "World": "pubsub_sim.world.world",
}

if not TYPE_CHECKING:  # otherwise a type checker would accept any name

    def __getattr__(name):
        """Import a public name."""
        import importlib

        from pubsub_sim.packages import explain_missing

        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        with explain_missing(f"pubsub_sim.{name}"):
            value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
        return value

    def __dir__():
        """List the imported names and the public ones."""
        return sorted({*globals(), *__all__})
