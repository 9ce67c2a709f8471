"""The series of a run: totals, what is new, and means of both kinds that agree with the account."""

from __future__ import annotations

from pubsub_sim import run
from pubsub_sim.simulator.accounts import Ledger
from pubsub_sim.simulator.meters import MachineMeter, Means, Series
from pubsub_sim.simulator.options import SimOptions
from pubsub_sim.simulator.simulation import Simulation


def test_totals_are_the_sums_of_what_is_new_and_means_agree_with_the_account() -> None:
    """Averages can be had for every second and for all so far; none is left out and none counted twice."""
    meter = MachineMeter()
    series = Series(meter)
    sim = Simulation(
        SimOptions(duration="60s", peers=8, topics=3, every_send=1.0), tracers=[meter], on_metrics=series.take
    )
    run(sim.run(), clock="virtual", seed=1)
    ledger: Ledger = sim.ledger
    last = series.rows[-1]
    for name in ("sent", "delivered", "copies", "transitions", "handlers", "ticks"):
        assert sum(row[f"{name}_new"] or 0 for row in series.rows) == last[name]
    deliveries = ledger.hops.total()
    assert deliveries > 50
    assert last["hops_so_far"] == sum(hops * count for hops, count in ledger.hops.items()) / deliveries
    assert last["copies_per_delivery_so_far"] == ledger.copies / deliveries
    assert last["latency_ms_so_far"] is not None
    known = [row["hops"] for row in series.rows if row["hops"] is not None]
    assert known
    assert min(known) >= 1
    assert any(row["hops"] is None for row in series.rows)


def test_means_are_of_what_is_new_and_of_all() -> None:
    """Nothing new has no mean, which is not a mean of 0."""
    means = Means()
    means.take("hops", 4, 2)
    assert means.row() == {"hops": 2.0, "hops_so_far": 2.0}
    means.take("hops", 4, 2)
    assert means.row() == {"hops": None, "hops_so_far": 2.0}
    means.take("hops", 10, 4)
    assert means.row() == {"hops": 3.0, "hops_so_far": 2.5}
