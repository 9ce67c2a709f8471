"""Conditions of a sweep beside its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pubsub_sim.bench.conditions import list_conditions
from pubsub_sim.bench.grid import plan
from pubsub_sim.bench.options import SweepOptions
from pubsub_sim.errors import OptionConflict, OptionError

OPTIONS = SweepOptions(hosts=(3, 4), messages=(1, 2), repeats=2, control=True)


def test_what_a_condition_does_not_name_is_that_of_the_sweep() -> None:
    """Its grid as well."""
    options = replace(OPTIONS, conditions=("sign=none", "loop=asyncio transport=tcp hosts=5,20 messages=7"))
    main, unsigned, sockets = list_conditions(options)
    assert main.label == "floodsub/memory/uvloop/strict"
    assert (unsigned.label, unsigned.hosts, unsigned.messages) == ("floodsub/memory/uvloop/none", (3, 4), (1, 2))
    assert (sockets.label, sockets.hosts, sockets.messages) == ("floodsub/tcp/asyncio/strict", (5, 20), (7,))


def test_conditions_are_run_among_the_runs_of_the_sweep() -> None:
    """Each has its cells as often as asked, with a control, and their order is mixed with the main one's."""
    options = replace(OPTIONS, conditions=("sign=none messages=2",))
    pairs = plan(options)
    signs = [pair.runs[0].sign for pair in pairs]
    assert (signs.count("strict"), signs.count("none")) == (8, 4)
    assert signs != sorted(signs, reverse=True)
    for pair in pairs:
        assert len(pair.runs) == 3
        assert len({(run.sign, run.hosts, run.messages, run.seed) for run in pair.runs}) == 1


def test_instrumented_runs_are_of_the_main_condition_only() -> None:
    """They are many times as slow."""
    runs = [run for pair in plan(replace(OPTIONS, conditions=("sign=none",), calls_repeats=1)) for run in pair.runs]
    assert {run.sign for run in runs if run.kind == "calls"} == {"strict"}


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ("sign", "words such as 'sign=none"),
        ("", "words such as 'sign=none"),
        ("sign=none sign=strict", "words such as 'sign=none"),
        ("sing=none", "did you mean 'sign'"),
        ("sign=strict", "a condition that is not there yet"),
        ("sign=maybe", "sign: expected one of"),
        ("hosts=1 sign=none", "hosts: expected a whole number"),
    ],
)
def test_text_that_is_no_condition_is_refused(condition: str, sentence: str) -> None:
    """In one sentence, before anything is measured."""
    with pytest.raises(OptionError, match=sentence):
        replace(OPTIONS, conditions=(condition,))


@pytest.mark.parametrize("more", [{"sessions": 2}, {"conditions": ("sign=none",)}])
def test_stop_rule_is_of_one_session_and_one_condition(more: dict[str, object]) -> None:
    """It adds repeats to cells, which would leave sessions of unequal repeats."""
    with pytest.raises(OptionConflict, match="the stop rule adds repeats"):
        SweepOptions(half_width=0.02, **more)  # type: ignore[arg-type]
