"""One message, step by step: both versions share calls, RPCs and deliveries, and each has a control flow of its own."""

from __future__ import annotations

import pytest

from pubsub_sim import OptionError
from pubsub_sim.errors import ScenarioFailure
from pubsub_sim.scenarios.one_message import OneMessage, Step, one_message, rows, side_by_side, totals

VERSIONS = ("baseline", "states")


@pytest.mark.parametrize("sign", ["strict", "none"])
@pytest.mark.parametrize("hosts", [2, 4])
@pytest.mark.parametrize("ready", [True, False])
def test_the_versions_share_every_call_rpc_and_delivery(hosts: int, ready: bool, sign: str) -> None:
    """Aligned, each shared step stands once, with the loop's operations and the machines' mutations before it."""
    runs = [one_message(OneMessage(version=v, hosts=hosts, ready=ready, sign=sign)) for v in VERSIONS]
    moments = side_by_side(*runs)
    shared = [moment.shared for moment in moments if moment.shared is not None]
    assert shared == [step for step in runs[0] if step.is_shared]
    assert sum(step.text == "the message is delivered here and goes to the router" for step in shared) == hosts
    loop, machines = ([text for moment in moments for text in moment.own[version]] for version in (0, 1))
    assert sum(text.split(": ")[1].startswith("PublishMessage") for text in loop) == hosts
    assert sum(text.endswith("add PublishMessage") for text in machines) == hosts
    assert any("-bf-" in text for text in machines) == ready


def test_the_same_run_twice_is_the_same() -> None:
    """Virtual clock, seeded: nothing differs."""
    options = OneMessage(version="states")
    assert one_message(options) == one_message(options)


def test_totals_and_rows() -> None:
    """A table has a column per version, and the totals count every step once."""
    steps = [Step(0, "call", "go"), Step(0, "control", "turn"), Step(1, "rpc", "in")]
    assert totals(steps) == {"call": 1, "control": 1, "rpc": 1, "delivery": 0}
    assert rows(side_by_side(steps, [steps[0], steps[2], Step(1, "control", "ps-1: add X")]), VERSIONS) == [
        {"host": "0", "what both do": "go", "baseline": "", "states": ""},
        {"host": "1", "what both do": "in", "baseline": "host 0: turn", "states": ""},
        {"host": "", "what both do": "", "baseline": "", "states": "ps-1: add X"},
    ]


def test_versions_that_part_are_refused() -> None:
    """Runs that do not share their steps are not aligned by force."""
    with pytest.raises(ScenarioFailure, match="step 0: host 0 a / host 0 b"):
        side_by_side([Step(0, "rpc", "a")], [Step(0, "rpc", "b")])
    with pytest.raises(ScenarioFailure, match="1 shared steps / 0 shared steps"):
        side_by_side([Step(0, "rpc", "a")], [])


@pytest.mark.parametrize(
    ("option", "value"),
    [("version", "fast"), ("hosts", 1), ("hosts", "many"), ("ready", 1), ("sign", "maybe"), ("seed", -1)],
)
def test_bad_options_are_refused(option: str, value: object) -> None:
    """Each is named with its value."""
    with pytest.raises(OptionError, match=f"{option}: expected .*, got {value!r}"):
        OneMessage(**{"version": "baseline", option: value})  # type: ignore[arg-type]
