"""The memory network with a link model between its hosts: frames take time and may be lost.

The window is that of the memory network: a frame takes a slot when it is written, in flight and unread alike, and gives
it back when the reader takes it or it would have arrived had it not been lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pubsub_sim.errors import DialError
from pubsub_sim.framing import uvarint_bytes
from pubsub_sim.ids import short
from pubsub_sim.net.link import Lane, LinkModel
from pubsub_sim.net.memory import WINDOW, MemoryHost, MemoryNetwork, MemoryStream

if TYPE_CHECKING:
    import asyncio

    from pubsub_sim.ids import PeerId
    from pubsub_sim.net.clock import LoopClock
    from pubsub_sim.ports import FrameReader, Sealed


class LinkWatcher(Protocol):
    """Who is told what a network does of itself, as it happens; must not act on it."""

    def connected(self, one: PeerId, other: PeerId) -> None:
        """`one` dialled `other`, and their connection is up."""

    def disconnected(self, one: PeerId, other: PeerId) -> None:
        """A connection was cut, and with it all streams on it."""

    def lost(self, writer: PeerId, reader: PeerId, frame: bytes) -> None:
        """A frame would have arrived now had it not been lost."""


class LinkedStream(MemoryStream):
    """One direction of frames over one lane of a link, in order."""

    __slots__ = ("_is_cut", "_lane", "_last_ns", "_network", "_on_come", "_settle")

    def __init__(self, protocol: str, peer: PeerId, receiver: LinkedHost, network: LinkedNetwork) -> None:
        super().__init__(protocol, peer, receiver)
        self.receiver: LinkedHost
        self._network = network
        self._lane = network.lane(peer, receiver.peer_id)
        self._last_ns = 0  # when the last one comes that had to wait
        self._is_cut = False
        self._on_come = self._come  # one object for all frames
        self._settle: Callable[[Any], bool] | None = None

    def set_reader(self, reader: FrameReader) -> None:
        """Set the reader; one that settles frames outside turns does so as long as that makes no difference."""
        super().set_reader(reader)
        if self.receiver.carries_objects:
            self._settle = getattr(reader, "settle", None)

    def reset(self) -> None:
        """Reset the stream; what is in flight is lost. Both ends are told in the next round, without a latency."""
        if self.is_open:
            self._is_cut = True
            super().reset()

    def write(self, frame: bytes | Sealed) -> bool:
        """Send a frame over the lane, or refuse it if the window is full."""
        if self.unread >= WINDOW:
            self.wants_room = True
            return False
        if self.is_open:
            self.unread += 1
            network, lane = self._network, self._lane
            network.written += 1
            if frame.__class__ is bytes and not frame:  # sealed frames are never empty
                network.uncounted += 1
            else:
                tally = network.tally
                if tally is not None:
                    tally(frame)
            come = self._lose if lane.may_lose and lane.loses() else self._on_come
            if lane.has_bandwidth:
                size_bytes = len(frame) if isinstance(frame, bytes) else frame.size
                delay_ns = lane.carry(size_bytes + uvarint_bytes(size_bytes), network.clock.now_ns())
            else:  # as `carry` does, without another call for each frame
                delay_ns, jitter_ns = lane.latency_ns, lane.jitter_ns
                if jitter_ns is not None:
                    draw = lane.random
                    delay_ns += round(jitter_ns * draw())
            if delay_ns > 0:
                post_after = network.post_after
                self._last_ns = post_after(delay_ns, self._last_ns, come, frame)
            else:
                self._send_now(come, frame)
        return True

    def _send(self, frame: bytes | Sealed | None) -> None:
        """Send the end of the stream over the lane."""
        network = self._network
        network.written += 1
        network.uncounted += 1
        delay_ns = self._lane.carry(0, network.clock.now_ns())
        if delay_ns > 0:
            self._last_ns = network.post_after(delay_ns, self._last_ns, self._on_come, None)
        else:
            self._send_now(self._on_come, None)

    def _send_now(self, come: Callable[[Any], None], frame: bytes | Sealed | None) -> None:
        """What takes no time arrives at once, unless something that was written before may be on its way."""
        network, receiver = self._network, self.receiver
        if self._last_ns >= network.clock.now_ns():
            network.post_after(0, self._last_ns, come, frame)
        elif come is not self._on_come:
            come(frame)
        else:
            network.come += 1
            receiver.arrived(self, frame)
            if receiver.is_resting:
                receiver.wake()  # scheduled: the writer is in the middle of a turn

    def _lose(self, frame: bytes | Sealed) -> None:
        """A frame that was lost would have arrived now."""
        self._network.come += 1
        if not self._is_cut:
            self._network.note_lost(self.peer, self.receiver.peer_id, frame)
            self.unread -= 1
            if self.wants_room:
                self.tell_room()

    def _come(self, frame: bytes | Sealed | None) -> None:
        """A frame is due, or the end: it is read at once, as a timer is a call of the loop like any other."""
        receiver, network = self.receiver, self._network
        network.come += 1
        if self._is_cut:
            return
        if frame is None or receiver.arrivals or not receiver.is_resting or network.paused:
            receiver.arrived(self, frame)
            if receiver.is_resting:
                receiver.read()
            return
        settle = self._settle
        if settle is not None and not self.wants_room:
            is_last_call = network.is_last_call
            if is_last_call() and settle(frame):
                self.unread -= 1
                return
        receiver.is_resting = False  # from here on as `arrived` and `read` would, without another call for each frame
        try:
            take = self.take
            if not take(frame):
                receiver.refused(self, frame)
                return
            self.unread -= 1
            if self.wants_room and self.is_open:  # the reader may have reset it
                self.tell_room()
        except BaseException:
            receiver.wake()
            raise
        if receiver.arrivals:
            MemoryHost._drain(receiver)
        else:
            receiver.is_resting = True


class LinkedHost(MemoryHost):
    """A host that can be made to stop reading."""

    def __init__(self, network: LinkedNetwork, peer_id: PeerId, ip: str) -> None:
        super().__init__(network, peer_id, ip)
        self._paused = network.paused

    def read(self) -> None:
        """Take what has arrived now; not in the middle of a turn."""
        self.is_resting = False
        self._drain()

    def resume(self) -> None:
        """Read what has arrived in the meantime."""
        if not self.is_resting and not self._is_blocked:
            self._network.call_soon(self._drain)

    def _drain(self) -> None:
        if self.peer_id not in self._paused:
            super()._drain()


class LinkedNetwork(MemoryNetwork):
    """Hosts of one process and links that take time between them, and fail.

    Args:
        loop: the event loop all of them run on.
        clock: the time frames take.
        model: what links are like.
        seed: of every link's chance.
        carries_objects: whether frames may be sealed RPCs.

    Attributes:
        written: frames and ends written so far.
        uncounted: those among them that are not RPCs: ends and empty frames.
        come: those that have come since, or would have, had they not been lost.
        post_after: the clock's.
        is_last_call: the clock's.
        frames_lost: frames that did not arrive, except by a reset.
        paused: hosts that read nothing, and how many wanted it so.
        watcher: is told of connections and lost frames; or None.
        tally: is given every frame that is written, empty ones left out, encoded or sealed as it is; or None.
    """

    _hosts: dict[PeerId, LinkedHost]  # type: ignore[assignment] # all hosts of this network are of this class

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: LoopClock,
        model: LinkModel,
        seed: int,
        *,
        carries_objects: bool = False,
    ) -> None:
        super().__init__(loop, carries_objects=carries_objects)
        self.clock = clock
        self.written = 0
        self.uncounted = 0
        self.come = 0
        self.post_after = clock.post_after
        self.is_last_call = clock.is_last_call
        self.frames_lost = 0
        self._model = model
        self._is_symmetric = not callable(model.latency_s)  # one latency for both directions of a link
        self._seed = seed
        self._numbers: dict[PeerId, int] = {}
        self._ids: list[PeerId] = []
        self._lanes: dict[tuple[PeerId, PeerId], Lane] = {}
        self.paused: dict[PeerId, int] = {}
        self.watcher: LinkWatcher | None = None
        self.tally: Callable[[bytes | Sealed], object] | None = None
        self._separated: dict[tuple[int, int], int] = {}  # (lower, higher number) -> partitions between them

    def add_host(self, peer_id: PeerId, ip: str | None = None) -> LinkedHost:
        """Make a host; links are named after the order in which hosts come, and keep their names."""
        if peer_id not in self._numbers:
            self._numbers[peer_id] = len(self._ids)
            self._ids.append(peer_id)
        host = self._hosts[peer_id] = LinkedHost(self, peer_id, ip or self._addresses.of(peer_id))
        return host

    def lane(self, writer: PeerId, reader: PeerId) -> Lane:
        """The direction of a link in which `writer` writes and `reader` reads."""
        lane = self._lanes.get((writer, reader))
        if lane is None:
            a, b = self._numbers[writer], self._numbers[reader]
            back = self._lanes.get((reader, writer)) if self._is_symmetric else None
            known_ns = None if back is None else back.own_latency_ns
            lane = self._lanes[writer, reader] = Lane(self._model, self._seed, a, b, known_ns)
        return lane

    async def round_trip(self, one: PeerId, other: PeerId) -> None:
        """Wait as long as a frame takes there and back; to a peer nobody knows it takes a round of the loop."""
        if other not in self._numbers:
            await super().round_trip(one, other)
            return
        there, back = self.lane(one, other), self.lane(other, one)
        await self.clock.sleep((there.latency_ns + back.latency_ns) / 1e9)

    def new_stream(self, protocol: str, peer: PeerId, receiver: MemoryHost) -> LinkedStream:
        """Make a stream over the lane from `peer` to `receiver`."""
        assert isinstance(receiver, LinkedHost)
        return LinkedStream(protocol, peer, receiver, self)

    # --- faults --------------------------------------------------------------------------------------------------

    def link(self, dialler: MemoryHost, listener: MemoryHost) -> None:
        """Connect two hosts and tell the watcher; raises DialError if a partition separates them."""
        if self._pair(dialler.peer_id, listener.peer_id) in self._separated:
            raise DialError(short(listener.peer_id), "a partition is in between")
        super().link(dialler, listener)
        if self.watcher is not None:
            self.watcher.connected(dialler.peer_id, listener.peer_id)

    def unlink(self, one: MemoryHost, other: MemoryHost) -> None:
        """Tell the watcher, then cut the connection."""
        if self.watcher is not None and other.peer_id in one.links:
            self.watcher.disconnected(one.peer_id, other.peer_id)
        super().unlink(one, other)

    def note_lost(self, writer: PeerId, reader: PeerId, frame: bytes | Sealed) -> None:
        """A frame did not arrive."""
        self.frames_lost += 1
        if self.watcher is not None:
            self.watcher.lost(writer, reader, frame if isinstance(frame, bytes) else frame.to_bytes())

    def neighbours(self, number: int) -> list[int]:
        """Numbers of the hosts a host is connected with, oldest connection first."""
        host = self._hosts.get(self._ids[number])
        return [] if host is None else [self._numbers[peer] for peer in host.links]

    def separate(self, groups: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
        """Cut the connections between hosts of different groups, and let none come up; gives the pairs that were cut."""
        cut = []
        for a, b in self._pairs_between(groups):
            self._separated[a, b] = self._separated.get((a, b), 0) + 1
            one, other = self._hosts.get(self._ids[a]), self._hosts.get(self._ids[b])
            if one is not None and other is not None and one.is_connected(other.peer_id):
                self.unlink(one, other)
                cut.append((a, b))
        return cut

    def unite(self, groups: Sequence[Sequence[int]]) -> None:
        """Undo one `separate` of these groups; connections do not come back by themselves."""
        for pair in self._pairs_between(groups):
            self._separated[pair] -= 1
            if not self._separated[pair]:
                del self._separated[pair]

    def pause_reading(self, peer_id: PeerId) -> None:
        """A host takes no frames from now on, in this life and the next."""
        self.paused[peer_id] = self.paused.get(peer_id, 0) + 1

    def resume_reading(self, peer_id: PeerId) -> None:
        """Undo one `pause_reading`."""
        self.paused[peer_id] -= 1
        if not self.paused[peer_id]:
            del self.paused[peer_id]
            if peer_id in self._hosts:
                self._hosts[peer_id].resume()

    def _pairs_between(self, groups: Sequence[Sequence[int]]) -> Iterator[tuple[int, int]]:
        group_of = dict.fromkeys(range(len(self._ids)), -1)
        for name, group in enumerate(groups):
            group_of |= dict.fromkeys(group, name)
        for b in range(len(self._ids)):
            yield from ((a, b) for a in range(b) if group_of[a] != group_of[b])

    def _pair(self, one: PeerId, other: PeerId) -> tuple[int, int]:
        a, b = self._numbers[one], self._numbers[other]
        return min(a, b), max(a, b)

    @property
    def frames(self) -> int:
        """Frames written to streams so far, empty ones not counted."""
        return self.written - self.uncounted

    @property
    def is_quiet(self) -> bool:
        """Whether no frame is on its way."""
        return self.written == self.come and super().is_quiet
