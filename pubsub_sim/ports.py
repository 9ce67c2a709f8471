"""The ports of a node: the interfaces of networks, clocks and discovery services.

Units: seconds as float for arguments, as in event loops; nanoseconds as int for recorded times.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

from pubsub_sim.ids import PeerId


class Timer(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Cancel the call; no effect if it has already run."""


class Clock(Protocol):
    """The clock of a node."""

    def now_ns(self) -> int:
        """Return the monotonic time in ns."""

    def call_soon(self, callback: Callable[[], object]) -> object:
        """Run `callback` in the next iteration of the loop, in order of calls."""

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        """Run `callback` after `delay_s`, in the background; not counted as waiting."""

    def wait(self, delay_s: float) -> Awaitable[None]:
        """Wait on the critical path of a call; counted (`waits`, `waited_ns`)."""

    def sleep(self, delay_s: float) -> Awaitable[None]:
        """Wait in the background; not counted."""


class Sealed(Protocol):
    """An RPC that is handed over as an object, between hosts of one process (see `wire.sealed`)."""

    @property
    def size(self) -> int:
        """The size of its encoding, in bytes."""

    def to_bytes(self) -> bytes:
        """Return its encoding."""


class Stream(Protocol):
    """An outbound stream of frames to a peer. Writes to a closed or reset stream are dropped."""

    @property
    def protocol(self) -> str:
        """The negotiated protocol."""

    def write(self, frame: Any) -> bool:
        """Write one frame: bytes, or Sealed if the network carries objects.

        Returns:
            False if the window is full: `FrameWriter.writable` signals room.
        """

    def set_writer(self, writer: FrameWriter) -> None:
        """Set the receiver of this stream's events."""

    def close(self) -> None:
        """End the stream after the written frames."""

    def reset(self) -> None:
        """End the stream immediately; frames not yet taken are lost."""


class FrameWriter(Protocol):
    """The writer of a stream."""

    def writable(self) -> None:
        """Called when a full window has room again."""

    def ended(self) -> None:
        """Called when the stream has ended other than by its `close`."""


class Inbound(Protocol):
    """An inbound stream of frames from a peer."""

    @property
    def peer(self) -> PeerId:
        """The writing peer."""

    def reset(self) -> None:
        """Refuse all further frames."""


class FrameReader(Protocol):
    """The reader of an inbound stream."""

    @property
    def limit_bytes(self) -> int:
        """Maximal size of a frame. A stream may be reset when a longer one is announced, without buffering it."""

    def frame(self, frame: bytes) -> bool:
        """Take one frame; return False if there is no room: keep it and retry after `Host.resume_reading`."""

    def ended(self, clean: bool) -> None:
        """Called when the stream has ended: closed by the peer (`clean`) or reset."""


class SealedReader(FrameReader, Protocol):
    """A reader that takes frames of both kinds; one without `take` gets the bytes of sealed frames.

    It may have a method `settle` besides, which is given a frame at an instant at which nothing else happens. It takes the
    frame at once if that makes no difference to anybody, or else returns False and is given the frame by `take`.
    """

    def take(self, frame: Any) -> bool:
        """Take one frame, as `frame` does; it may be sealed."""


class Host(Protocol):
    """The network interface of one host."""

    @property
    def peer_id(self) -> PeerId:
        """The host's own peer id."""

    def connected_peers(self) -> Sequence[PeerId]:
        """Peers with at least one connection, oldest first."""

    def is_connected(self, peer: PeerId) -> bool:
        """Return whether at least one connection to `peer` is up."""

    def is_outbound(self, peer: PeerId) -> bool:
        """Return whether a connection to `peer` is up that this host dialled."""

    def addresses(self, peer: PeerId) -> Sequence[str]:
        """Return the remote IP addresses of the connections to `peer`, oldest first."""

    def connect(self, peer: PeerId) -> Awaitable[None]:
        """Dial a peer, unless connected. Raises DialError, for the host's own id DialledItself."""

    def open_stream(self, peer: PeerId, protocols: Sequence[str]) -> Awaitable[Stream]:
        """Open a stream with the first of `protocols` that the remote supports. Raises StreamRefused."""

    def serve(self, protocols: Iterable[str], accept: Callable[[Inbound], FrameReader]) -> None:
        """Accept inbound streams of these protocols."""

    def on_connected(self, callback: Callable[[PeerId], None]) -> None:
        """Set the callback for new connections."""

    def resume_reading(self) -> None:
        """Resume readers that refused a frame."""

    def close(self) -> None:
        """Close all connections."""


class Rendezvous(Protocol):
    """The discovery service of one host."""

    def advertise(self, namespace: str) -> Awaitable[float]:
        """Register the host; return the seconds until the next registration."""

    def find_peers(self, namespace: str) -> Awaitable[Sequence[PeerId]]:
        """Return the registered peers, including the host itself."""


class Rng(Protocol):
    """The random numbers of a node, seeded by its world."""

    def random(self) -> float:
        """Return a uniform number in [0, 1)."""

    def uniform(self, a: float, b: float) -> float:
        """Return a uniform number between a and b."""

    def randint(self, a: int, b: int) -> int:
        """Return a uniform integer, both ends included."""

    def shuffle(self, x: list[Any]) -> None:
        """Shuffle a list in place."""
