"""How do frames travel over links that take time? The memory network with a link model between its hosts.

The window is that of the memory network: a frame takes a slot when it is written, in flight and unread alike, and gives
it back when the reader takes it or it would have arrived had it not been lost.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from pubsub_sim.net.link import Lane, LinkModel
from pubsub_sim.net.memory import WINDOW, MemoryHost, MemoryNetwork, MemoryStream

if TYPE_CHECKING:
    import asyncio

    from pubsub_sim.ids import PeerId
    from pubsub_sim.net.clock import LoopClock

_END = None  # what travels when a stream was closed


class LinkedStream(MemoryStream):
    """One direction of frames over one lane of a link, in order."""

    __slots__ = ("_flying", "_is_cut", "_lane", "_last_ns", "_network")

    def __init__(self, protocol: str, peer: PeerId, receiver: MemoryHost, network: LinkedNetwork) -> None:
        super().__init__(protocol, peer, receiver)
        self._network = network
        self._lane = network.lane(peer, receiver.peer_id)
        self._flying: deque[tuple[bytes | None, bool]] = deque()  # frame, whether it will be lost
        self._last_ns = 0
        self._is_cut = False

    def write(self, frame: bytes) -> bool:
        """See Stream."""
        if self.unread >= WINDOW:
            self.wants_room = True
            return False
        if self.is_open:
            self.unread += 1
            if frame:
                self.frames_written += 1
            self._send(frame)
        return True

    def close(self) -> None:
        """See Stream."""
        if self.is_open:
            self.is_open = False
            self._send(_END)

    def reset(self) -> None:
        """See Stream; what is in flight is lost. Both ends are told in the next round, without a latency."""
        if self.is_open:
            self._is_cut = True
            super().reset()

    def _send(self, frame: bytes | None) -> None:
        network, lane = self._network, self._lane
        is_lost = frame is not _END and lane.loses()
        now_ns = network.clock.now_ns()
        due_ns = lane.carry(0 if frame is _END else _size_on_line(frame), now_ns)
        due_ns = self._last_ns = max(due_ns, self._last_ns)
        self._flying.append((frame, is_lost))
        network.in_flight += 1
        if due_ns <= now_ns:
            self._arrive()
        else:
            network.clock.call_at_ns(due_ns, self._arrive)

    def _arrive(self) -> None:
        """The oldest frame in flight is there: whichever timer it was, frames stay in order."""
        self._network.in_flight -= 1
        frame, is_lost = self._flying.popleft()
        if self._is_cut:
            return
        if is_lost:
            self._network.frames_lost += 1
            self.took()
            return
        receiver = self.receiver
        receiver.arrivals.append((self, frame))
        if receiver.is_resting:
            receiver.wake()


def _size_on_line(frame: bytes) -> int:
    """Bytes of a frame with its length prefix, an unsigned varint."""
    size = len(frame)
    return size + max(1, (size.bit_length() + 6) // 7)


class LinkedNetwork(MemoryNetwork):
    """Hosts of one process and links that take time between them.

    Args:
        loop: the event loop all of them run on.
        clock: the time frames take.
        model: what links are like.
        seed: of every link's chance.

    Attributes:
        in_flight: frames and ends on their way.
        frames_lost: frames that did not arrive, except by a reset.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: LoopClock, model: LinkModel, seed: int) -> None:
        super().__init__(loop)
        self.clock = clock
        self.in_flight = 0
        self.frames_lost = 0
        self._model = model
        self._seed = seed
        self._numbers: dict[PeerId, int] = {}
        self._lanes: dict[tuple[PeerId, PeerId], Lane] = {}

    def add_host(self, peer_id: PeerId) -> MemoryHost:
        """See MemoryNetwork; links are named after the order in which hosts come."""
        self._numbers.setdefault(peer_id, len(self._numbers))
        return super().add_host(peer_id)

    def lane(self, writer: PeerId, reader: PeerId) -> Lane:
        """The direction of a link in which `writer` writes and `reader` reads."""
        lane = self._lanes.get((writer, reader))
        if lane is None:
            a, b = self._numbers[writer], self._numbers[reader]
            lane = self._lanes[writer, reader] = Lane(self._model, self._seed, a, b)
        return lane

    async def round_trip(self, one: PeerId, other: PeerId) -> None:
        """See MemoryNetwork; to a peer nobody knows it takes a round of the loop."""
        if other not in self._numbers:
            await super().round_trip(one, other)
            return
        there, back = self.lane(one, other), self.lane(other, one)
        await self.clock.sleep((there.latency_ns + back.latency_ns) / 1e9)

    def new_stream(self, protocol: str, peer: PeerId, receiver: MemoryHost) -> LinkedStream:
        """See MemoryNetwork."""
        return LinkedStream(protocol, peer, receiver, self)

    @property
    def is_quiet(self) -> bool:
        """Whether no frame is on its way."""
        return not self.in_flight and super().is_quiet
