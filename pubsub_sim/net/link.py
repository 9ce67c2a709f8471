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
        loss: probability of losing a frame.
        extra_ns: added to the latency for the time being.
        extra_losses: probabilities of losing a frame, besides the model's, for the time being.
    """

    __slots__ = (
        "_free_ns",
        "_jitter",
        "_latency_ns",
        "_per_bit",
        "_random",
        "extra_losses",
        "extra_ns",
        "has_bandwidth",
        "loss",
    )

    def __init__(self, model: LinkModel, seed: int, a: int, b: int, latency_ns: int | None = None) -> None:
        self._random = random.Random(f"{seed}/link/{a}/{b}").random
        self._latency_ns = model.latency_ns(seed, a, b) if latency_ns is None else latency_ns
        self._jitter = model.jitter
        self.loss = model.loss
        self._per_bit = model.bandwidth_bps
        self.has_bandwidth = model.bandwidth_bps is not None
        self._free_ns = 0
        self.extra_ns = 0
        self.extra_losses: list[float] = []

    @property
    def latency_ns(self) -> int:
        """What a frame takes now, without jitter and bandwidth."""
        return self._latency_ns + self.extra_ns

    def carry(self, size_bytes: int, now_ns: int) -> int:
        """When a frame given to the lane now arrives, in ns; takes the line for as long as the frame is sent.

        Args:
            size_bytes: how long it is; of no consequence unless `has_bandwidth`.
            now_ns: the time.
        """
        if self.has_bandwidth:
            assert self._per_bit is not None
            now_ns = max(now_ns, self._free_ns)
            now_ns -= -size_bytes * 8 * 10**9 // self._per_bit  # rounded up
            self._free_ns = now_ns
        latency_ns = self._latency_ns + self.extra_ns
        if self._jitter:
            latency_ns += round(latency_ns * self._jitter * self._random())
        return now_ns + latency_ns

    def loses(self) -> bool:
        """Whether the frame at hand is lost; draws once per cause."""
        is_lost = bool(self.loss) and self._random() < self.loss
        for loss in self.extra_losses:
            is_lost |= self._random() < loss
        return is_lost
