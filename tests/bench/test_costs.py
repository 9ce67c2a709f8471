"""The command `costs`: which runs it makes, and what it prints and stores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pubsub_sim import OptionError
from pubsub_sim.__main__ import main
from pubsub_sim.bench.costs import CostOptions, FailedCostRunError, cost_rounds


def test_costs_are_fitted_printed_and_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A column per version and a row per cost; the file holds every sample and the fit."""
    path = tmp_path / "costs.json"
    words = ["--hosts=2,3,5", "--rounds=2", "--rpcs=200", "--share", f"--out={path}"]
    assert main(["costs", *words]) == 0
    said = capsys.readouterr()
    assert said.err == "round 1 of 2\nround 2 of 2\n"
    heading, *rows = said.out.splitlines()
    assert heading.split()[-2:] == ["baseline", "states"]
    assert [row[:22].strip() for row in rows[:4]] == ["a, per publish", "b, per delivery", "c, per RPC", "at 2 hosts"]
    stored = json.loads(path.read_text())
    assert len(stored["samples"]) == 2 * 3 * 2
    for one in stored["samples"]:
        assert one["rpcs"] == one["publishes"] * (one["hosts"] - 1) ** 2
        assert one["deliveries"] == one["publishes"] * one["hosts"]
        assert one["cpu_ns"] > 0
    for costs in stored["costs"].values():
        value, low, high = costs["rpc_ns"]
        assert low <= value <= high


def test_few_hosts_get_many_messages() -> None:
    """So that runs take about as long; a hundred hosts send 9,801 RPCs per message."""
    options = CostOptions()
    messages = {hosts: options.spec("states", hosts, 0).messages for hosts in options.hosts}
    assert messages == {5: 10_000, 10: 4938, 20: 1108, 40: 263, 60: 115, 80: 64, 100: 41}
    assert options.spec("states", 5, 3).seed == 4
    assert options.spec("states", 5, 3).sign == "none"


def test_a_run_that_fails_ends_the_command() -> None:
    """A fit of the others would be one of other work."""
    options = CostOptions(versions="baseline", hosts="3,4,5", rounds=1, limit_s=1e-3)  # type: ignore[arg-type]
    with pytest.raises(
        FailedCostRunError, match=r"no time of baseline with \d hosts: the run was stopped at its limit"
    ):
        cost_rounds(options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"hosts": "5,10"}, "hosts: expected at least three numbers of hosts"),
        ({"hosts": "1,5,10"}, "hosts: expected a whole number of at least 2, got 1"),
        (
            {"versions": "other"},
            "version: expected one of baseline, states, direct, states-rpc, lower-bound, got 'other'",
        ),
        ({"rounds": 0}, "rounds: expected a whole number of at least 1, got 0"),
        ({"rpcs": 0}, "rpcs: expected a whole number of at least 1, got 0"),
    ],
)
def test_runs_that_cannot_be_are_refused(options: dict[str, object], sentence: str) -> None:
    """The option, its value and what was expected."""
    with pytest.raises(OptionError, match=sentence):
        CostOptions(**options)  # type: ignore[arg-type]
