"""The queue of RPCs to one peer: bounded, in order, urgent ones first."""

from __future__ import annotations

from pubsub_sim.ids import PeerId
from pubsub_sim.node.streams import OutboundQueue
from pubsub_sim.ports import FrameWriter


class OneByOne:
    """A stream that takes as many frames as the test lets it."""

    protocol = "p"

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.room = 0

    def write(self, frame: bytes) -> bool:
        if self.room == 0:
            return False
        self.room -= 1
        self.taken.append(frame)
        return True

    def set_writer(self, writer: FrameWriter) -> None:
        """Nobody is told."""

    def close(self) -> None:
        """Nothing to close."""

    def reset(self) -> None:
        """Nothing to reset."""


def new_queue(capacity: int = 32) -> OutboundQueue:
    """A queue whose stream never ends."""
    return OutboundQueue(PeerId(b"p"), capacity, lambda queue: None)


def test_Q03_urgent_frames_overtake_those_that_wait_and_keep_their_order() -> None:
    """1, urgent 2, 3, urgent 4 leave as 2, 4, 1, 3."""
    queue, stream = new_queue(), OneByOne()
    queue.attach(stream)
    queue.push(b"1")
    queue.push_urgent(b"2")
    queue.push(b"3")
    queue.push_urgent(b"4")
    stream.room = 4
    queue.writable()
    assert stream.taken == [b"2", b"4", b"1", b"3"]


def test_Q03_an_urgent_frame_that_comes_later_is_still_ahead_of_the_others() -> None:
    """Also when some of those before it have left."""
    queue, stream = new_queue(), OneByOne()
    queue.attach(stream)
    for frame in (b"1", b"2", b"3"):
        queue.push(frame)
    queue.push_urgent(b"urgent 1")
    stream.room = 2
    queue.writable()
    queue.push_urgent(b"urgent 2")
    stream.room = 9
    queue.writable()
    assert stream.taken == [b"urgent 1", b"1", b"urgent 2", b"2", b"3"]


def test_Q04_both_kinds_share_one_capacity() -> None:
    queue = new_queue(2)
    assert queue.push(b"1")
    assert queue.push_urgent(b"2")
    assert not queue.push(b"3")
    assert not queue.push_urgent(b"4")
