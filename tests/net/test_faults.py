"""Plans of faults: what they may hold, and plans by chance."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub_sim import Crash, Delay, Drop, FaultPlan, OptionConflict, OptionError, Partition, SlowReader, World
from pubsub_sim.net.faults import Fault

SPAN = {"at_s": 1, "for_s": 2}


@pytest.mark.parametrize(
    ("make", "options", "sentence"),
    [
        (Crash, {"at_s": -1, "for_s": 1, "host": 0}, "at_s: expected a number of at least 0, got -1"),
        (Crash, {"at_s": 1, "for_s": 0, "host": 0}, "for_s: expected a number of seconds above 0, got 0"),
        (Crash, SPAN | {"host": -1}, "host: expected a whole number of at least 0, got -1"),
        (Drop, SPAN | {"link": (1, 1), "probability": 1}, r"link: expected the numbers of two hosts, got \(1, 1\)"),
        (Drop, SPAN | {"link": (0, 1), "probability": 2}, "probability: expected a number of at least 0 and at most 1"),
        (Delay, SPAN | {"link": (0, 1), "extra_s": 0}, "extra_s: expected a number of seconds above 0, got 0"),
        (Partition, SPAN | {"groups": ()}, "groups: expected at least one group of numbers of hosts, got"),
        (Partition, SPAN | {"groups": ((0, 1), (1, 2))}, "groups: expected each host in one group only, got"),
        (SlowReader, SPAN | {"host": "first"}, "host: expected a whole number of at least 0, got 'first'"),
    ],
)
def test_a_fault_that_cannot_be_is_named(make: Any, options: dict[str, Any], sentence: str) -> None:
    """The option, its value and what was expected."""
    with pytest.raises(OptionError, match=sentence):
        make(**options)


def test_a_plan_that_cannot_be_played_is_refused() -> None:
    """No second crash of a host that is down, nothing that is no fault, no host that is not there."""
    first, second = Crash(at_s=1, for_s=5, host=2), Crash(at_s=4, for_s=1, host=2)
    with pytest.raises(OptionConflict, match="host 2 is down until 6 s"):
        FaultPlan(faults=(second, first))
    with pytest.raises(OptionError, match="faults: expected a Drop, Delay, Partition, Crash or SlowReader, got 'rain'"):
        FaultPlan(faults=("rain",))  # type: ignore[arg-type] # what is tested
    with pytest.raises(OptionConflict, match="hosts=2: there is no host"):
        World(2, faults=FaultPlan(faults=(first,)))
    with pytest.raises(OptionError, match="faults: expected a FaultPlan, or nothing"):
        World(2, faults=[first])  # type: ignore[arg-type] # what is tested


@given(seed=st.integers(0, 10**6), hosts=st.integers(1, 12), duration_s=st.floats(1e-6, 1e5), count=st.integers(0, 30))
def test_a_plan_by_chance_can_be_played(seed: int, hosts: int, duration_s: float, count: int) -> None:
    """Whatever the arguments: as many faults as asked for, in order, within the time, the same for the same seed."""
    plan = FaultPlan.random(seed, hosts, duration_s, count=count)
    plan.check_hosts(hosts)
    assert plan == FaultPlan.random(seed, hosts, duration_s, count=count)
    assert len(plan.faults) == count
    starts = [fault.at_s for fault in plan.faults]
    assert starts == sorted(starts)
    assert all(fault.end_s <= duration_s + 1e-8 for fault in plan.faults)


def test_a_plan_by_chance_holds_every_kind() -> None:
    """And another seed another plan."""
    plan = FaultPlan.random(1, 5, 100.0, count=100)
    kinds: set[type[Fault]] = {type(fault) for fault in plan.faults}
    assert kinds == {Drop, Delay, Partition, Crash, SlowReader}
    assert plan != FaultPlan.random(2, 5, 100.0, count=100)
