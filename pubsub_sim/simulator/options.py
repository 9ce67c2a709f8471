"""The options of a simulation, checked on creation."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from pubsub_sim.checks import check_choice, check_number, check_whole
from pubsub_sim.drivers.versions import check_version
from pubsub_sim.errors import OptionConflict, OptionError
from pubsub_sim.net.link import LinkModel
from pubsub_sim.world.routers import ROUTERS
from pubsub_sim.world.world import SIGNING, TRANSPORTS

CLOCKS = ("virtual", "wall")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?", re.ASCII)


def seconds_of(option: str, value: object) -> float:
    """Parse a duration: a number of seconds, or a text such as "90s", "10m", "1h" or "250ms".

    Raises:
        OptionError: it is invalid or not above 0.
    """
    seconds = 0.0
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        seconds = 0.0 if match is None else float(match[1]) * _UNITS[match[2] or "s"]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    if not 0 < seconds < float("inf"):
        raise OptionError(option, value, "a duration above 0, such as 10m, 90s or a number of seconds")
    return seconds


@dataclass(frozen=True, kw_only=True)
class SimOptions:
    """One simulation.

    A frequency is the mean number of seconds between two events of its kind, drawn uniformly between 0.75 and 1.25
    times the mean; 0 disables them. The defaults are those of go-libp2p-pubsub-benchmark, unless stated otherwise.

    Attributes:
        duration: duration on the simulation's clock, such as 10m.
        peers: maximal number of peers.
        topics: maximal number of topics.
        initial_peers: initial peers, and the minimum below which no random leaves occur; empty for two thirds of `peers`.
        initial_topics: initial topics; empty for half of `topics`.
        initial_topic_peers: initial peers of a new topic.
        topics_per_peer: maximal number of topics of a peer.
        peers_per_topic: maximal number of peers of a topic, at which it is peaking.
        friends_per_peer: maximal number of friends of a peer.
        messages_per_send: messages sent by a peer at a time.
        kept_messages: received messages kept by a peer at each garbage collection.
        peak_peers: joins of a peak; peaks need twice as many peers.
        delivery_limit: time limit of a delivery, after which it is missed.
        active_window: time a topic is active after a message.
        every_friend: frequency of new friendships.
        every_join: frequency of joins of a random topic.
        every_friends_join: frequency of joins of a friend's topic.
        every_send: frequency of messages.
        every_peer: frequency of new peers.
        every_topic: frequency of new topics.
        every_peak: frequency of peaks.
        every_leave: frequency of peers that leave.
        every_topic_end: frequency of topics that end.
        every_gc: frequency of garbage collection.
        version: version of the nodes' control flow, such as "baseline" or "states".
        router: "floodsub", "randomsub" or "gossipsub".
        clock: "virtual": computation takes no time, and runs are reproducible by seed; or "wall".
        transport: "memory", or "tcp": loopback sockets, on the wall clock only.
        latency_ms: range of the one-way latencies of links, such as 10,50; empty for this default, or for that of
            sockets.
        jitter: maximal addition to the latency of a frame, as a fraction of it.
        loss: probability that a frame is lost.
        sign: "strict" signs and verifies every message, "none" does not.
        seed: seed of all choices and keys.

    Raises:
        OptionError: an invalid value.
        OptionConflict: incompatible values.
    """

    duration: str | float = "10m"
    peers: int = 30
    topics: int = 20
    initial_peers: int | None = None
    initial_topics: int | None = None
    initial_topic_peers: int = 5
    topics_per_peer: int = 15
    peers_per_topic: int = 10
    friends_per_peer: int = 10
    messages_per_send: int = 2
    kept_messages: int = 100
    peak_peers: int = 5
    delivery_limit: str | float = "5s"
    active_window: str | float = "1m"
    every_friend: float = 2.0
    every_join: float = 2.0
    every_friends_join: float = 4.0
    every_send: float = 3.0
    every_peer: float = 3.0
    every_topic: float = 3.0
    every_peak: float = 10.0
    every_leave: float = 50.0
    every_topic_end: float = 80.0
    every_gc: float = 100.0
    version: str = "states"
    router: str = "gossipsub"
    clock: str = "virtual"
    transport: str = "memory"
    latency_ms: str | None = None
    jitter: float = 0.0
    loss: float = 0.0
    sign: str = "strict"
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("duration", "delivery_limit", "active_window"):
            seconds_of(name, getattr(self, name))
        check_whole("peers", self.peers, at_least=2)
        for name in ("topics", "topics_per_peer", "messages_per_send", "kept_messages", "initial_topic_peers"):
            check_whole(name, getattr(self, name), at_least=1)
        check_whole("peers_per_topic", self.peers_per_topic, at_least=2)
        check_whole("friends_per_peer", self.friends_per_peer, at_least=0)
        check_whole("peak_peers", self.peak_peers, at_least=0)
        for name in [entry.name for entry in fields(self)]:
            if name.startswith("every_"):
                check_number(name, getattr(self, name), at_least=0)
        self._check_initial("initial_peers", "peers", at_least=1)
        self._check_initial("initial_topics", "topics", at_least=0)
        if self.initial_topic_peers > self.peers_per_topic:
            raise OptionConflict(
                "initial_topic_peers",
                self.initial_topic_peers,
                "peers_per_topic",
                self.peers_per_topic,
                "a topic cannot begin with more than its most",
            )
        check_version(self.version)
        check_choice("router", self.router, ROUTERS)
        check_choice("clock", self.clock, CLOCKS)
        check_choice("transport", self.transport, TRANSPORTS)
        check_choice("sign", self.sign, SIGNING)
        check_whole("seed", self.seed, at_least=0)
        self._check_transport()
        _ = self.link

    def _check_initial(self, name: str, limit: str, *, at_least: int) -> None:
        value, most = getattr(self, name), getattr(self, limit)
        if value is not None:
            check_whole(name, value, at_least=at_least)
            if value > most:
                raise OptionConflict(name, value, limit, most, "there cannot be more at the start than at any time")

    def _check_transport(self) -> None:
        if self.transport != "tcp":
            return
        if self.clock == "virtual":
            raise OptionConflict("transport", "tcp", "clock", "virtual", "sockets live on the wall clock")
        for name, unset in (("latency_ms", None), ("jitter", 0.0), ("loss", 0.0)):
            if getattr(self, name) != unset:
                raise OptionConflict(name, getattr(self, name), "transport", "tcp", "real sockets are not modelled")

    @property
    def duration_s(self) -> float:
        """The duration in seconds."""
        return seconds_of("duration", self.duration)

    @property
    def delivery_limit_s(self) -> float:
        """The delivery limit in seconds."""
        return seconds_of("delivery_limit", self.delivery_limit)

    @property
    def active_window_s(self) -> float:
        """The time a topic is active after a message, in seconds."""
        return seconds_of("active_window", self.active_window)

    @property
    def first_peers(self) -> int:
        """Number of initial peers."""
        return max(1, self.peers * 2 // 3) if self.initial_peers is None else self.initial_peers

    @property
    def first_topics(self) -> int:
        """Number of initial topics."""
        return max(1, self.topics // 2) if self.initial_topics is None else self.initial_topics

    @property
    def link(self) -> LinkModel:
        """The model of links over memory.

        Raises:
            OptionError: latencies that are not two numbers, the lower one first.
        """
        text = "10,50" if self.latency_ms is None else self.latency_ms
        try:
            low, high = (float(part) / 1000 for part in str(text).split(","))
        except ValueError:
            raise OptionError("latency_ms", text, "two numbers of milliseconds, such as 10,50") from None
        return LinkModel(latency_s=(low, high), jitter=self.jitter, loss=self.loss)
