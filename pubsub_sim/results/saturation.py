"""The throughput at saturation, found with closed loops of growing width, and the fairness among publishers.

Method: the number of messages that each publisher has in flight is doubled, from 1 on, until the throughput has not grown by more than
5 % over the best before, twice in a row. The saturation is the mean throughput of all steps that come that close to
the best one: a plateau, not the luckiest step. The knee is the first of them: the least load in flight that saturates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

GROWTH = 0.05
"""Growth of the throughput that counts, as a share."""

_FLAT_STEPS = 2


class Saturation(NamedTuple):
    """The throughput at saturation.

    Attributes:
        throughput: messages a second that reach every subscriber.
        in_flight: the knee: messages in flight per publisher from which on there is no more to gain.
    """

    throughput: float
    in_flight: int


class SaturationSearch:
    """A search for the saturation, step by step.

    Args:
        most: most messages in flight per publisher that are tried.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._steps: list[tuple[int, float]] = []
        self._is_over = False

    @property
    def next_step(self) -> int | None:
        """Messages in flight per publisher to be tried next; None when the search is over."""
        step = 2 ** len(self._steps)
        return None if self._is_over or step > self._most or self._is_flat() else step

    def observe(self, throughput: float | None) -> None:
        """Take the throughput of the next step; None for a run that failed, which ends the search."""
        if throughput is None:
            self._is_over = True
        else:
            self._steps.append((2 ** len(self._steps), throughput))

    @property
    def saturation(self) -> Saturation | None:
        """The saturation as far as it is known; None without a step in which anything was delivered."""
        return find_saturation(self._steps)

    def _is_flat(self) -> bool:
        before = self._steps[:-_FLAT_STEPS]
        if not before:
            return False
        best = max(throughput for _, throughput in before)
        return all(throughput <= best * (1 + GROWTH) for _, throughput in self._steps[-_FLAT_STEPS:])


def find_saturation(steps: Sequence[tuple[int, float]]) -> Saturation | None:
    """Find the plateau of a response curve.

    Args:
        steps: messages in flight per publisher and the throughput with them, in ascending order.

    Returns:
        The mean throughput of the steps within `GROWTH` of the best, and the first of them; None if nothing was delivered.
    """
    best = max((throughput for _, throughput in steps), default=0.0)
    plateau = [(step, throughput) for step, throughput in steps if throughput * (1 + GROWTH) >= best]
    if best <= 0:
        return None
    return Saturation(sum(throughput for _, throughput in plateau) / len(plateau), plateau[0][0])


def jain_index(shares: Sequence[float]) -> float | None:
    """Give Jain's index of fairness: 1 if all shares are equal, 1/n if one of n has everything; None if all are 0.

    Source: R. Jain, D. Chiu, W. Hawe, "A quantitative measure of fairness and discrimination for resource allocation in shared
    computer systems", DEC Research Report TR-301 (1984).
    """
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else None
