"""The ports of a node: protocols that networks, clocks and discovery services implement.

Units: seconds as float at the ports (what event loops take), nanoseconds as int where time is recorded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

from pubsub_sim.ids import PeerId


class Timer(Protocol):
    """A call that will happen."""

    def cancel(self) -> None:
        """Forget it; harmless if it has happened."""


class Clock(Protocol):
    """Time as a node sees it."""

    def now_ns(self) -> int:
        """Monotonic time in ns."""

    def call_soon(self, callback: Callable[[], object]) -> object:
        """Run `callback` in the next round of the loop, first come first served."""

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        """Run `callback` after `delay_s`; background work, not counted as waiting."""

    def wait(self, delay_s: float) -> Awaitable[None]:
        """Wait on the critical path of somebody's call; counted (`waits`, `waited_ns`)."""

    def sleep(self, delay_s: float) -> Awaitable[None]:
        """Wait in the background; not counted."""


class Sealed(Protocol):
    """An RPC that is handed over as an object, between hosts of one process (see `wire.sealed`)."""

    @property
    def size(self) -> int:
        """How many bytes its encoding has."""

    def to_bytes(self) -> bytes:
        """Its encoding."""


class Stream(Protocol):
    """One direction of frames from us to a peer. A closed or reset stream drops what is written to it."""

    @property
    def protocol(self) -> str:
        """The negotiated protocol."""

    def write(self, frame: Any) -> bool:
        """Hand over one frame, bytes, or Sealed if the network carries objects; False if the window is full: the writer is then told when it is not."""

    def set_writer(self, writer: FrameWriter) -> None:
        """Who is told of this stream."""

    def close(self) -> None:
        """End after what was written."""

    def reset(self) -> None:
        """End at once; frames not yet taken are lost."""


class FrameWriter(Protocol):
    """Whoever writes to a stream."""

    def writable(self) -> None:
        """The window that was full has room again."""

    def ended(self) -> None:
        """The stream is over, and not by its `close`."""


class Inbound(Protocol):
    """One direction of frames from a peer to us."""

    @property
    def peer(self) -> PeerId:
        """Who writes."""

    def reset(self) -> None:
        """Refuse all further frames."""


class FrameReader(Protocol):
    """What a host does with an inbound stream."""

    @property
    def limit_bytes(self) -> int:
        """Longest frame it takes. A stream may be reset at the announcement of a longer one, of which nothing is kept."""

    def frame(self, frame: bytes) -> bool:
        """Take one frame; False: no room now, keep it and call again after `Host.resume_reading`."""

    def ended(self, clean: bool) -> None:
        """The stream is over: closed by the peer (`clean`) or reset."""


class SealedReader(FrameReader, Protocol):
    """A reader that takes frames of either kind; one without `take` is given the bytes of sealed ones."""

    def take(self, frame: Any) -> bool:
        """Like `frame`, but the frame may be sealed."""


class Host(Protocol):
    """The network as one host sees it."""

    @property
    def peer_id(self) -> PeerId:
        """Who we are."""

    def connected_peers(self) -> Sequence[PeerId]:
        """Peers with at least one connection, oldest first."""

    def is_connected(self, peer: PeerId) -> bool:
        """Whether at least one connection to `peer` is up."""

    def is_outbound(self, peer: PeerId) -> bool:
        """Whether a connection to `peer` is up that we dialled."""

    def addresses(self, peer: PeerId) -> Sequence[str]:
        """The remote IP addresses of the connections to `peer`, oldest first; none if there is none."""

    def connect(self, peer: PeerId) -> Awaitable[None]:
        """Dial; does nothing if connected already. Raises DialError, for our own id DialledItself."""

    def open_stream(self, peer: PeerId, protocols: Sequence[str]) -> Awaitable[Stream]:
        """Open a stream, the first of `protocols` the remote speaks. Raises StreamRefused."""

    def serve(self, protocols: Iterable[str], accept: Callable[[Inbound], FrameReader]) -> None:
        """Accept inbound streams of these protocols."""

    def on_connected(self, callback: Callable[[PeerId], None]) -> None:
        """Who is told of each new connection."""

    def resume_reading(self) -> None:
        """There is room again for a frame that was refused."""

    def close(self) -> None:
        """Close all connections."""


class Rendezvous(Protocol):
    """A discovery service as one host sees it."""

    def advertise(self, namespace: str) -> Awaitable[float]:
        """Register ourselves; gives the seconds after which to register again."""

    def find_peers(self, namespace: str) -> Awaitable[Sequence[PeerId]]:
        """Who is registered, ourselves included."""


class Rng(Protocol):
    """The chance a node may use, seeded by its world."""

    def random(self) -> float:
        """Uniform in [0, 1)."""

    def uniform(self, a: float, b: float) -> float:
        """Uniform between a and b."""

    def randint(self, a: int, b: int) -> int:
        """Uniform whole number, both ends included."""

    def shuffle(self, x: list[Any]) -> None:
        """In place."""
