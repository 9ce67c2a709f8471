"""The accounts of a run under load: when each message was due, accepted by its host and delivered to each subscriber.

Times are kept as whole numbers, one per message or per message and host. What follows from them (latencies, throughput, queues,
fairness) is computed after the run, so that a delivery costs little more than storing a number.
"""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import NamedTuple

from pubsub_sim.errors import ScenarioFailure

NUMBER_BYTES = 8
"""Length of a message's number, with which its payload begins."""

_NEVER = -1


class Window(NamedTuple):
    """The measured part of a run.

    Attributes:
        begin_ns: when it begins.
        end_ns: when it ends; not part of it.
    """

    begin_ns: int
    end_ns: int

    def holds(self, time_ns: int) -> bool:
        """Return whether a time lies in it."""
        return self.begin_ns <= time_ns < self.end_ns


class _Waiter:
    """A message that somebody waits for: until when, and how many deliveries are left."""

    __slots__ = ("begun_ns", "future", "left")

    def __init__(self, left: int, begun_ns: int) -> None:
        self.left = left
        self.begun_ns = begun_ns
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Ledger:
    """The accounts.

    Args:
        hosts: how many hosts subscribe.
        publishers: how many of them publish, from the first on.
        payload_bytes: length of each payload.
        now_ns: tells the time.

    Attributes:
        ids: id of each accepted message, by its number; b"" for one that was not accepted.
        longest_queue: most messages that waited in one subscription.
        given_up: messages that were no longer waited for.
    """

    def __init__(self, hosts: int, publishers: int, payload_bytes: int, now_ns: Callable[[], int]) -> None:
        self.ids: list[bytes] = []
        self.longest_queue = 0
        self.given_up = 0
        self._hosts = hosts
        self._publishers = publishers
        self._padding = bytes(payload_bytes - NUMBER_BYTES)
        self._now_ns = now_ns
        self._due_ns = array("q")
        self._accepted_ns = array("q")
        self._publisher = array("l")
        self._delivered_ns = array("q")  # of message m at host h in place m * hosts + h
        self._nowhere = array("q", [_NEVER] * hosts)
        self._waiting: dict[int, _Waiter] = {}

    # --- during the run ------------------------------------------------------------------------------------------

    def begin(self, publisher: int, due_ns: int) -> int:
        """Open the account of a message that is due; return its number."""
        self._due_ns.append(due_ns)
        self._accepted_ns.append(_NEVER)
        self._publisher.append(publisher)
        self._delivered_ns.extend(self._nowhere)
        self.ids.append(b"")
        return len(self._due_ns) - 1

    def payload(self, number: int) -> bytes:
        """Return the payload of a message."""
        return number.to_bytes(NUMBER_BYTES, "big") + self._padding

    def accepted(self, number: int, message_id: bytes) -> None:
        """Note that its host has accepted a message."""
        self._accepted_ns[number] = self._now_ns()
        self.ids[number] = message_id

    def delivered(self, host: int, payload: bytes, waiting: int) -> None:
        """Note that a subscriber has read a message.

        Args:
            host: number of the subscriber.
            payload: what it has read.
            waiting: messages that wait in its subscription now.

        Raises:
            ScenarioFailure: it is no payload of this run, or the subscriber has read it before.
        """
        now_ns = self._now_ns()
        number = int.from_bytes(payload[:NUMBER_BYTES], "big")
        if number >= len(self._due_ns) or payload[NUMBER_BYTES:] != self._padding:
            raise ScenarioFailure("load", f"host {host} read {payload[:40]!r}, which nobody has sent")
        place = number * self._hosts + host
        if self._delivered_ns[place] != _NEVER:
            raise ScenarioFailure("load", f"host {host} read message {number} twice")
        self._delivered_ns[place] = now_ns
        if waiting >= self.longest_queue:
            self.longest_queue = waiting + 1
        if self._waiting:
            self._count_down(number)

    def _count_down(self, number: int) -> None:
        waiter = self._waiting.get(number)
        if waiter is not None:
            waiter.left -= 1
            if not waiter.left:
                del self._waiting[number]
                waiter.future.set_result(None)

    def expect(self, number: int) -> asyncio.Future[None]:
        """Return a future that ends with the last delivery of a message that nobody has read yet, or when it is given up."""
        waiter = self._waiting[number] = _Waiter(self._hosts, self._now_ns())
        return waiter.future

    def give_up(self, before_ns: int) -> None:
        """Wait no longer for messages that have been waited for since this time, or longer; they may still come."""
        for number, waiter in list(self._waiting.items()):
            if waiter.begun_ns > before_ns:
                return
            self.given_up += 1
            del self._waiting[number]
            waiter.future.set_result(None)

    # --- after the run -------------------------------------------------------------------------------------------

    @property
    def sent(self) -> int:
        """Messages, all of them accepted by their hosts once a run is over."""
        return len(self._due_ns)

    def missing(self) -> Iterator[tuple[int, int]]:
        """Give message and host of each delivery that is owed and was not made."""
        for place, time_ns in enumerate(self._delivered_ns):
            if time_ns == _NEVER:
                yield divmod(place, self._hosts)

    def latencies_ns(self, window: Window) -> array[int]:
        """Return the times from when messages of a window were due to each delivery at another host, in ascending order."""
        hosts, times = self._hosts, self._delivered_ns
        found: list[int] = []
        for number, (due_ns, publisher) in enumerate(zip(self._due_ns, self._publisher, strict=True)):
            if window.holds(due_ns):
                row = times[number * hosts : (number + 1) * hosts]
                del row[publisher]
                found += [time_ns - due_ns for time_ns in row if time_ns != _NEVER]
        return array("q", sorted(found))

    def offered_by(self, window: Window) -> tuple[int, ...]:
        """Count the messages of each publisher that were due in a window."""
        return self._count(window, self._due_ns)

    def completed_by(self, window: Window) -> tuple[int, ...]:
        """Count the messages of each publisher whose last delivery lies in a window."""
        return self._count(window, self._completed_ns())

    def most_in_flight(self) -> int:
        """Return the largest number of messages at a time that were due and not yet delivered to all."""
        return _most_at_a_time(self._due_ns, self._completed_ns())

    def longest_backlog(self) -> int:
        """Return the largest number of messages at a time that were due and that their hosts had not yet accepted."""
        return _most_at_a_time(self._due_ns, self._accepted_ns)

    def _completed_ns(self) -> list[int]:
        """Return when each message was delivered to the last of all hosts; -1 for one that some host never got."""
        hosts, times = self._hosts, self._delivered_ns
        rows = (times[place : place + hosts] for place in range(0, len(times), hosts))
        return [_NEVER if _NEVER in row else max(row) for row in rows]

    def _count(self, window: Window, times_ns: array[int] | list[int]) -> tuple[int, ...]:
        counts = [0] * self._publishers
        for publisher, time_ns in zip(self._publisher, times_ns, strict=True):
            counts[publisher] += window.holds(time_ns)
        return tuple(counts)


def _most_at_a_time(begun_ns: array[int], ended_ns: array[int] | list[int]) -> int:
    """Return the largest number of intervals that hold the same moment; those that never end are left out."""
    known = [(begin, end) for begin, end in zip(begun_ns, ended_ns, strict=True) if end != _NEVER]
    steps = sorted([(begin, 1) for begin, _ in known] + [(end, -1) for _, end in known])  # an end before a beginning
    return max(accumulate(step for _, step in steps), default=0)


def quantile(ascending: array[int] | list[int], share: float) -> int:
    """Return the least value that this share of all values does not exceed (nearest rank).

    Args:
        ascending: the values in ascending order, at least one.
        share: above 0 and at most 1.
    """
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]
