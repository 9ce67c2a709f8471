"""The address book of a host: where peers may be dialled, bounded in peers and in addresses of each."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pubsub_sim.ids import PeerId
    from pubsub_sim.libp2p.multiaddr import Multiaddr


class AddressBook:
    """Addresses by peer; the peer that was not heard of for longest is forgotten first.

    Args:
        peers: how many peers it remembers.
        addresses: how many addresses of each.
    """

    def __init__(self, *, peers: int, addresses: int) -> None:
        self._most_peers = peers
        self._most_addresses = addresses
        self._known: OrderedDict[PeerId, list[Multiaddr]] = OrderedDict()

    def add(self, peer: PeerId, addresses: Iterable[Multiaddr]) -> None:
        """Remember addresses of a peer, the newest first."""
        found = [address.of_peer(None) for address in addresses]
        if not found:
            return
        found += self._known.get(peer, ())
        self._known[peer] = list(dict.fromkeys(found))[: self._most_addresses]
        self._known.move_to_end(peer)
        if len(self._known) > self._most_peers:
            self._known.popitem(last=False)

    def of(self, peer: PeerId) -> Sequence[Multiaddr]:
        """Where a peer may be, best first; nothing for an unknown one."""
        return tuple(self._known.get(peer, ()))

    def __len__(self) -> int:
        return len(self._known)
