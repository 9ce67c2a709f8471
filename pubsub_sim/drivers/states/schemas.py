"""The states of the three machines: 20 for the host, 10 for discovery, 5 for one bootstrap.

Order and relations are those of the asyncmachine branch of go-libp2p-pubsub; `Exception` comes first by default.
"""

from __future__ import annotations

from asyncmachine import Schema, State


class PubsubStates(Schema):
    """The host: one state per input of the event loop. No relations; all but two are Multi pulses."""

    PeersPending = State()
    PeersDead = State()
    PeerNewStream = State(multi=True)
    PeerCloseStream = State(multi=True)
    PeerError = State(multi=True)
    GetTopics = State(multi=True)
    AddTopic = State(multi=True)
    RemoveTopic = State(multi=True)
    RemoveSubscription = State(multi=True)
    AddSubscription = State(multi=True)
    AddRelay = State(multi=True)
    RemoveRelay = State(multi=True)
    GetPeers = State(multi=True)
    IncomingRPC = State(multi=True)  # never added: RPCs run between transitions ("RPC as a channel")
    AddValidator = State(multi=True)
    RemoveValidator = State(multi=True)
    PublishMessage = State(multi=True)
    AnnouncingTopic = State(multi=True)
    TopicAnnounced = State(multi=True)
    BlacklistPeer = State(multi=True)


class DiscoveryStates(Schema):
    """Discovery: the poll timer, discovery requests, bootstraps and advertisements."""

    Start = State(add="PoolTimer")
    PoolTimer = State()
    RefreshingDiscoveries = State(require="Start")
    DiscoveriesRefreshed = State(require="Start")
    DiscoveringTopic = State(multi=True)
    TopicDiscovered = State(multi=True)
    BootstrappingTopic = State(multi=True)
    TopicBootstrapped = State(multi=True)
    AdvertisingTopic = State(multi=True)
    StopAdvertisingTopic = State(multi=True)


_STEPS = ("BootstrapChecking", "DiscoveringTopic", "BootstrapDelay", "TopicBootstrapped")


class BootstrapStates(Schema):
    """One bootstrap: check, look for peers, pause, repeat; exactly one of the four steps is active."""

    Start = State(add="BootstrapChecking")
    BootstrapChecking = State(remove=_STEPS)
    DiscoveringTopic = State(remove=_STEPS)
    BootstrapDelay = State(remove=_STEPS)
    TopicBootstrapped = State(remove=_STEPS)
