"""IP colocation counts, P6 of the peer score: many identities behind one address look like an attack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from pubsub_sim.errors import OptionError

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId

Addresses = Callable[["PeerId"], Sequence[str]]
"""The remote IP addresses of the connections to a peer, oldest first, without those of limited (relayed) connections."""

_IPV6_BLOCK_BITS = 64


class Colocation:
    """The peers of each IP address. A peer stays counted until it is forgotten, connected or not.

    Args:
        addresses: returns the addresses of a peer.
        threshold: number of peers on one address without surplus.
        whitelist: networks whose addresses are not counted.
    """

    def __init__(self, addresses: Addresses, threshold: int, whitelist: Iterable[str] = ()) -> None:
        self._addresses = addresses
        self._threshold = threshold
        self._whitelist = [ip_network(network, strict=False) for network in whitelist]
        self._places: dict[PeerId, tuple[str, ...]] = {}
        self._counts: dict[str, int] = {}

    def track(self, peer: PeerId) -> None:
        """Update the addresses of a peer.

        Raises:
            OptionError: `addresses` returned something that is not an IP address.
        """
        places = self._places_of(peer)
        if places != self._places.get(peer):
            self.forget(peer)
            self._places[peer] = places
            for place in places:
                self._counts[place] = self._counts.get(place, 0) + 1

    def forget(self, peer: PeerId) -> None:
        """Remove a peer."""
        for place in self._places.pop(peer, ()):
            self._counts[place] -= 1
            if not self._counts[place]:
                del self._counts[place]

    def factor(self, peer: PeerId) -> int:
        """Return the squared surplus of peers, summed over the addresses of a peer."""
        total = 0
        for place in self._places.get(peer, ()):
            surplus = self._counts[place] - self._threshold
            if surplus > 0:
                total += surplus * surplus
        return total

    def _places_of(self, peer: PeerId) -> tuple[str, ...]:
        """Return the counted addresses: without loopback and the whitelist, and an IPv6 address also as its /64."""
        places: dict[str, None] = {}
        for text in self._addresses(peer):
            try:
                address = ip_address(text)
            except ValueError:
                raise OptionError("addresses", text, "an IPv4 or IPv6 address") from None
            if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
                address = address.ipv4_mapped
            if address.is_loopback:
                continue
            candidates = [address]
            if isinstance(address, IPv6Address):
                candidates.append(ip_network((address, _IPV6_BLOCK_BITS), strict=False).network_address)
            for candidate in candidates:
                if not any(candidate in network for network in self._whitelist):
                    places[str(candidate)] = None
        return tuple(places)
