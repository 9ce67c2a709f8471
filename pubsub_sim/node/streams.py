"""The outbound queue of RPCs to one peer, its stream opener, and the reader of RPCs from one.

Writers and readers are callbacks, not tasks: a task per stream took a third of all CPU time in an experiment.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from pubsub_sim.errors import MalformedFrame, StreamRefused
from pubsub_sim.foreign import FOREIGN_ERRORS
from pubsub_sim.protocol.operations import PeerCloseStream, PeerError, PeerNewStream, PeersDead, PeersPending
from pubsub_sim.wire.codec import unpack
from pubsub_sim.wire.sealed import SealedRPC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pubsub_sim.ids import PeerId
    from pubsub_sim.node.driver import Driver
    from pubsub_sim.node.lifetime import Lifetime
    from pubsub_sim.ports import Clock, Host, Inbound, Stream
    from pubsub_sim.protocol.core import Core
    from pubsub_sim.protocol.params import HostParams
    from pubsub_sim.wire.sealed import Frame, ReceivedRPC


class OutboundQueue:
    """The bounded queue of RPCs to one peer; writes directly once its stream is open and has room.

    Args:
        peer: the peer.
        capacity: maximal number of queued frames.
        on_ended: called with this queue when its stream ended without having been closed here.

    Attributes:
        lost: frames lost so far, as the queue was full.
    """

    __slots__ = ("_capacity", "_is_closed", "_on_ended", "_stream", "_urgent", "_waiting", "_write", "lost", "peer")

    def __init__(self, peer: PeerId, capacity: int, on_ended: Callable[[OutboundQueue], None]) -> None:
        self.peer = peer
        self._capacity = capacity
        self._on_ended = on_ended
        self._waiting: deque[Frame] | None = None  # created on first use: most queues stay empty
        self._urgent = 0  # number of urgent frames at the front
        self._stream: Stream | None = None
        self._write: Callable[[Frame], bool] | None = None  # the stream's, while no frame waits
        self._is_closed = False
        self.lost = 0

    def push(self, frame: Frame) -> bool:
        write = self._write
        if write is not None and write(frame):
            return True
        waiting = self._hold()
        if len(waiting) >= self._capacity:
            return self._lose()
        waiting.append(frame)
        return True

    def push_urgent(self, frame: Frame) -> bool:
        """Queue ahead of frames that are not urgent; urgent frames keep their order."""
        write = self._write
        if write is not None and write(frame):
            return True
        waiting = self._hold()
        if len(waiting) >= self._capacity:
            return self._lose()
        waiting.insert(self._urgent, frame)
        self._urgent += 1
        return True

    def _hold(self) -> deque[Frame]:
        """Return the queue; from here on frames wait until the stream has room."""
        self._write = None
        if self._waiting is None:
            self._waiting = deque()
        return self._waiting

    def _lose(self) -> bool:
        """Count a frame that is lost."""
        self.lost += 1
        return False

    def begin(self, hello: Iterable[bytes]) -> None:
        """Start with these frames, regardless of the capacity: none may be lost or overtaken."""
        self._waiting = deque(hello)
        self._write = None
        self._urgent = len(self._waiting)

    def close(self) -> None:
        self._is_closed = True
        if self._stream is not None and self._waiting is None:
            self._stream.close()

    def attach(self, stream: Stream) -> None:
        """Set the open stream and write the queued frames."""
        self._stream = stream
        stream.set_writer(self)
        self.writable()

    def writable(self) -> None:
        """Write queued frames, as far as there is room."""
        waiting, stream = self._waiting, self._stream
        if stream is None:
            return
        while waiting:
            if not stream.write(waiting[0]):
                return
            waiting.popleft()
            if self._urgent:
                self._urgent -= 1
        self._waiting = None
        self._write = stream.write
        if self._is_closed:
            stream.close()

    def ended(self) -> None:
        self._on_ended(self)


class InboundReader:
    """The reader of one inbound stream, which turns frames into RPCs for the driver. Implements FrameReader and SealedReader.

    Args:
        stream: the stream.
        driver: notified of the end.
        offer: the driver's `offer_rpc`; one object shared by all readers, as a node has one reader per peer.
        fail: ends the node after an internal error, which must not reach the calling network.
        max_bytes: maximal size of a frame.
        settle: the driver's `settle_rpc`, if it has one; likewise.

    Attributes:
        settle: takes a sealed frame that needs no turn, or returns False (see `ports.SealedReader`); None without `settle_rpc`.
    """

    __slots__ = ("_driver", "_fail", "_held", "_max_bytes", "_offer", "_peer", "_settle_rpc", "_stream", "settle")

    def __init__(
        self,
        stream: Inbound,
        driver: Driver,
        offer: Callable[[PeerId, ReceivedRPC], bool],
        fail: Callable[[BaseException], None],
        max_bytes: int,
        settle: Callable[[PeerId, ReceivedRPC], bool] | None = None,
    ) -> None:
        self._settle_rpc = settle
        self.settle = None if settle is None else self._settle
        self._stream = stream
        self._peer = stream.peer
        self._driver = driver
        self._offer = offer
        self._fail = fail
        self._max_bytes = max_bytes
        self._held: ReceivedRPC | None = None  # decoded, but the driver had no room

    @property
    def limit_bytes(self) -> int:
        return self._max_bytes

    def frame(self, frame: bytes) -> bool:
        """Take a frame: one that is too large or not an RPC resets the stream, an empty one is skipped."""
        rpc = self._held
        try:
            if rpc is not None:
                self._held = None
            elif not frame:
                return True
            elif len(frame) > self._max_bytes:
                return self._give_up()
            else:
                rpc = unpack(frame)
            offer = self._offer  # called at once, CPython 3.11 would search the class for a method
            if offer(self._peer, rpc):
                return True
        except MalformedFrame:
            return self._give_up()
        except FOREIGN_ERRORS as error:
            self._fail(error)
            return self._give_up()
        self._held = rpc
        return False

    def take(self, frame: Frame) -> bool:
        """Take a frame that may be sealed; the rules are those of `frame`."""
        kind = frame.__class__
        if kind is bytes:
            return self.frame(frame)  # type: ignore[arg-type] # by its class
        if self._held is None:
            if frame.size > self._max_bytes:  # type: ignore[union-attr] # likewise
                return self._give_up()
            rpc: ReceivedRPC = frame.rpc if kind is SealedRPC else frame  # type: ignore[union-attr,assignment] # likewise
            try:  # as `frame` does, without another call for each frame of a simulation
                offer = self._offer
                if offer(self._peer, rpc):
                    return True
            except FOREIGN_ERRORS as error:
                self._fail(error)
                return self._give_up()
            self._held = rpc
            return False
        return self.frame(b"")

    def _settle(self, frame: Frame) -> bool:
        """Take a sealed frame that needs no turn."""
        settle_rpc = self._settle_rpc
        return (
            frame.__class__ is not bytes
            and self._held is None
            and frame.size <= self._max_bytes  # type: ignore[union-attr] # by its class
            and settle_rpc(self._peer, frame)  # type: ignore[misc,arg-type] # a SealedRPC is no RPC, and needs a turn
        )

    def _give_up(self) -> bool:
        """Reset the stream and read no more of it, even if its writer has closed it and it can no longer be reset."""
        self._max_bytes = -1
        self._held = None
        self._stream.reset()
        return True

    def ended(self, clean: bool) -> None:
        self._driver.submit(PeerCloseStream(self._peer, self._stream))


class Streams:
    """All streams of one node, outbound and inbound.

    Args:
        host: the network.
        core: notified of dead and new streams through the driver.
        clock: for delayed openings.
        params: sizes.
        lifetime: owns the openings.
    """

    def __init__(self, host: Host, clock: Clock, params: HostParams, lifetime: Lifetime) -> None:
        self._host = host
        self._clock = clock
        self._params = params
        self._lifetime = lifetime
        self._core: Core
        self._driver: Driver
        self._offer: Callable[[PeerId, ReceivedRPC], bool]
        self._settle: Callable[[PeerId, ReceivedRPC], bool] | None
        self._on_ended = self._ended  # one object shared by all queues
        self._fail = lifetime.fail  # likewise for all readers

    def start(self, core: Core, driver: Driver) -> None:
        """Serve inbound streams and observe connections."""
        self._core = core
        self._driver = driver
        self._offer = driver.offer_rpc
        self._settle = getattr(driver, "settle_rpc", None) if getattr(driver, "settles_rpcs", False) else None
        self._host.serve(core.router.protocols, self._accept)
        self._host.on_connected(self._connected)
        for peer in self._host.connected_peers():
            self._connected(peer)

    def open_outbox(self, peer: PeerId, hello: Sequence[bytes], delay_ms: int) -> OutboundQueue:
        """Return a new outbound queue with the frames `hello`; its stream is opened after the delay (port of the core)."""
        queue = OutboundQueue(peer, self._params.outbound_queue_size, self._on_ended)
        queue.begin(hello)
        self._lifetime.start(self._open(queue, delay_ms), "stream opener")
        return queue

    async def _open(self, queue: OutboundQueue, delay_ms: int) -> None:
        if delay_ms:
            await self._clock.sleep(delay_ms / 1000)
        peer = queue.peer
        try:
            stream = await self._host.open_stream(peer, self._core.router.protocols)
        except StreamRefused:
            self._driver.submit(PeerError(peer, queue))
            return
        queue.attach(stream)  # the hello may arrive before the router knows of the peer, as in the reference
        self._driver.submit(PeerNewStream(peer, stream.protocol, queue))

    def _ended(self, queue: OutboundQueue) -> None:
        self._core.peer_streams.note_dead(queue.peer, queue)
        self._driver.signal(PeersDead)

    def _accept(self, stream: Inbound) -> InboundReader:
        self._core.peer_streams.accept_inbound(stream.peer, stream)
        limit_bytes = self._params.max_message_bytes
        return InboundReader(stream, self._driver, self._offer, self._fail, limit_bytes, self._settle)

    def _connected(self, peer: PeerId) -> None:
        self._core.peer_streams.note_connected(peer)
        self._driver.signal(PeersPending)
