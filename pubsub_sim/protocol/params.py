"""The numeric parameters of a pubsub host. Defaults are those of go-libp2p-pubsub (May 2024), unless stated otherwise."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite

from pubsub_sim.errors import OptionError
from pubsub_sim.wire.codec import MAX_MESSAGE_BYTES

FLOODSUB_ID = "/floodsub/1.0.0"
RANDOMSUB_ID = "/randomsub/1.0.0"
GOSSIPSUB_ID_V10 = "/meshsub/1.0.0"
GOSSIPSUB_ID_V11 = "/meshsub/1.1.0"
GOSSIPSUB_ID_V12 = "/meshsub/1.2.0"
DISCOVERY_NAMESPACE = "floodsub:"
"""Prefix of the namespace a topic is advertised under, for every router (go-libp2p-pubsub `discovery.go`)."""

INCOMING_RPCS = 32
"""Maximal number of queued RPCs of all peers (`incoming` channel), and of RPCs per turn."""
PENDING_MESSAGES = 32
"""Maximal number of validated messages queued for publishing (`sendMsg` channel)."""
DISCOVERY_REQUESTS = 32
"""Maximal number of queued discovery requests."""


@dataclass(frozen=True, kw_only=True)
class HostParams:
    """Options of one host.

    Attributes:
        max_message_bytes: largest RPC accepted or sent (`DefaultMaxMessageSize`, 1 MiB).
        announced_frames: limit on the stored topics of a peer, as a number of RPCs of maximal size that hold them; the
            reference has no such bound (8).
        outbound_queue_size: queued RPCs per peer (`peerOutboundQueueSize`, 32).
        validate_queue_size: messages queued for validation (`defaultValidateQueueSize`, 32).
        validate_throttle: concurrent asynchronous validations (`defaultValidateThrottle`, 8192).
        validate_workers: concurrent inline validations (the reference: the number of CPUs).
        subscription_buffer: messages a subscription holds (32).
        seen_ttl_s: minimal time a message id is remembered (`TimeCacheDuration`, 120 s).
        seen_sweep_s: interval of removing expired ids (1 min).
        readiness_poll_s: pause between readiness checks without discovery (200 ms).
        discovery_initial_delay_s: delay before the first discovery (`DiscoveryPollInitialDelay`, 0 s).
        discovery_poll_s: pause between discoveries (`DiscoveryPollInterval`, 1 s).
        find_peers_timeout_s: timeout of a lookup of peers (10 s).
        bootstrap_delay_s: pause between readiness checks with discovery (100 ms).
        advertise_retry_s: pause after a failed advertisement (2 min).
        dial_timeout_s: timeout of dialling a discovered peer (2 min).
        connectors: concurrent dials for the router (`GossipSubConnectors`, 8).
        max_pending_connections: queued dials for the router (`GossipSubMaxPendingConnections`, 128).
        connection_timeout_s: timeout of a dial for the router (`GossipSubConnectionTimeout`, 30 s).
        announce_retry_ms: upper bound of the random pause before an announcement is retried (1000 ms).
    """

    max_message_bytes: int = MAX_MESSAGE_BYTES
    announced_frames: int = 8
    outbound_queue_size: int = 32
    validate_queue_size: int = 32
    validate_throttle: int = 8192
    validate_workers: int = 4
    subscription_buffer: int = 32
    seen_ttl_s: float = 120.0
    seen_sweep_s: float = 60.0
    readiness_poll_s: float = 0.2
    discovery_initial_delay_s: float = 0.0
    discovery_poll_s: float = 1.0
    find_peers_timeout_s: float = 10.0
    bootstrap_delay_s: float = 0.1
    advertise_retry_s: float = 120.0
    dial_timeout_s: float = 120.0
    connectors: int = 8
    max_pending_connections: int = 128
    connection_timeout_s: float = 30.0
    announce_retry_ms: int = 1000

    def __post_init__(self) -> None:
        may_be_zero = {"discovery_initial_delay_s", "discovery_poll_s"}
        for field in fields(HostParams):  # parameters of a router are checked by the router
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
                raise OptionError(field.name, value, "a finite number")
            if field.type == "int" and not isinstance(value, int):
                raise OptionError(field.name, value, "a whole number")
            if value < 0 or (value == 0 and field.name not in may_be_zero):
                raise OptionError(field.name, value, "a number greater than 0")
