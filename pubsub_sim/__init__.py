"""A libp2p-style pubsub, twice: as a classic event loop and as state machines.

    async with World(hosts=3, version="states") as world:
        ...

See `World` for how a world is built and `PubSub` for what a node offers.
"""

from pubsub_sim.errors import MessageRejected, OptionError, PubsubSimError
from pubsub_sim.net.faults import Crash, Delay, Drop, FaultPlan, Partition, SlowReader
from pubsub_sim.net.link import LinkModel
from pubsub_sim.node.pubsub import PubSub
from pubsub_sim.node.topic import Subscription, Topic, min_topic_size
from pubsub_sim.protocol.gater import PeerGaterParams
from pubsub_sim.protocol.gossip_params import GossipsubParams
from pubsub_sim.protocol.options import HostOptions
from pubsub_sim.protocol.params import HostParams
from pubsub_sim.protocol.randomsub import RandomsubParams
from pubsub_sim.protocol.score_params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams
from pubsub_sim.scenarios.running import run
from pubsub_sim.scenarios.world import World

__all__ = [
    "Crash",
    "Delay",
    "Drop",
    "FaultPlan",
    "GossipsubParams",
    "HostOptions",
    "HostParams",
    "LinkModel",
    "MessageRejected",
    "OptionError",
    "Partition",
    "PeerGaterParams",
    "PeerScoreParams",
    "PeerScoreThresholds",
    "PubSub",
    "PubsubSimError",
    "RandomsubParams",
    "SlowReader",
    "Subscription",
    "Topic",
    "TopicScoreParams",
    "World",
    "min_topic_size",
    "run",
]
