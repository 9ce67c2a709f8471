"""The memory network with a link model between its hosts: frames take time and may be lost.

The window is that of the memory network: a frame takes a slot when it is written, in flight and unread alike, and gives
it back when the reader takes it or it would have arrived had it not been lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from pubsub_sim.errors import DialError
from pubsub_sim.framing import uvarint_bytes
from pubsub_sim.ids import short
from pubsub_sim.net.link import Lane, LinkModel
from pubsub_sim.net.memory import WINDOW, MemoryHost, MemoryNetwork, MemoryStream

if TYPE_CHECKING:
    import asyncio

    from pubsub_sim.ids import PeerId
    from pubsub_sim.net.clock import LoopClock
    from pubsub_sim.ports import Sealed


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

    __slots__ = ("_flying", "_is_cut", "_lane", "_last_ns", "_network", "_now_ns", "_on_come", "_post_at_ns")

    def __init__(self, protocol: str, peer: PeerId, receiver: LinkedHost, network: LinkedNetwork) -> None:
        super().__init__(protocol, peer, receiver)
        self.receiver: LinkedHost
        self._network = network
        self._lane = network.lane(peer, receiver.peer_id)
        self._flying: deque[bytes | Sealed | _Lost | None] = deque()  # frames, and None for the end
        self._last_ns = 0
        self._is_cut = False
        self._now_ns = network.clock.now_ns
        self._post_at_ns = network.clock.post_at_ns
        self._on_come = self._come  # one object for all frames

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
            if frame.__class__ is not bytes or frame:  # sealed frames are never empty
                self.receiver.frames += 1
                if network.tally is not None:
                    network.tally(frame)
            is_lost = (lane.loss or lane.extra_losses) and lane.loses()
            self._flying.append(_Lost(frame) if is_lost else frame)
            now_ns = self._now_ns()
            if lane.has_bandwidth:
                size_bytes = len(frame) if isinstance(frame, bytes) else frame.size
                due_ns = lane.carry(size_bytes + uvarint_bytes(size_bytes), now_ns)
            else:
                due_ns = lane.carry(0, now_ns)
            if due_ns < self._last_ns:
                due_ns = self._last_ns
            else:
                self._last_ns = due_ns
            network.in_flight += 1
            if due_ns > now_ns:
                self._post_at_ns(due_ns, self._on_come)
            else:
                self._come_now()
        return True

    def _send(self, frame: bytes | Sealed | None) -> None:
        """Send the end of the stream over the lane."""
        self._flying.append(None)
        now_ns = self._now_ns()
        due_ns = self._last_ns = max(self._lane.carry(0, now_ns), self._last_ns)
        self._network.in_flight += 1
        if due_ns > now_ns:
            self._post_at_ns(due_ns, self._on_come)
        else:
            self._come_now()

    def _come_now(self) -> None:
        """What was written takes no time."""
        self._arrive()
        if self.receiver.arrivals and self.receiver.is_resting:
            self.receiver.wake()  # scheduled: the writer is in the middle of a turn

    def _come(self) -> None:
        """A frame is due: it is read at once, as a timer is a call of the loop like any other."""
        receiver, network = self.receiver, self._network
        frame = self._flying[0]
        is_plain = frame is not None and frame.__class__ is not _Lost and not self._is_cut
        if not is_plain or receiver.arrivals or not receiver.is_resting or network.paused:
            self._arrive()
            if receiver.arrivals and receiver.is_resting:
                receiver.read()
            return
        network.in_flight -= 1
        self._flying.popleft()
        receiver.is_resting = False  # from here on as `arrived` and `read` would, without another call for each frame
        try:
            if not self.take(frame):
                receiver.refused(self, frame)  # type: ignore[arg-type] # neither lost nor the end
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

    def _arrive(self) -> None:
        """The oldest frame in flight is there: whichever timer it was, frames stay in order."""
        self._network.in_flight -= 1
        frame = self._flying.popleft()
        if self._is_cut:
            return
        if isinstance(frame, _Lost):
            self._network.note_lost(self.peer, self.receiver.peer_id, frame.frame)
            self.unread -= 1
            if self.wants_room:
                self.tell_room()
            return
        self.receiver.arrived(self, frame)


class _Lost:
    """A frame in flight that will not arrive."""

    __slots__ = ("frame",)

    def __init__(self, frame: bytes | Sealed) -> None:
        self.frame = frame


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
        in_flight: frames and ends on their way.
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
        self.in_flight = 0
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
            known_ns = None if back is None else back.latency_ns - back.extra_ns
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
    def is_quiet(self) -> bool:
        """Whether no frame is on its way."""
        return not self.in_flight and super().is_quiet
