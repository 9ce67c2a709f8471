"""One libp2p connection: the only place where a socket meets the protocols of `pubsub_sim.libp2p`.

Received bytes go through the upgrade at first, then through channel and muxer to the users of the streams, in one call
and without a task. The first frame written in a round of the loop is sealed and sent at once (see OutboundFrames). Whatever
else is written in the round leaves together: the muxer's output is sealed and written once, and all connections of a host
are flushed in one call of the loop (see Flusher). Nothing is taken from the muxer while the socket's buffer is over its
high-water mark.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Protocol, cast

from pubsub_sim.libp2p.errors import Libp2pError
from pubsub_sim.libp2p.yamux import Session
from pubsub_sim.libp2p.yamux_streams import (
    NEGOTIATION_FAILED,
    Finished,
    GoneAway,
    Opened,
    Received,
    WasReset,
    YamuxLimits,
    YamuxStream,
)
from pubsub_sim.net.libp2p_limits import Silent, TooSlow

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.libp2p.security import Channel
    from pubsub_sim.libp2p.upgrade import Upgrade
    from pubsub_sim.libp2p.yamux_streams import Event
    from pubsub_sim.net.libp2p_flusher import Flusher
    from pubsub_sim.net.libp2p_limits import Libp2pLimits

HIGH_WATER_BYTES = 64 * 1024
"""Bytes that wait in front of the socket before a stream takes no more (asyncio's default, set for uvloop too)."""

CLOSE_LIMIT_S = 5.0
"""How long a closed connection may take to send what was written; then it is cut."""

SILENT_TICKS, LOST_TICKS = 3, 4
"""Ticks without received data after which a peer is pinged, and after which it is given up."""

KEEP_ALIVE = 0x6B65
"""The number of our pings."""

_NEVER = sys.maxsize  # a round in which nothing more is sent at once


class StreamUser(Protocol):
    """Whoever uses a stream of a connection. What it raises as a Libp2pError resets the stream."""

    def received(self, data: bytes) -> None:
        """Data came; whoever takes it credits it to the session."""

    def finished(self) -> None:
        """The peer sends no more data."""

    def was_reset(self) -> None:
        """The peer gave the stream up, or the connection is gone."""


class ConnectionOwner(Protocol):
    """The host as its connections see it."""

    def socket_opened(self, connection: Connection) -> bool:
        """A socket is connected; False if there are too many."""

    def upgraded(self, connection: Connection) -> bool:
        """The peer is known; False if it has too many connections."""

    def stream_opened(self, connection: Connection, stream: YamuxStream) -> None:
        """The peer opened a stream: its `user` is to be set."""

    def lost(self, connection: Connection, error: Exception | None) -> None:
        """The connection is over, by an error or not; told once, also if it was never upgraded."""

    def socket_closed(self, connection: Connection) -> None:
        """The socket of a connection is closed."""


class Connection(asyncio.Protocol):
    """One connection as one of its two ends sees it.

    Args:
        owner: the host.
        upgrade: what comes first.
        loop: the event loop.
        flusher: of the host.
        limits: of the host.
        is_outbound: whether we dialled.

    Attributes:
        peer: who the other end is, once it is known.
        transport: the socket.
        local, remote: the addresses of both ends of the socket.
        session: the muxer, once the connection is upgraded.
        channel: seals the muxer's output and opens what is received, once the connection is upgraded.
        flusher: as given.
        sent_round: the flusher's round in which a frame was last sent at once; a later one as long as none may be.
        wanting: streams that wait for room, each of which offers it to its writer.
        is_full: whether the socket's buffer is over its high-water mark.
        is_flushing: whether a flush is scheduled.
        is_over: whether the connection is cut or closed.
        security: the security protocol agreed on.
        is_early: whether the muxer was agreed on in the security handshake.
    """

    __slots__ = (
        "_has_given_up",
        "_has_socket",
        "_heard",
        "_owner",
        "_receiving",
        "_silent_ticks",
        "_timer",
        "_upgrade",
        "channel",
        "flusher",
        "is_early",
        "is_flushing",
        "is_full",
        "is_outbound",
        "is_over",
        "is_upgraded",
        "limits",
        "local",
        "loop",
        "peer",
        "remote",
        "security",
        "sent_round",
        "session",
        "transport",
        "wanting",
    )

    peer: PeerId
    transport: asyncio.Transport
    session: Session
    channel: Channel

    def __init__(
        self,
        owner: ConnectionOwner,
        upgrade: Upgrade,
        loop: asyncio.AbstractEventLoop,
        flusher: Flusher,
        limits: Libp2pLimits,
        *,
        is_outbound: bool,
    ) -> None:
        self.is_outbound = is_outbound
        self.loop = loop
        self.limits = limits
        self.local: tuple[str, int] = ("", 0)
        self.remote: tuple[str, int] = ("", 0)
        self.wanting: list[RoomTaker] = []
        self.is_upgraded = False
        self.is_full = False
        self.is_flushing = False
        self.is_over = False
        self.sent_round = _NEVER
        self.security = ""
        self.is_early = False
        self._owner = owner
        self._upgrade: Upgrade | None = upgrade
        self._receiving: Channel | None = None  # the channel, while the connection is upgraded and not over
        self._timer: asyncio.TimerHandle | None = None
        self.flusher = flusher
        self._heard = (-1, 0)  # what the channel had received at the last tick
        self._silent_ticks = 0
        self._has_socket = False
        self._has_given_up = False

    # --- the socket ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the upgrade, unless there are too many connections."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its class
        self.transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        self._has_socket = True
        self.local = tuple(transport.get_extra_info("sockname")[:2])
        self.remote = tuple((transport.get_extra_info("peername") or ("", 0))[:2])
        if not self._owner.socket_opened(self) or self._has_given_up:
            self.cut()
            return
        assert self._upgrade is not None
        limit_s = self.limits.dial_s if self.is_outbound else self.limits.upgrade_s
        self._timer = self.loop.call_later(limit_s, self._too_slow, limit_s)
        self.transport.write(self._upgrade.begin())

    def data_received(self, data: bytes) -> None:
        """Pass on what came; whatever is not as the protocols say ends the connection."""
        channel = self._receiving
        if channel is None:
            self._receive_early(data)
            return
        try:
            data = channel.open(data)
        except Libp2pError as error:
            self.cut(error)
            return
        session = self.session
        taker = session.receive_whole(data)
        if taker is None:
            self._receive(data)
            return
        taker.take_whole(data)
        if session.has_output:
            self.wake_if_needed()

    def _receive(self, data: bytes) -> None:
        """Tell the users of streams what came, as long as the connection is there and they have not reset their stream."""
        try:
            events = self.session.receive(data)
        except Libp2pError as error:
            self.cut(error)
            return
        self._dispatch(events)
        self.wake_if_needed()

    def _dispatch(self, events: list[Event]) -> None:
        for event in events:
            if self.is_over:
                return
            if type(event) is Received:
                if event.stream.is_reset:
                    continue
                try:
                    event.stream.user.received(event.data)  # type: ignore[attr-defined]
                except Libp2pError:
                    self.refuse(event.stream)
            else:
                self._handle(event)

    def refuse(self, stream: YamuxStream) -> None:
        """Reset a stream with whose data its user can do nothing."""
        self.session.reset(stream, NEGOTIATION_FAILED)
        cast("StreamUser", stream.user).was_reset()

    def eof_received(self) -> None:
        """Let the transport close at the peer's end of data, as streams are finished one by one."""

    def pause_writing(self) -> None:
        """Take no more frames: the socket's buffer is over its high-water mark."""
        self.is_full = True
        self.sent_round = _NEVER

    def resume_writing(self) -> None:
        """Take frames again, and tell those who wait for room."""
        self.is_full = False
        if self.is_upgraded and not self.is_over:
            self.sent_round = 0
            if not self.is_flushing:
                self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed; a reset is the usual end with some implementations."""
        self.cut(exc)
        self._cancel_timer()
        self._owner.socket_closed(self)

    # --- the upgrade ---------------------------------------------------------------------------------------------

    def _receive_early(self, data: bytes) -> None:
        """Go on upgrading, unless the connection is over."""
        upgrade = self._upgrade
        if self.is_over or upgrade is None:
            return
        try:
            data = self._go_on_upgrading(upgrade, data)
        except Libp2pError as error:
            self.cut(error)
            return
        if data:
            self._receive(data)

    def _go_on_upgrading(self, upgrade: Upgrade, data: bytes) -> bytes:
        """Gives what is for the muxer already."""
        answer = upgrade.receive(data)
        if answer:
            self.transport.write(answer)
        if not upgrade.is_over:
            return b""
        self._upgrade = None
        self._cancel_timer()
        self.peer = upgrade.secured.peer
        self.security, self.is_early = upgrade.security, upgrade.is_early
        self.channel = self._receiving = upgrade.secured.channel
        self.session = Session(is_dialler=self.is_outbound, limits=YamuxLimits(inbound=self.limits.streams))
        self.is_upgraded = True
        if not self.is_full:
            self.sent_round = 0
        if not self._owner.upgraded(self):
            self.cut()
            return b""
        return upgrade.rest

    def _too_slow(self, limit_s: float) -> None:
        self.cut(TooSlow(limit_s))

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- streams -------------------------------------------------------------------------------------------------

    def _handle(self, event: Event) -> None:
        if isinstance(event, Opened):
            self._owner.stream_opened(self, event.stream)
        elif isinstance(event, Finished | WasReset) and event.stream.is_reset:
            return
        elif isinstance(event, Finished):
            try:
                cast("StreamUser", event.stream.user).finished()
            except Libp2pError:
                self.refuse(event.stream)
        elif isinstance(event, WasReset):
            cast("StreamUser", event.stream.user).was_reset()
        elif isinstance(event, GoneAway):
            self.close()

    # --- writing -------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Schedule a flush."""
        self.is_flushing = True
        waiting = self.flusher.waiting
        waiting.append(self)
        if len(waiting) == 1:
            self.flusher.schedule()

    def wake_if_needed(self) -> None:
        """Schedule a flush if there is something to send and none is scheduled."""
        if not self.is_flushing and not self.is_over and self.session.has_output:
            self.wake()

    def flush(self) -> None:
        """Write what there is to send, up to some frames, unless the socket's buffer is full."""
        self.is_flushing = False
        if self.is_over or self.is_full:
            return
        session = self.session
        data = session.take()
        if data:
            self.transport.write(self.channel.seal(data))
        if session.has_output and not self.is_full:
            self.wake()
        if self.wanting and not self.is_full:
            wanting, self.wanting = self.wanting, []
            for stream in wanting:
                stream.offer_room()

    # --- the end -------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Once in a while: ping a peer that has been silent for some ticks, and give it up after one more."""
        heard = self.channel.received, self.channel.partial_bytes
        if heard != self._heard:
            self._heard = heard
            self._silent_ticks = 0
            return
        self._silent_ticks += 1
        if self._silent_ticks >= LOST_TICKS:
            self.cut(Silent())
        elif self._silent_ticks == SILENT_TICKS:
            self.session.ping(KEEP_ALIVE)
            self.wake_if_needed()

    def close(self) -> None:
        """End the connection: what was written is sent as far as windows allow, then that we go away."""
        if self.is_over:
            return
        if not self.is_upgraded:
            self.cut()
            return
        data = b""
        while self.session.has_output:
            data += self.channel.seal(self.session.take())
        self.session.go_away()
        self.transport.write(data + self.channel.seal(self.session.take()))
        self._end(None)
        self.transport.close()
        self._timer = self.loop.call_later(CLOSE_LIMIT_S, self.transport.abort)

    def cut(self, error: Exception | None = None) -> None:
        """End the connection at once."""
        if not self.is_over:
            self._end(error)
            self.transport.abort()

    def give_up(self) -> None:
        """Nobody waits for the upgrade of a dial any more, which may not even have a socket."""
        self._has_given_up = True
        if self._has_socket:
            self.cut()

    def _end(self, error: Exception | None) -> None:
        self.is_over = True
        self.sent_round = _NEVER
        self._receiving = None
        self._cancel_timer()
        self.wanting.clear()
        self._owner.lost(self, error)
        if self.is_upgraded:
            for stream in list(self.session.streams.values()):
                user = cast("StreamUser | None", stream.user)
                if user is not None:
                    user.was_reset()


class RoomTaker(Protocol):
    """A stream whose writer was refused."""

    def offer_room(self) -> None:
        """There may be room again."""
