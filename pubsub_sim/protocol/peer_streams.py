"""The streams between a host and its peers: opened with a hello, lost, opened again with back-off, refused.

Each connected peer has at most one outbound stream of ours, behind an outbound queue, and one inbound stream to us.
Knows nothing of topics and messages: what else has to be done for a peer that comes or goes, its owner does.

Source of every rule: go-libp2p-pubsub (May 2024), `pubsub.go`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from pubsub_sim.ids import short
from pubsub_sim.protocol.backoff import DeadPeerBackoff

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from pubsub_sim.ids import PeerId
    from pubsub_sim.ports import Inbound, Rng
    from pubsub_sim.protocol.core_ports import Ports
    from pubsub_sim.protocol.operations import Outbox

_log = logging.getLogger("pubsub_sim.core")


class PeerWatcher(Protocol):
    """Who is told of peers that come and go."""

    def peer_added(self, peer: PeerId, protocol: str) -> None:
        """The outbound stream to a peer is open."""

    def peer_dropped(self, peer: PeerId) -> None:
        """A peer whose outbound stream was open, or being opened, is none any more."""

    def stranger_left(self, peer: PeerId) -> None:
        """No stream to or from a peer is left, and it was not dropped."""


class PeerStreams:
    """The streams of one host, and which peers it has.

    Args:
        outboxes: is filled here with the peers we have, or are opening, an outbound stream to, each with its queue.
        ports: how to act on the world.
        rng: seeded chance.
        blacklist: peers that get no stream.
        make_hello: makes the frames that an outbound queue begins with.
        watcher: is told of peers that come and go.
    """

    def __init__(
        self,
        outboxes: dict[PeerId, Outbox],
        *,
        ports: Ports,
        rng: Rng,
        blacklist: Container[PeerId],
        make_hello: Callable[[], list[bytes]],
        watcher: PeerWatcher,
    ) -> None:
        self._outboxes = outboxes
        self._ports = ports
        self._make_hello = make_hello
        self._blacklist = blacklist
        self._watcher = watcher
        self._pending: dict[PeerId, None] = {}
        self._dead: dict[PeerId, Outbox] = {}
        self._inbound: dict[PeerId, Inbound] = {}
        self._backoff = DeadPeerBackoff(rng)

    # --- any time ------------------------------------------------------------------------------------------------

    def note_connected(self, peer: PeerId) -> None:
        """Any time: a connection to `peer` is up; a PeersPending turn must follow."""
        self._pending[peer] = None

    def note_dead(self, peer: PeerId, outbox: Outbox) -> None:
        """Any time: the outbound stream to `peer` ended; a PeersDead turn must follow."""
        self._dead[peer] = outbox

    @property
    def has_dead_peers(self) -> bool:
        """Any time: whether a PeersDead turn has something to do."""
        return bool(self._dead)

    def accept_inbound(self, peer: PeerId, stream: Inbound) -> None:
        """Any time: a peer opened a stream to us; an older one is reset."""
        older = self._inbound.get(peer)
        self._inbound[peer] = stream
        if older is not None:
            older.reset()

    def is_heard(self, peer: PeerId) -> bool:
        """Whether a stream to or from a peer is there; its last RPCs may be handled after its end, and change nothing."""
        return peer in self._outboxes or peer in self._inbound

    def clean_up(self, now_ns: int) -> None:
        """Any time: forget old back-offs."""
        self._backoff.clean_up(now_ns)

    # --- in turns ------------------------------------------------------------------------------------------------

    def take_pending_peers(self) -> None:
        """PeersPending: open an outbound queue, with the hello, to each connected peer we do not have yet."""
        pending, self._pending = self._pending, {}
        for peer in pending:
            if not self._ports.is_connected(peer) or peer in self._outboxes:
                continue
            if peer in self._blacklist:
                _log.info("no stream to %s: it is blacklisted", short(peer))
                continue
            self._open(peer, 0)

    def add_stream(self, peer: PeerId, protocol: str, outbox: Outbox) -> None:
        """PeerNewStream: a peer whose outbound stream is open."""
        if self._outboxes.get(peer) is not outbox:
            _log.info("a stream to %s is closed: it is not a peer any more", short(peer))
            outbox.close()
        elif peer in self._blacklist:
            _log.info("a stream to %s is closed: it is blacklisted", short(peer))
            del self._outboxes[peer]
            outbox.close()
            self._forget_stranger(peer)
        else:
            self._watcher.peer_added(peer, protocol)

    def forget_peer(self, peer: PeerId, outbox: Outbox) -> None:
        """PeerError: the outbound stream could not be opened; nothing is tried until the peer connects again."""
        if self._outboxes.get(peer) is outbox:
            del self._outboxes[peer]
            self._forget_stranger(peer)

    def take_dead_peers(self) -> None:
        """PeersDead: drop peers whose outbound stream ended; try again, with back-off, those still connected."""
        dead, self._dead = self._dead, {}
        for peer, outbox in dead.items():
            if self._outboxes.get(peer) is not outbox:
                continue
            self.drop_peer(peer)
            if self._ports.is_connected(peer):
                delay_ms = self._backoff.next_delay_ms(peer, self._ports.now_ns())
                if delay_ms is not None:
                    self._open(peer, delay_ms)

    def close_inbound(self, peer: PeerId, stream: object) -> None:
        """PeerCloseStream: forget the inbound stream of a peer, if it is still this one."""
        if self._inbound.get(peer) is stream:
            del self._inbound[peer]
            self._forget_stranger(peer)

    def drop_peer(self, peer: PeerId) -> None:
        """Close the outbound queue of a peer, if there is one."""
        outbox = self._outboxes.pop(peer, None)
        if outbox is not None:
            outbox.close()
            self._watcher.peer_dropped(peer)

    def _open(self, peer: PeerId, delay_ms: int) -> None:
        self._outboxes[peer] = self._ports.open_outbox(peer, self._make_hello(), delay_ms)

    def _forget_stranger(self, peer: PeerId) -> None:
        if not self.is_heard(peer):
            self._watcher.stranger_left(peer)
