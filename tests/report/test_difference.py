"""Where a difference comes from: the parts of runs that have them, and what is said where there is no line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pubsub_sim.report import difference
from pubsub_sim.report.display import Prose, Several
from pubsub_sim.report.sweep import Sweep
from pubsub_sim.results import RUN, Store
from tests.report.runs import a_run, write_sweep

PER_MESSAGE_US = 60
PER_HOST_US = 8


@pytest.fixture
def apart(tmp_path: Path) -> Sweep:
    """Pairs in which one version takes 60 us more for each message and 8 us more for each host, give or take 2 %."""
    store = Store(tmp_path)
    for hosts in (5, 10, 20):
        more = (PER_MESSAGE_US + PER_HOST_US * hosts) / hosts**2  # a run takes hosts squared us for a message
        for messages in (20, 60):
            for repeat in range(1, 6):
                store.write(a_run("baseline", hosts, messages, repeat))
                store.write(a_run("states", hosts, messages, repeat, cost=1 + more))
    return Sweep.load(tmp_path)


def test_parts_are_those_of_the_rule(apart: Sweep) -> None:
    """Both are found within the noise, their intervals around them."""
    found = difference.fit_parts(apart, "states")
    assert found is not None
    assert found.cells == 6
    assert found.per_message.value == pytest.approx(PER_MESSAGE_US, rel=0.1)
    assert found.per_host.value == pytest.approx(PER_HOST_US, rel=0.1)
    for part in (found.per_message, found.per_host):
        assert part.low < part.value < part.high
    assert found.worst < 6


def test_they_are_told_and_summed_up_alike(apart: Sweep) -> None:
    """The sentence, the table and the summary hold the same two numbers."""
    found = difference.fit_parts(apart, "states")
    assert found is not None
    shown = difference.show(apart)
    assert isinstance(shown, Several)
    per_message, per_host, _ = (entry for entry in difference.summarise(apart) if entry["quantity"] == "cpu")
    assert per_message["value"] == pytest.approx(found.per_message.value, rel=1e-5)
    assert per_host["value"] == pytest.approx(found.per_host.value, rel=1e-5)
    assert {entry["per"] for entry in (per_message, per_host)} == {"message", "host and message"}
    assert f"{found.per_message.value:.1f} (" in shown._repr_mimebundle_()["text/markdown"]


@pytest.fixture
def counted(apart: Sweep, tmp_path: Path) -> Sweep:
    """The same sweep, with runs that count calls: 90 more for each message and 5 more for each host, of 100 times hosts."""
    store = Store(tmp_path)
    for hosts in (5, 10, 20):
        for messages in (20, 60):
            store.write(a_run("baseline", hosts, messages, kind="calls"))
            store.write(a_run("states", hosts, messages, kind="calls", cost=1 + (90 + 5 * hosts) / (100 * hosts)))
    return Sweep.load(tmp_path)


def test_calls_are_taken_apart_as_times_are(counted: Sweep) -> None:
    """The line of calls has no noise, and what a call takes is the time over the calls, of the difference and of the base."""
    time = difference.fit_parts(counted, "states")
    calls = difference.fit_parts(counted, "states", difference.CALLS)
    assert time is not None
    assert calls is not None
    assert calls.per_message.value == pytest.approx(90, abs=0.2)
    assert calls.per_host.value == pytest.approx(5, abs=0.02)
    assert not calls.per_message.has_interval
    assert calls.worst < 0.2
    hosts = (5 + 10 + 20) / 3
    each = difference.estimate_per_call(time, calls)
    assert each is not None
    more, base = each
    assert more.value == pytest.approx((PER_MESSAGE_US + PER_HOST_US * hosts) / (90 + 5 * hosts), rel=0.05)
    assert more.low < more.value < more.high
    assert base == pytest.approx((25 + 100 + 400) / 3 / (100 * hosts), rel=0.05)


def test_calls_are_told_and_summed_up_alike(counted: Sweep) -> None:
    """The sentences and the summary hold the same numbers."""
    shown = difference.show(counted)
    assert isinstance(shown, Several)
    text = shown._repr_mimebundle_()["text/markdown"]
    found = {(entry["quantity"], entry["per"]): entry for entry in difference.summarise(counted)}
    call = found["cpu", "call"]
    assert f"{found['calls', 'message']['value']:.1f} more calls for each message" in text
    assert f"{call['value']:.2f} (" in text
    assert f"{call['base']:.3f} µs per call" in text
    assert found["calls", "host and message"]["unit"] == "calls"


def test_the_amount_is_a_mean_over_cells(apart: Sweep, tmp_path: Path) -> None:
    """It needs no line: one number of hosts will do. The summary holds it."""
    found = difference.estimate_amount(apart, "states")
    assert found.value == pytest.approx(PER_MESSAGE_US + PER_HOST_US * (5 + 10 + 20) / 3, rel=0.05)
    assert found.low < found.value < found.high
    (entry,) = [one for one in difference.summarise(apart) if one["per"] == "message, mean over cells"]
    assert (entry["value"], entry["unit"]) == (pytest.approx(found.value, rel=1e-5), "µs")
    row = Sweep.load(write_sweep(tmp_path / "row", hosts=(5,), control=False))
    assert difference.estimate_amount(row, "states").value == pytest.approx(5, rel=0.02)


def test_what_comes_before_the_messages_is_told_by_hosts(tmp_path: Path) -> None:
    """Only the time outside of the messages counts: 3 ms more here, however much longer the messages take."""
    store = Store(tmp_path)
    for hosts in (5, 10):
        for repeat in range(1, 4):
            store.write(a_run("baseline", hosts, 20, repeat))
            run = a_run("states", hosts, 20, repeat, cost=1.5)
            later = [
                row._replace(value=row.value + 3_000_000)
                if row.metric == "wall_ns" and row.phase in {"init", RUN}
                else row
                for row in run.rows
            ]
            store.write(replace(run, rows=tuple(later)))
    sweep = Sweep.load(tmp_path)
    found = difference.estimate_before_messages(sweep, "states")
    assert {hosts: more.value for hosts, more in found.items()} == pytest.approx({5: 3, 10: 3})
    told = difference.show(sweep)._repr_mimebundle_()["text/markdown"]
    assert "3.00 ms with 5 hosts and 3.00 ms with 10 hosts" in told
    summed = [entry for entry in difference.summarise(sweep) if entry["quantity"] == "before messages"]
    assert [(entry["hosts"], entry["value"], entry["unit"]) for entry in summed] == [(5, 3.0, "ms"), (10, 3.0, "ms")]


def test_one_number_of_hosts_makes_no_line(tmp_path: Path) -> None:
    """Nothing can be told apart then, and nothing is made up."""
    sweep = Sweep.load(write_sweep(tmp_path, hosts=(5,)))
    assert difference.fit_parts(sweep, "states") is None
    assert isinstance(difference.show(sweep), Prose)
    assert difference.summarise(sweep) == []
