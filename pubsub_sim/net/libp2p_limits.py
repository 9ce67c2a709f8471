"""The limits of a libp2p host: what peers may cost it and how long they may take, and the errors of those that take longer."""

from __future__ import annotations

from dataclasses import dataclass

from pubsub_sim.errors import OptionError, RemotePeerError
from pubsub_sim.libp2p.errors import Libp2pError


@dataclass(frozen=True, kw_only=True)
class Libp2pLimits:
    """What peers may cost a host, and how long they may take.

    Attributes:
        upgrade_s: an inbound connection until its peer and muxer are known (go-libp2p: 15 s).
        dial_s: a dial until then.
        identify_s: identify, from the opening of its stream (go-libp2p: 5 s).
        negotiate_s: the choice of a stream's protocol (go-libp2p: 10 s).
        tick_s: how often silent connections are looked for: they are pinged after 3 ticks, given up after 4.
        upgrading: inbound connections whose peer is not known yet.
        inbound: inbound connections in all.
        per_peer: connections with one peer (go-libp2p: 8).
        streams: streams that a peer has open in one connection.
        book_peers: peers whose addresses are remembered.
        book_addresses: addresses remembered of each.
    """

    upgrade_s: float = 15.0
    dial_s: float = 5.0
    identify_s: float = 5.0
    negotiate_s: float = 10.0
    tick_s: float = 10.0
    upgrading: int = 256
    inbound: int = 1024
    per_peer: int = 8
    streams: int = 64
    book_peers: int = 1024
    book_addresses: int = 8

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
                raise OptionError(name, value, "a number over 0")


class Silent(Libp2pError, RemotePeerError):
    """A peer answers no pings."""

    def __init__(self) -> None:
        super().__init__("the peer has sent nothing for long, not even the answer to a ping")


class TooSlow(Libp2pError, RemotePeerError):
    """A handshake took too long.

    Attributes:
        limit_s: how long it may take.
    """

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"the connection is not upgraded within {limit_s:g} s")
        self.limit_s = limit_s
