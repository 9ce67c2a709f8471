"""The fit of costs: it finds what a machine was made of, and shows where no such costs exist."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from pubsub_sim import OptionError
from pubsub_sim.bench.cost_model import Sample, fitted, interval, resampled

HOSTS = (5, 10, 20, 40, 60, 80, 100)
A_NS, B_NS, C_NS = 40_000, 12_000, 5_000


def sample(hosts: int, time_ns: Callable[[int], float], messages: int = 10) -> Sample:
    """A phase of some messages among so many hosts that takes `time_ns(hosts)` per message."""
    return Sample(messages, messages * hosts, messages * (hosts - 1) ** 2, round(messages * time_ns(hosts)))


def linear(hosts: int) -> float:
    return A_NS + B_NS * hosts + C_NS * (hosts - 1) ** 2


def test_known_costs_are_found() -> None:
    """From few and many hosts together, though within one phase nothing tells the three apart."""
    costs = fitted({hosts: [sample(hosts, linear)] for hosts in HOSTS})
    assert costs.publish_ns == pytest.approx(A_NS, rel=1e-6)
    assert costs.delivery_ns == pytest.approx(B_NS, rel=1e-6)
    assert costs.rpc_ns == pytest.approx(C_NS, rel=1e-6)
    assert costs.departure == pytest.approx(0, abs=1e-6)
    assert costs.unevenness == pytest.approx(0, abs=1e-6)
    assert list(costs.rpc_ns_between.values()) == pytest.approx([C_NS] * 6)


def test_the_number_of_messages_does_not_matter() -> None:
    """Cells differ in it, so that each takes about as long."""
    cells = {hosts: [sample(hosts, linear, messages)] for hosts, messages in zip(HOSTS, range(2, 9), strict=True)}
    assert fitted(cells).rpc_ns == pytest.approx(C_NS, rel=1e-6)


def test_noise_widens_the_interval_and_stays_inside_it() -> None:
    """3 % of noise on each time: medians of nine rounds find the cost of an RPC within some per cent."""
    rng = random.Random(5)
    rounds = [{hosts: sample(hosts, lambda n: linear(n) * rng.gauss(1, 0.03)) for hosts in HOSTS} for _ in range(9)]
    low, high = interval([one.rpc_ns for one in resampled(rounds)])
    assert low < fitted({hosts: [one[hosts] for one in rounds] for hosts in HOSTS}).rpc_ns < high
    assert 0.95 * C_NS < low < C_NS < high < 1.05 * C_NS


def test_one_wild_round_changes_nothing() -> None:
    """Medians: a round in which the machine was busy with something else is outvoted."""
    cells = {hosts: [sample(hosts, linear)] * 2 + [sample(hosts, lambda n: 9 * linear(n))] for hosts in HOSTS}
    assert fitted(cells).rpc_ns == pytest.approx(C_NS, rel=1e-6)


def test_no_cost_is_negative() -> None:
    """Times that grow as if a publish gave some back leave its cost at nothing."""
    costs = fitted({hosts: [sample(hosts, lambda n: linear(n) - A_NS - 20_000)] for hosts in HOSTS})
    assert costs.publish_ns == 0
    assert costs.delivery_ns > 0
    assert costs.rpc_ns > 0


def test_an_rpc_that_grows_dearer_is_seen() -> None:
    """By a hundredth per host more than 20, so by 80 % at 100 hosts."""

    def growing(hosts: int) -> float:
        return A_NS + B_NS * hosts + C_NS * (1 + max(0, hosts - 20) / 100) * (hosts - 1) ** 2

    costs = fitted({hosts: [sample(hosts, growing)] for hosts in HOSTS})
    at = costs.rpc_ns_at
    assert costs.unevenness == pytest.approx(at[100] / at[20] - 1)
    assert costs.unevenness > 0.5
    assert costs.departure == pytest.approx(max(at[100] / costs.rpc_ns - 1, 1 - at[20] / costs.rpc_ns))
    between = list(costs.rpc_ns_between.values())
    assert between[2:] == sorted(between[2:])


@pytest.mark.parametrize("cells", [{5: 1, 10: 1}, {5: 1, 10: 1, 20: 0}])
def test_too_little_to_fit_is_refused(cells: dict[int, int]) -> None:
    """Three costs need three numbers of hosts."""
    with pytest.raises(OptionError, match="hosts: expected at least three numbers of hosts"):
        fitted({hosts: [sample(hosts, linear)] * count for hosts, count in cells.items()})
