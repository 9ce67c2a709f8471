"""The link model: how long a frame takes, and whether it arrives. A `Lane` is one direction of one link.

The model has latency, jitter, loss of whole frames and bandwidth. Each direction of each link has a random generator
of its own. Congestion, retransmission and routing are not modelled. A round trip for each dial and each opened stream
is the only cost of connecting, and the window's slots come back to the writer without a delay.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from pubsub_sim.checks import check_number, check_whole
from pubsub_sim.errors import OptionError

Latency = float | tuple[float, float] | Callable[[int, int], float]


@dataclass(frozen=True, kw_only=True)
class LinkModel:
    """What every link of a network is like.

    Attributes:
        latency_s: one-way latency. A number for all links; (low, high) for one per link, the same in both directions,
            drawn uniformly in whole ns from the seed; or a function of the numbers of the writing and the reading host.
        jitter: most that is added to the latency of a frame, as a fraction of it, drawn uniformly per frame. Frames of
            one stream stay in order all the same.
        loss: probability that an RPC frame is lost as a whole, hellos included; nothing is sent again. Dials,
            openings, ends and resets are never lost.
        bandwidth_bps: bits per second of each direction of a link: a frame departs when those before it have. None is
            without limit.

    Raises:
        OptionError: a value that cannot be; names it.
    """

    latency_s: Latency = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    bandwidth_bps: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.latency_s, tuple):
            if len(self.latency_s) != 2 or self.latency_s[0] > self.latency_s[1]:
                raise OptionError("latency_s", self.latency_s, "a range as (low, high)")
            for bound in self.latency_s:
                check_number("latency_s", bound, at_least=0)
        elif not callable(self.latency_s):
            check_number("latency_s", self.latency_s, at_least=0)
        check_number("jitter", self.jitter, at_least=0)
        check_number("loss", self.loss, at_least=0, at_most=1)
        if self.bandwidth_bps is not None:
            check_whole("bandwidth_bps", self.bandwidth_bps, at_least=1)

    def latency_ns(self, seed: int, a: int, b: int) -> int:
        """The latency from host `a` to host `b`, in ns; raises OptionError if a function of latencies gives no time."""
        given = self.latency_s
        if isinstance(given, tuple):
            rng = random.Random(f"{seed}/link/{min(a, b)}/{max(a, b)}/latency")
            return rng.randint(round(given[0] * 1e9), round(given[1] * 1e9))
        seconds = given(a, b) if callable(given) else given
        check_number(f"latency_s({a}, {b})", seconds, at_least=0)
        return round(seconds * 1e9)


class Lane:
    """One direction of one link.

    Args:
        model: what the link is like.
        seed: of the world.
        a: number of the host that writes.
        b: number of the host that reads.
        latency_ns: what the model says for this lane, if it is known already.

    Attributes:
        has_bandwidth: whether frames wait for those before them.
        may_lose: whether frames may be lost now.
        own_latency_ns: what the model says.
        latency_ns: what a frame takes now, without jitter and bandwidth.
        jitter_ns: most that is added to it now, by a uniform draw; None without jitter, and then nothing is drawn.
        random: the lane's chance, a number from 0 to 1.
    """

    __slots__ = (
        "_extra_losses",
        "_free_ns",
        "_jitter",
        "_loss",
        "_per_bit",
        "has_bandwidth",
        "jitter_ns",
        "latency_ns",
        "may_lose",
        "own_latency_ns",
        "random",
    )

    def __init__(self, model: LinkModel, seed: int, a: int, b: int, latency_ns: int | None = None) -> None:
        self.random = random.Random(f"{seed}/link/{a}/{b}").random
        self.own_latency_ns = model.latency_ns(seed, a, b) if latency_ns is None else latency_ns
        self._jitter = model.jitter
        self._loss = model.loss
        self._extra_losses: tuple[float, ...] = ()
        self._per_bit = model.bandwidth_bps
        self.has_bandwidth = model.bandwidth_bps is not None
        self._free_ns = 0
        self.may_lose = bool(self._loss)
        self.latency_ns = 0
        self.jitter_ns: float | None = None
        self.delay(self.own_latency_ns)

    def delay(self, extra_ns: int) -> None:
        """Add to the latency, or take away again what was added."""
        self.latency_ns += extra_ns
        self.jitter_ns = self.latency_ns * self._jitter if self._jitter else None

    def add_loss(self, probability: float) -> None:
        """Lose frames with this probability too, besides the model's."""
        self._extra_losses += (probability,)
        self.may_lose = True

    def remove_loss(self, probability: float) -> None:
        """Undo one `add_loss`."""
        losses = list(self._extra_losses)
        losses.remove(probability)
        self._extra_losses = tuple(losses)
        self.may_lose = bool(self._loss or losses)

    def carry(self, size_bytes: int, now_ns: int) -> int:
        """How long a frame given to the lane now takes, in ns; takes the line for as long as the frame is sent.

        Without bandwidth it is the latency and the jitter, which `LinkedStream.write` adds up itself.

        Args:
            size_bytes: how long it is; of no consequence unless `has_bandwidth`.
            now_ns: the time.
        """
        delay_ns = self.latency_ns
        if self.jitter_ns is not None:
            delay_ns += round(self.jitter_ns * self.random())
        if self._per_bit is not None:
            begin_ns = max(now_ns, self._free_ns)
            self._free_ns = begin_ns - (-size_bytes * 8 * 10**9 // self._per_bit)  # rounded up
            delay_ns += self._free_ns - now_ns
        return delay_ns

    def loses(self) -> bool:
        """Whether the frame at hand is lost; draws once per cause."""
        is_lost = bool(self._loss) and self.random() < self._loss
        for loss in self._extra_losses:
            is_lost |= self.random() < loss
        return is_lost
